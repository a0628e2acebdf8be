# SPDX-License-Identifier: MIT
"""The pages of the door: name and password, the phone's code, a one-time code, and the first administrator; and the way out."""

from __future__ import annotations

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.errors import Exhausted, InvalidInput, LabVirtError, NotAllowed, TooManyRequests
from labvirt.usecases import labs, setup, sign_in
from labvirt.usecases.ports import Ports
from labvirt.usecases.sign_in import From, Opened
from labvirt.web.errors import status_of
from labvirt.web.ui import guard
from labvirt.web.ui.account import words_of
from labvirt.web.ui.guard import Guard
from labvirt.web.ui.knock import Knock

LIFE_SECONDS = 12 * 3600
"""How long a browser keeps the cookie at most; the database says when it is over."""
LONGEST = 256


def register(pages: Blueprint, ports: Ports, at_door: Guard) -> None:
    """The routes, on the blueprint of people's pages."""

    @pages.get("/door")
    def door() -> AnyResponse:
        if guard.is_somebody(g.ports.caller):
            return redirect(url_for("pages.first"), 303)
        return _page(ports)

    @pages.post("/enter")
    def enter() -> AnyResponse:
        knock, told = at_door.knock(request), request.form
        code, name, full_name = (told.get(field, "")[:LONGEST] for field in ("code", "name", "full_name"))
        try:
            if code and name:
                opened = sign_in.first(ports, code, name, told.get("password", ""), full_name=full_name, who=_from(knock))
                next_page = "pages.first" if labs.everything(ports) else "welcome.page"
                return _with_cookie(redirect(url_for(next_page), 303), opened, knock)
            if code:
                opened = sign_in.by_code(ports, code, who=_from(knock))
            else:
                opened = sign_in.with_password(ports, name, told.get("password", ""), who=_from(knock))
        except (NotAllowed, TooManyRequests, InvalidInput, Exhausted) as error:
            return _page(ports, error, name=name, code=code, full_name=full_name)
        return _opened(opened, knock) if opened.sign_in.whole else _with_cookie(_phone_page(), opened, knock)

    @pages.post("/enter/phone")
    def enter_phone() -> AnyResponse:
        knock = at_door.knock(request)
        try:
            opened = sign_in.with_phone(ports, request.form.get("code", "")[:LONGEST], who=_from(knock))
        except (NotAllowed, TooManyRequests) as error:
            return _page(ports, error) if status_of(error) == 401 else _phone_page(error)
        return _opened(opened, knock)

    @pages.post("/leave")
    def leave() -> AnyResponse:
        knock = at_door.knock(request)
        sign_in.leave(ports, knock.token)
        response = redirect(url_for("pages.door"), 303)
        response.delete_cookie(knock.cookie_name, httponly=True, samesite="Strict", secure=knock.https)
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response


def _from(knock: Knock) -> From:
    return From(address=knock.address, agent=knock.agent, token=knock.token)


def _page(ports: Ports, error: LabVirtError | None = None, *, name: str = "", code: str = "", full_name: str = "") -> Response:
    # Somebody with a shell may have made accounts before the set-up code was used: whoever shows it then still becomes the administrator.
    first = not setup.has_people(ports) or bool(code and isinstance(error, InvalidInput))
    field = error.field if isinstance(error, InvalidInput) else "code" if isinstance(error, NotAllowed) else ""
    page = render_template("door.html", first=first, name=name, code=code, full_name=full_name, wrong_field=field, **_words(error))
    return _answer(page, error)


def _phone_page(error: LabVirtError | None = None) -> Response:
    return _answer(render_template("door_phone.html", **_words(error)), error)


def _words(error: LabVirtError | None) -> dict[str, str]:
    if error is None:
        return {"refused": "", "hint": ""}
    sentence, hint = words_of(error)
    return {"refused": sentence, "hint": hint}


def _answer(page: str, error: LabVirtError | None) -> Response:
    headers = {"Retry-After": str(error.retry_seconds)} if isinstance(error, TooManyRequests) else {}
    return Response(page, 200 if error is None else status_of(error), headers, mimetype="text/html")


def _opened(opened: Opened, knock: Knock) -> AnyResponse:
    return _with_cookie(redirect(url_for("pages.first"), 303), opened, knock)


def _with_cookie(response: AnyResponse, opened: Opened, knock: Knock) -> AnyResponse:
    response.set_cookie(
        knock.cookie_name, opened.token, max_age=LIFE_SECONDS, path="/", httponly=True, samesite="Strict", secure=knock.https
    )
    return response
