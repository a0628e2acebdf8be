# SPDX-License-Identifier: MIT
"""What is around every page: the ways to the others, who looks, what was just done. Each noun adds its own line to `WAYS`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, current_app, g, redirect, request, url_for
from flask import flash as keep
from markupsafe import Markup
from werkzeug.wrappers import Response

from labvirt.domain.caller import CallerKind
from labvirt.domain.right import Right
from labvirt.errors import InvalidInput, LabVirtError, NotAllowed
from labvirt.usecases import labs
from labvirt.web.ui import language, retold
from labvirt.web.ui.language import marked
from labvirt.web.ui.retold import error_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One line of the menu. `right`: shown to who has it somewhere (None: to everybody who is signed in)."""

    endpoint: str
    words: str
    icon: str
    right: Right | None = Right.LOOK


WAYS = (
    Way(endpoint="pages.first", words=marked("Labs"), icon="layout-grid"),
    Way(endpoint="mine.page", words=marked("My lessons"), icon="school", right=Right.OPERATE),
    Way(endpoint="inbox.page", words=marked("Terminals"), icon="device-desktop", right=Right.SEATS),
    Way(endpoint="profiles.page", words=marked("Profiles"), icon="template"),
    Way(endpoint="images.page", words=marked("Images"), icon="disc"),
    Way(endpoint="jobs.page", words=marked("Jobs"), icon="checklist"),
    Way(endpoint="hosts.page", words=marked("Hosts"), icon="server"),
    Way(endpoint="plant.page", words=marked("Self-portrait"), icon="topology-star-3"),
    Way(endpoint="settings.page", words=marked("Settings"), icon="settings", right=Right.SEATS),
    Way(endpoint="people.page", words=marked("People"), icon="users", right=Right.SITE),
    Way(endpoint="audit.page", words=marked("Audit"), icon="clipboard-list", right=Right.AUDIT),
)
"""In the order of the menu. A way whose page is not there (yet) is not shown."""


def told(sentence: str) -> None:
    """The next page says this once, in green."""
    keep(sentence, "done")


def refused(error: LabVirtError) -> None:
    """The next page says why not, and what to do. Raises NotAllowed again: who may not is told so with a 403, not on the next page."""
    if isinstance(error, NotAllowed):
        raise error
    keep(error_words(error), "refused")


OF_THE_SITE = frozenset({Right.SITE, Right.STORE})
"""In one lab alone they open nothing."""


def may(right: Right | str, lab: str | None = None) -> bool:
    """May who looks do that (in this lab; None: in any, for what belongs to the site: in all)? Buttons ask; use cases decide."""
    asked = Right(right)
    caller = g.ports.caller
    return bool(caller.may_somewhere(asked) if lab is None and asked not in OF_THE_SITE else caller.may(asked, lab))


def name_of_caller() -> str:
    """As whom acts are written down, until the use cases take it from the caller themselves."""
    return str(g.ports.caller.name)


def signed_in() -> bool:
    ports = g.get("ports")
    return ports is not None and ports.caller.kind is CallerKind.PERSON


def _around() -> dict[str, Any]:
    here = signed_in()
    ways = [way for way in WAYS if here and way.endpoint in current_app.view_functions and (way.right is None or may(way.right))]
    return {
        "ways": ways,
        "way_here": request.blueprint,
        "signed_in": here,
        "caller": g.ports.caller if here else None,
        "account": url_for("account.page") if here and "account.page" in current_app.view_functions else "",
        "may": may,
        "language": language.current(),
        "languages": language.LANGUAGES,
    }


def back(default: str) -> str:
    """Where the form said it came from, if that is a page of ours; else `default`."""
    wanted = request.form.get("back", "")[:300]
    return wanted if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) else default


def install(app: Flask) -> None:
    """Context, languages, and the routes that belong to no noun."""
    language.install(app)
    retold.install(app)
    app.context_processor(_around)
    app.jinja_env.globals.update(icon=icon, sign=sign)
    around = Blueprint("around", __name__)

    @around.post("/language")
    def speak() -> Response:
        chosen = request.form.get("language", "")
        if chosen not in language.LANGUAGES:
            raise InvalidInput("language", f"must be one of {', '.join(language.LANGUAGES)}")
        answer = redirect(back(url_for("pages.first")), 303)
        answer.set_cookie(
            language.COOKIE, chosen, max_age=language.COOKIE_SECONDS, httponly=True, samesite="Strict", secure=request.is_secure
        )
        return answer

    app.register_blueprint(around)


def icon(name: str, more: str = "") -> Markup:
    """One of Tabler's icons (static/vendor/icons.svg). It always stands beside words, so a reader of the screen hears nothing of it."""
    return _drawn("vendor/icons.svg", name, f"icon {more}".strip())


def sign(name: str, more: str = "sign") -> Markup:
    """One of our signs of a seat's state (static/signs.svg)."""
    return _drawn("signs.svg", name, more)


def _drawn(file: str, name: str, more: str) -> Markup:
    place = f"{url_for('static', filename=file)}#{name}"
    return Markup('<svg class="{}" aria-hidden="true" width="20" height="20"><use href="{}"/></svg>').format(more, place)


def lab_names() -> list[str]:
    """Of the labs that who looks may see."""
    return [lab.name for lab in labs.everything(g.ports) if may(Right.LOOK, lab.name)]
