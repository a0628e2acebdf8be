# SPDX-License-Identifier: MIT
"""The ASGI application: some native async routes, everything else is Flask in thread pools (a2wsgi)."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from a2wsgi import WSGIMiddleware
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from labvirt.errors import InvalidInput, LabVirtError
from labvirt.usecases import asking
from labvirt.usecases.figures import figures
from labvirt.usecases.ports import Ports
from labvirt.web import uploads
from labvirt.web.api.blueprint import blueprint as api_blueprint
from labvirt.web.api.problem import MEDIA_TYPE, PLAIN_CODES, as_problem, is_of_the_api
from labvirt.web.asgi import Receive, Scope, Send, read_body, replay, respond
from labvirt.web.boot import BootRoute
from labvirt.web.console import shop
from labvirt.web.console.route import ConsoleRoute
from labvirt.web.errors import retry_after, status_of
from labvirt.web.figures import Exposition
from labvirt.web.headers import ONLY_HTTPS, SECURITY_HEADERS, TRANSPORT, with_headers
from labvirt.web.past import Past
from labvirt.web.published import Published
from labvirt.web.terminal import routes as terminal_routes
from labvirt.web.terminal.question import QuestionRoute
from labvirt.web.terminal.render import Format, as_json, render_error
from labvirt.web.ui import (
    account,
    audit,
    campus_dhcp,
    drafts,
    guard,
    hosts,
    images,
    inbox,
    jobs,
    knock,
    labmap,
    layout,
    mine,
    monitoring,
    pages,
    people,
    plant,
    pools,
    profiles,
    routes,
    search,
    seat,
    seat_profiles,
    tell,
    welcome,
)
from labvirt.web.ui import settings as settings_page
from labvirt.web.ui.events import EventsRoute
from labvirt.web.ui.guard import Guard
from labvirt.web.ui.knock import NOBODY_TRUSTED, Proxy
from labvirt.web.ui.looking import Looking
from labvirt.web.ui.refusal import refusal

log = logging.getLogger(__name__)

QUESTION_THREADS = 4
"""A question is 0.5 ms of Python between short looks into SQLite, each of which lets go of the interpreter: more threads only fight for it
(1,000 questions at once on two cores: 2.0 s with 4 threads, 2.5 s with 12). Fewer would share fewer commits, and stand still sooner when
the engine hangs."""
THREADS = 12
PAGE_THREADS = 8
"""People's pages have threads of their own: a screen that does not answer never keeps a terminal waiting. Questions, terminals' other
requests and pages together hold at most 32 database connections, the size of its pool."""
LARGEST_BODY = 64 * 1024
"""No route takes more than a small form, but the pieces of uploads, which are never in memory."""
BODY_SECONDS = 10.0
"""A body is read whole before a thread is given to it: a client that dribbles holds no thread."""


class Application:
    """Routes by path; starts and stops the listener for the engine's words with the server (ASGI lifespan)."""

    def __init__(self, *, ports: Ports, ca_pem: Callable[[], str], proxy: Proxy = NOBODY_TRUSTED) -> None:
        self.published = Published(ports.engine)
        self._pool = ThreadPoolExecutor(QUESTION_THREADS, thread_name_prefix="question")
        self.guard = Guard(ports, proxy)
        self.exposition = Exposition(lambda: figures(ports))
        self.question = QuestionRoute(
            ask=lambda id, source: asking.ask(ports, id, source),
            published=self.published,
            clock=ports.clock,
            pool=self._pool,
            ca_pem=ca_pem,
            questions=self.exposition.questions,
        )
        self.events = EventsRoute(self.published, self.guard)
        self.boot = BootRoute(ports.kiosk)
        self.pieces = uploads.PieceRoute(ports, self.guard)
        self.console = ConsoleRoute(ports, lambda scope: guard.somebody(self.guard.caller_of_scope(scope)))
        self.past = Past(ports, self.published)
        self.flask = create_flask(ports, self.published, self.guard, self.exposition, self.past)
        self._terminals = WSGIMiddleware(self.flask, workers=THREADS)  # type: ignore[arg-type]
        self._pages = WSGIMiddleware(self.flask, workers=PAGE_THREADS)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _for_machines(scope):
            send = with_headers(send, https=knock.of_scope(scope, self.guard.proxy).https)
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif self.console.serves(scope):
            await self.console(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["path"] == "/terminals/config":
            await self.question(scope, receive, send)
        elif scope["path"] == "/events":
            await self.events(scope, receive, send)
        elif self.boot.serves(scope):
            await self.boot(scope, receive, send)
        elif self.pieces.serves(scope):
            await self.pieces(scope, receive, send)
        else:
            await self._in_thread(scope, receive, send)

    async def _in_thread(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await asyncio.wait_for(read_body(receive, LARGEST_BODY), BODY_SECONDS)
        except TimeoutError:
            await _refuse(scope, send, 408, "The rest of the request did not come.", {"connection": "close"})
            return
        except InvalidInput as error:
            await _refuse(scope, send, 413, f"{error.sentence}.", {"connection": "close"})
            return
        if body is None:
            return
        if not scope["query_string"].isascii():
            await _refuse(scope, send, 400, "query: must be ASCII.", {})
            return
        threads = self._terminals if scope["path"].startswith("/terminals/") else self._pages
        await threads(scope, replay(body, receive), send)  # type: ignore[arg-type]

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.published.start(asyncio.get_running_loop())
                self.past.start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self.past.close()
                self.published.close()
                native = (self._pool, self.boot.pool, self.pieces.pool, self.events.pool, self.console.pool, self.console.opening)
                for pool in (*native, self._terminals.executor, self._pages.executor):
                    pool.shutdown(wait=False, cancel_futures=True)
                await send({"type": "lifespan.shutdown.complete"})
                return


def _for_machines(scope: Scope) -> bool:
    """What lab PCs ask before there is a browser, a thousand at once or by their firmware: those routes say all that they say themselves
    (no content is guessed at)."""
    return bool(scope["path"] == "/terminals/config" or BootRoute.serves(scope))


async def _refuse(scope: Scope, send: Send, status: int, sentence: str, headers: dict[str, str]) -> None:
    """What never comes to a thread: for clients of the API a problem, for all others plain text."""
    content, media_type = f"{sentence}\n".encode(), "text/plain; charset=utf-8"
    if is_of_the_api(scope["path"]):
        content, media_type = as_json(as_problem(PLAIN_CODES[HTTPStatus(status)], status, sentence, "")), MEDIA_TYPE
    await respond(send, status, content, {"content-type": media_type, **headers})


def create_flask(ports: Ports, published: Published, at_door: Guard, exposition: Exposition, past: Past) -> Flask:
    """The synchronous part. Every LabVirtError becomes its sentence and status; a mistake of ours a 500 with a number for the log."""
    app = Flask("labvirt.web.ui", template_folder="templates", static_folder="static")
    app.secret_key = secrets.token_bytes(32)  # only for what the next page says was done: a restart forgets it
    app.config.update(SESSION_COOKIE_NAME="labvirt_told", SESSION_COOKIE_SAMESITE="Strict", SESSION_COOKIE_HTTPONLY=True)
    app.config.update(MAX_CONTENT_LENGTH=LARGEST_BODY, MAX_FORM_MEMORY_SIZE=LARGEST_BODY, MAX_FORM_PARTS=50)
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.register_blueprint(terminal_routes.blueprint(ports, published.flow_since))
    app.register_blueprint(uploads.blueprint())
    layout.install(app)
    looking = Looking(ports, published)
    app.register_blueprint(pages.blueprint(ports, published, looking, at_door))
    for with_looking in (labmap, seat, mine, search, plant, welcome):
        app.register_blueprint(with_looking.blueprint(looking))
    app.register_blueprint(hosts.blueprint(looking, past))
    for each in (inbox, profiles, images, drafts, jobs, seat_profiles):
        app.register_blueprint(each.blueprint())
    app.register_blueprint(settings_page.blueprint())
    app.register_blueprint(tell.blueprint())
    app.register_blueprint(account.blueprint())
    app.register_blueprint(people.blueprint())
    app.register_blueprint(audit.blueprint())
    app.register_blueprint(campus_dhcp.blueprint())
    app.register_blueprint(pools.blueprint())
    app.register_blueprint(monitoring.blueprint(ports, exposition))
    app.register_blueprint(shop.blueprint())
    app.register_blueprint(api_blueprint())
    routes.check_declared(app)

    @app.errorhandler(LabVirtError)
    def refused(error: LabVirtError) -> Response:
        wait = retry_after(error)
        return _refusal(error, status_of(error), {"Retry-After": str(wait)} if wait else {})

    @app.errorhandler(HTTPException)
    def not_so(error: HTTPException) -> Response:
        """What Flask itself refuses: no such page, wrong method, a body too large."""
        headers = {name: value for name, value in error.get_headers() if name == "Allow"}
        told = LabVirtError(f"{error.name}.", hint=(error.description or "").split("\n")[0])
        return _refusal(told, error.code or 500, headers)

    @app.errorhandler(Exception)
    def mistake(error: Exception) -> Response:
        number = secrets.token_hex(4)
        log.error("mistake %s: %s %s", number, request.method, request.path, exc_info=error)
        return _refusal(
            LabVirtError(f"Something went wrong here (mistake {number}).", hint="The log of the web process says more."), 500, {}
        )

    @app.after_request
    def secure(response: Response) -> Response:
        if request.method != "GET" and not request.path.startswith("/terminals/"):
            looking.acted()
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if at_door.knock(request).https:
            response.headers.setdefault(TRANSPORT, ONLY_HTTPS)
        if not request.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return app


def _refusal(error: LabVirtError, status: int, headers: dict[str, str]) -> Response:
    """For terminals in the form they asked for, for people as a page or JSON."""
    if not request.path.startswith("/terminals/"):
        return refusal(error, status, headers)
    if status >= 500:
        log.warning("a terminal's %s was refused: %s", request.path, error)
    try:
        asked = request.form.get("format")
    except HTTPException:  # the form itself cannot be read
        asked = None
    body = render_error(error, Format.JSON if asked == "json" else Format.PLAIN)
    return Response(body.content, status, headers, mimetype=body.media_type)
