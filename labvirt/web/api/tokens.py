# SPDX-License-Identifier: MIT
"""/tokens: what programs sign themselves with, on behalf of a person."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from pydantic import Field

from labvirt import shapes
from labvirt.domain.person import TOKEN_DAYS, TOKEN_DAYS_MOST, ApiToken
from labvirt.domain.right import Right
from labvirt.usecases import tokens
from labvirt.usecases.ports import Ports
from labvirt.usecases.tokens import Minted
from labvirt.web.api.model import Answered, Name, Shape, Told
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("tokens", "What programs sign themselves with, on behalf of a person.")

PersonName = Annotated[str, Field(max_length=64)]


class TokenTold(Answered):
    """A token without its secret, which is kept nowhere. `rights` null: everything that its person may do."""

    id: str
    person: str
    name: str
    rights: list[Right] | None
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None
    made_by: Annotated[str | None, Field(description="The id of the token that made it, with which it is taken back.")]


class TokenMade(TokenTold):
    """A new token with its secret, which is told this once."""

    secret: str


class Whose(Paged):
    """Whose tokens."""

    person: Annotated[str, Field(max_length=64, description="Of this person; nothing: one's own.")] = ""


class TokenNew(Told):
    """A new token. `rights` null: everything that its person may do, but changing people, which must be named."""

    person: PersonName | None = None
    name: Name
    rights: Annotated[list[Right], Field(max_length=len(Right))] | None = None
    days: Annotated[int, Field(ge=1, le=TOKEN_DAYS_MOST, description="Good for so long.")] = TOKEN_DAYS


TOKEN = Shape(TokenTold, lambda ports, each: shapes.token(each))
MADE = Shape(TokenMade, lambda ports, each: shapes.token(each.token) | {"secret": each.secret})


@noun.get("/tokens", Many(TOKEN, key=lambda each: each.id), cli="token list")
def list_(ports: Ports, asked: Whose) -> tuple[ApiToken, ...]:
    """One's own tokens, or somebody's for who looks after the site."""
    return tokens.everything(ports, asked.person or None)


@noun.get("/tokens/{token}", TOKEN)
def show(ports: Ports, token: str) -> ApiToken:
    """One token."""
    return tokens.one(ports, token)


@noun.post("/tokens", MADE, status=HTTPStatus.CREATED, secret=True, cli="token add")
def add(ports: Ports, told: TokenNew) -> Minted:
    """A new token of one's own. Its secret is told this once, and never for a repeated request.

    A program's token makes one with its own rights at most, which ends when it ends itself at the latest and is taken back with it."""
    given = told.given()
    return tokens.add(ports, given.pop("name"), **given)


@noun.delete("/tokens/{token}", TOKEN, cli="token remove")
def remove(ports: Ports, token: str) -> ApiToken:
    """Take it back: it buys nothing any more. One's own, or anybody's for who looks after the site.

    The tokens that it made are taken back with it, and those that they made."""
    return tokens.remove(ports, token)[0]
