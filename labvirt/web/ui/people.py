# SPDX-License-Identifier: MIT
"""The pages of the site's people and groups."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.domain.caller import Grant
from labvirt.domain.person import PASSWORD_LONGEST, PASSWORD_RECOMMENDED, PASSWORD_SHORTEST, grant_text, parse_grant
from labvirt.domain.right import Role
from labvirt.domain.second_factor import Demand
from labvirt.errors import InvalidInput, LabVirtError, MustConfirm
from labvirt.usecases import groups, labs, people, second_factor, sign_in, tokens
from labvirt.web.errors import status_of
from labvirt.web.ui.account import LONGEST, REFUSALS, words_of
from labvirt.web.ui.language import gettext
from labvirt.web.ui.retold import grant_words, retold

DEEDS = ("save", "password", "phone", "remove", "end", "token")


def blueprint() -> Blueprint:
    """Behind the guard; each use case asks for SITE."""
    pages = Blueprint("people", __name__, url_prefix="/people")

    @pages.get("")
    def page() -> AnyResponse:
        return _page()

    @pages.post("")
    def add() -> AnyResponse:
        told = request.form
        try:
            made = people.add(
                g.ports,
                told.get("name", "")[:LONGEST],
                full_name=told.get("full_name", "")[:LONGEST],
                password=told.get("password") or None,
                grants=_grants(told.getlist("grant")),
                groups=_words(told.getlist("group")),
            )
        except REFUSALS as error:
            return _page(error)
        return redirect(url_for("people.one", name=made.name), 303)

    @pages.post("/+second-factor")
    def ask_second_factor() -> AnyResponse:
        word = request.form.get("demand", "")
        try:
            if word not in tuple(Demand):
                raise InvalidInput("demand", f"must be one of {', '.join(Demand)}")
            second_factor.require(g.ports, Demand(word))
        except REFUSALS as error:
            return _page(error)
        return redirect(url_for("people.page", _anchor="second-factor"), 303)

    @pages.get("/<name>")
    def one(name: str) -> AnyResponse:
        return _one(name)

    @pages.post("/<name>")
    def change(name: str) -> AnyResponse:
        told = request.form
        deed = told.get("do", "")
        try:
            if deed == "save":
                people.change(
                    g.ports,
                    name,
                    full_name=told.get("full_name", "")[:LONGEST],
                    active=told.get("active") == "yes",
                    grants=_grants(told.getlist("grant")),
                    groups=_words(told.getlist("group")),
                )
            elif deed == "password":
                people.set_password(g.ports, name, told.get("password", ""))
            elif deed == "phone":
                people.forget_phone(g.ports, name)
            elif deed == "end":
                sign_in.end(g.ports, told.get("id", "")[:LONGEST])
            elif deed == "token":
                tokens.remove(g.ports, told.get("id", "")[:LONGEST])
            elif deed == "remove":
                people.remove(g.ports, name)
                return redirect(url_for("people.page"), 303)
            else:
                raise InvalidInput("do", f"must be one of {', '.join(DEEDS)}")
        except REFUSALS as error:
            return _one(name, error)
        return redirect(url_for("people.one", name=name, done="yes"), 303)

    @pages.post("/groups")
    def add_group() -> AnyResponse:
        told = request.form
        try:
            groups.add(g.ports, told.get("name", "")[:LONGEST], note=told.get("note", "")[:LONGEST], grants=_grants(told.getlist("grant")))
        except REFUSALS as error:
            return _page(error)
        return redirect(url_for("people.page", _anchor="groups"), 303)

    @pages.post("/groups/<name>")
    def change_group(name: str) -> AnyResponse:
        told = request.form
        try:
            if told.get("do") == "remove":
                groups.remove(g.ports, name)
            else:
                groups.change(g.ports, name, note=told.get("note", "")[:LONGEST], grants=_grants(told.getlist("grant")))
        except REFUSALS as error:
            return _page(error)
        return redirect(url_for("people.page", _anchor="groups"), 303)

    return pages


def _page(error: LabVirtError | None = None) -> AnyResponse:
    sentence, hint = words_of(error)
    told = request.form if error is not None else {}
    page = render_template(
        "people.html",
        people=[(each, [grant_words(grant) for grant in each.grants]) for each in people.everything(g.ports)],
        groups=[(each, [grant_text(grant) for grant in each.group.grants]) for each in groups.everything(g.ports)],
        choices=_choices(),
        second=second_factor.show(g.ports),
        told=told,
        **_common(error, sentence, hint),
    )
    return Response(page, 200 if error is None else status_of(error), mimetype="text/html")


def _one(name: str, error: LabVirtError | None = None) -> AnyResponse:
    seen = people.one(g.ports, name)
    sentence, hint = words_of(error)
    page = render_template(
        "person.html",
        seen=seen,
        person=seen.person,
        own=[grant_text(grant) for grant in seen.person.own],
        given=[grant_words(grant) for grant in seen.person.given],
        groups=[each.group.name for each in groups.everything(g.ports)],
        tokens=tokens.everything(g.ports, seen.person.name),
        choices=_choices(),
        done=request.args.get("done", ""),
        **_common(error, sentence, hint),
    )
    return Response(page, 200 if error is None else status_of(error), mimetype="text/html")


def _common(error: LabVirtError | None, sentence: str, hint: str) -> dict[str, object]:
    return {
        "wrong": sentence,
        "hint": hint,
        "must_confirm": isinstance(error, MustConfirm),
        "lengths": (PASSWORD_SHORTEST, PASSWORD_RECOMMENDED, PASSWORD_LONGEST),
    }


def _choices() -> list[tuple[str, str]]:
    """Every grant there can be, and its words."""
    everywhere, inside = gettext("%(role)s everywhere"), gettext("%(role)s in %(lab)s")
    site = [(str(role), everywhere % {"role": retold(role, "role")}) for role in Role]
    for lab in (each.name for each in labs.everything(g.ports)):
        site += [(f"{role}:{lab}", inside % {"role": retold(role, "role"), "lab": lab}) for role in Role if role is not Role.ADMINISTRATOR]
    return site


def _grants(words: Iterable[str]) -> tuple[Grant, ...]:
    return tuple(parse_grant(word[:LONGEST]) for word in words if word)


def _words(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word[:LONGEST] for word in words if word)
