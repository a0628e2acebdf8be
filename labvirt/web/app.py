# SPDX-License-Identifier: MIT
"""The ASGI application: two native async routes, everything else is Flask in a thread pool (a2wsgi)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from a2wsgi import WSGIMiddleware
from flask import Flask, Response, request

from labvirt.errors import LabVirtError
from labvirt.usecases import asking
from labvirt.usecases.ports import Ports
from labvirt.web.errors import retry_after, status_of
from labvirt.web.published import Published
from labvirt.web.terminal import routes as terminal_routes
from labvirt.web.terminal.question import QuestionRoute, Receive, Scope, Send
from labvirt.web.terminal.render import Format, as_json, render_error
from labvirt.web.ui import pages
from labvirt.web.ui.events import EventsRoute
from labvirt.web.ui.sign_in import SignIns

log = logging.getLogger(__name__)

THREADS = 16
LARGEST_BODY = 64 * 1024
"""No route of this version takes more than a small form."""

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Application:
    """Routes by path; starts and stops the listener for the engine's words with the server (ASGI lifespan)."""

    def __init__(self, *, ports: Ports, ca_pem: Callable[[], str], secret_key: bytes) -> None:
        self.published = Published(ports.engine, ports.clock)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="question")
        sign_ins = SignIns(secret_key, ports.clock)
        self._question = QuestionRoute(
            ask=lambda id, source: asking.ask(ports, id, source),
            published=self.published,
            clock=ports.clock,
            pool=self._pool,
            ca_pem=ca_pem,
        )
        self._events = EventsRoute(self.published, sign_ins)
        self._flask = WSGIMiddleware(create_flask(ports, self.published, sign_ins), workers=THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["path"] == "/terminals/config":
            await self._question(scope, receive, send)
        elif scope["path"] == "/events":
            await self._events(scope, receive, send)
        else:
            await self._flask(scope, receive, send)  # type: ignore[arg-type]

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.published.start(asyncio.get_running_loop())
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self.published.close()
                self._pool.shutdown(wait=False, cancel_futures=True)
                await send({"type": "lifespan.shutdown.complete"})
                return


def create_flask(ports: Ports, published: Published, sign_ins: SignIns) -> Flask:
    """The synchronous part. Every LabVirtError becomes its sentence and status; strangers become a plain 500 with a number for the log."""
    app = Flask("labvirt.web.ui", template_folder="templates", static_folder="static")
    app.config.update(MAX_CONTENT_LENGTH=LARGEST_BODY, MAX_FORM_MEMORY_SIZE=LARGEST_BODY, MAX_FORM_PARTS=50)
    app.register_blueprint(terminal_routes.blueprint(ports))
    app.register_blueprint(pages.blueprint(ports, published, sign_ins))

    @app.errorhandler(LabVirtError)
    def refused(error: LabVirtError) -> Response:
        wait = retry_after(error)
        headers = {"Retry-After": str(wait)} if wait else {}
        if request.path.startswith("/terminals/"):
            form = Format.JSON if request.form.get("format") == "json" else Format.PLAIN
            body = render_error(error, form)
            return Response(body.content, status_of(error), headers, mimetype=body.media_type)
        if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
            told: dict[str, Any] = {"error": {"code": error.code, "sentence": error.sentence, "hint": error.hint}}
            return Response(as_json(told), status_of(error), headers, mimetype="application/json")
        return pages.refusal(error, status_of(error), headers)

    @app.after_request
    def secure(response: Response) -> Response:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if not request.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return app
