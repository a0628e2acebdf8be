# SPDX-License-Identifier: MIT
"""The page of one's own account: password, phone, browsers that are signed in, tokens of programs."""

from __future__ import annotations

import io

import segno
from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.domain.person import PASSWORD_LONGEST, PASSWORD_RECOMMENDED, PASSWORD_SHORTEST, TOKEN_DAYS, TOKEN_DAYS_MOST
from labvirt.domain.right import Right
from labvirt.errors import Conflict, InvalidInput, LabVirtError, MustConfirm, MustEnrol, NotAllowed, NotFound, NotSignedIn, TooManyRequests
from labvirt.usecases import account, sign_in, tokens
from labvirt.web.api.problem import is_of_the_api
from labvirt.web.errors import status_of
from labvirt.web.ui.retold import field_words, grant_words, retold

LONGEST = 256
REFUSALS = (InvalidInput, Conflict, NotAllowed, NotFound, TooManyRequests)
"""Said on the page itself."""


def blueprint() -> Blueprint:
    """Behind the guard; about whoever is signed in, so no right is asked for."""
    pages = Blueprint("account", __name__, url_prefix="/account")

    @pages.get("")
    def page() -> AnyResponse:
        return _page()

    @pages.post("/confirm")
    def confirm() -> AnyResponse:
        try:
            sign_in.confirm(g.ports, request.form.get("password", ""))
        except REFUSALS as error:
            return _page(error)
        return redirect(_back(request.form.get("back", "")), 303)

    @pages.post("/password")
    def password() -> AnyResponse:
        new = request.form.get("new", "")
        try:
            if new != request.form.get("again", ""):
                raise InvalidInput("password", "is not the same both times")
            account.change_password(g.ports, new)
        except REFUSALS as error:
            return _page(error)
        return redirect(url_for("account.page", done="password"), 303)

    @pages.post("/phone")
    def phone() -> AnyResponse:
        deed = request.form.get("do", "")
        try:
            if deed == "begin":
                account.begin_phone(g.ports)
            elif deed == "forget":
                account.forget_phone(g.ports)
            else:
                return _page(recovery=account.finish_phone(g.ports, request.form.get("code", "")[:LONGEST]))
        except REFUSALS as error:
            return _page(error)
        return redirect(url_for("account.page", _anchor="phone"), 303)

    @pages.get("/phone.svg")
    def phone_picture() -> Response:
        _, address = account.phone_key(g.ports)
        out = io.BytesIO()
        segno.make(address, error="m").save(out, kind="svg", scale=6, border=4, dark="#000", light="#fff", xmldecl=False)
        return Response(out.getvalue(), mimetype="image/svg+xml")

    @pages.post("/token")
    def token() -> AnyResponse:
        told = request.form
        try:
            if told.get("do") == "remove":
                tokens.remove(g.ports, told.get("id", "")[:LONGEST])
                return redirect(url_for("account.page", _anchor="tokens"), 303)
            chosen = {Right(word) for word in told.getlist("right") if word in tuple(Right)}
            minted = tokens.add(
                g.ports,
                told.get("name", "")[:LONGEST],
                rights=None if told.get("scope") == "all" else chosen,
                days=_days(told.get("days", "")),
            )
        except REFUSALS as error:
            return _page(error)
        return _page(minted=minted)

    @pages.post("/end")
    def end() -> AnyResponse:
        try:
            sign_in.end(g.ports, request.form.get("id", "")[:LONGEST])
        except REFUSALS as error:
            return _page(error)
        return redirect(url_for("account.page", _anchor="sign-ins"), 303)

    return pages


def enrol_first() -> AnyResponse:
    """For who must set up a second factor: people are led there, all others are told so."""
    for_people = request.accept_mimetypes.accept_html and "HX-Request" not in request.headers and not is_of_the_api(request.path)
    if request.method == "GET" and for_people:
        return redirect(url_for("account.page", _anchor="phone"), 303)
    raise MustEnrol


def words_of(error: LabVirtError | None) -> tuple[str, str]:
    """Sentence and hint for people."""
    if error is None:
        return "", ""
    if not isinstance(error, InvalidInput):
        return retold(error.sentence), retold(error.hint)
    sentence = f"{field_words(error.field)} {retold(error.reason)}."
    return f"{sentence[:1].upper()}{sentence[1:]}", retold(error.hint)


def _page(error: LabVirtError | None = None, *, recovery: tuple[str, ...] = (), minted: tokens.Minted | None = None) -> AnyResponse:
    if isinstance(error, NotSignedIn):
        raise error
    seen = account.view(g.ports)
    key = account.phone_key(g.ports)[0] if seen.pending and _confirmed() and not recovery else ""
    sentence, hint = words_of(error)
    owes = g.ports.caller.owes_factor
    grants = seen.person.grants if seen.person and owes else g.ports.caller.grants
    page = render_template(
        "account.html",
        seen=seen,
        caller=g.ports.caller,
        grants=[grant_words(each) for each in grants],
        mine=g.ports.caller.sign_in,
        tokens=tokens.everything(g.ports) if seen.person and not owes else (),
        owes=owes,
        rights=tuple(Right),
        key=" ".join(key[n : n + 4] for n in range(0, len(key), 4)),
        recovery=recovery,
        minted=minted,
        wrong=sentence,
        hint=hint,
        must_confirm=isinstance(error, MustConfirm),
        done=request.args.get("done", ""),
        lengths=(PASSWORD_SHORTEST, PASSWORD_RECOMMENDED, PASSWORD_LONGEST),
        days=(TOKEN_DAYS, TOKEN_DAYS_MOST),
    )
    return Response(page, 200 if error is None else status_of(error), mimetype="text/html")


def _confirmed() -> bool:
    try:
        account.phone_key(g.ports)
    except (NotAllowed, Conflict):
        return False
    return True


def _back(path: str) -> str:
    """Only to a page of ours."""
    return path if path in (url_for("people.page"), url_for("account.page")) else url_for("account.page")


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise InvalidInput("days", "must be a whole number of days")
    return int(text)
