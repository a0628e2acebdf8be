# SPDX-License-Identifier: MIT
"""People and groups with their grants, sign-ins, tokens."""

from __future__ import annotations

from collections.abc import Iterable

from labvirt.contracts.people import Secrets
from labvirt.database.mapping.row import Row, maybe_text, maybe_time, time_of, time_text, words_of, words_text
from labvirt.domain.caller import Grant
from labvirt.domain.person import SHELL, ApiToken, Group, Person, SignIn
from labvirt.domain.right import Right, Role


def person_of(row: Row, own: Iterable[Row] = (), groups: Iterable[Row] = (), given: Iterable[Row] = ()) -> Person:
    """`own` and `given` are rows of grants, `groups` of members."""
    return Person(
        name=row["name"],
        full_name=row["full_name"],
        active=bool(row["active"]),
        made_at=time_of(row["made_at"]),
        own=tuple(map(grant_of, own)),
        groups=tuple(each["group_name"] for each in groups),
        given=tuple(map(grant_of, given)),
        has_password=bool(row["password"]),
        totp=bool(row["totp"]),
    )


def person_row(person: Person) -> Row:
    """Without what proves who it is."""
    return {
        "name": person.name,
        "full_name": person.full_name,
        "active": int(person.active),
        "made_at": time_text(person.made_at),
    }


def secrets_row(secrets: Secrets) -> Row:
    return {
        "name": secrets.person,
        "password": secrets.password,
        "password_at": maybe_text(secrets.password_at),
        "totp": secrets.totp,
        "totp_new": secrets.totp_new,
        "totp_step": secrets.totp_step,
        "recovery": words_text(secrets.recovery),
    }


def secrets_of(row: Row) -> Secrets:
    return Secrets(
        person=row["name"],
        password=row["password"],
        password_at=maybe_time(row["password_at"]),
        totp=row["totp"],
        totp_new=row["totp_new"],
        totp_step=row["totp_step"],
        recovery=words_of(row["recovery"]),
    )


def group_row(group: Group) -> Row:
    return {"name": group.name, "note": group.note}


def group_of(row: Row, grants: Iterable[Row] = ()) -> Group:
    return Group(name=row["name"], note=row["note"], grants=tuple(map(grant_of, grants)))


def grant_row(grant: Grant, *, person: str | None = None, group: str | None = None) -> Row:
    return {"person": person, "group_name": group, "role": str(grant.role), "lab": grant.lab}


def grant_of(row: Row) -> Grant:
    return Grant(Role(row["role"]), row["lab"])


def sign_in_row(each: SignIn) -> Row:
    return {
        "id": each.id,
        "person": None if each.person == SHELL else each.person,
        "whole": int(each.whole),
        "address": each.address,
        "agent": each.agent,
        "made_at": time_text(each.made_at),
        "seen_at": time_text(each.seen_at),
        "confirmed_at": maybe_text(each.confirmed_at),
    }


def sign_in_of(row: Row) -> SignIn:
    return SignIn(
        id=row["id"],
        person=row["person"] or SHELL,
        whole=bool(row["whole"]),
        address=row["address"],
        agent=row["agent"],
        made_at=time_of(row["made_at"]),
        seen_at=time_of(row["seen_at"]),
        confirmed_at=maybe_time(row["confirmed_at"]),
    )


def token_row(token: ApiToken) -> Row:
    return {
        "id": token.id,
        "person": token.person,
        "name": token.name,
        "rights": None if token.rights is None else words_text(sorted(str(right) for right in token.rights)),
        "made_at": time_text(token.made_at),
        "expires_at": time_text(token.expires_at),
        "used_at": maybe_text(token.used_at),
        "made_by": token.made_by,
    }


def token_of(row: Row) -> ApiToken:
    return ApiToken(
        id=row["id"],
        person=row["person"],
        name=row["name"],
        rights=None if row["rights"] is None else frozenset(Right(word) for word in words_of(row["rights"])),
        made_at=time_of(row["made_at"]),
        expires_at=time_of(row["expires_at"]),
        used_at=maybe_time(row["used_at"]),
        made_by=row["made_by"],
    )
