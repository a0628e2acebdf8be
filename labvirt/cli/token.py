# SPDX-License-Identifier: MIT
"""labvirt token ..."""

from __future__ import annotations

import click

from labvirt import shapes
from labvirt.cli import words
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.domain.person import TOKEN_DAYS, TOKEN_DAYS_MOST
from labvirt.domain.right import Right
from labvirt.usecases import tokens


@click.group("token", cls=Noun)
def token() -> None:
    """Tokens: what programs sign themselves with, on behalf of a person."""


@token.command("list")
@click.option("--person", type=words.PERSON, help="Only of this person.")
@pass_session
def list_tokens(session: Session, /, person: str | None) -> None:
    """All tokens; their secrets are kept nowhere."""
    with session.ports() as ports:
        found = tokens.everything(ports, person)
    session.table(
        [shapes.token(each) for each in found],
        ("ID", "PERSON", "NAME", "RIGHTS", "EXPIRES", "USED"),
        (
            (
                each.id,
                each.person,
                each.name,
                "all" if each.rights is None else " ".join(sorted(map(str, each.rights))),
                f"{each.expires_at:%F}",
                f"{each.used_at:%F %T}" if each.used_at else "never",
            )
            for each in found
        ),
        empty="There is no token: labvirt token add PERSON NAME",
    )


@token.command("add")
@click.argument("person", type=words.PERSON)
@click.argument("name", type=words.NAME)
@click.option("--right", "rights", type=words.choice(Right), multiple=True, help="Only this right (and look) of what the person may do.")
@click.option("--days", type=click.IntRange(1, TOKEN_DAYS_MOST), default=TOKEN_DAYS, help=f"Good for so long (default {TOKEN_DAYS}).")
@pass_session
def add_token(session: Session, /, person: str, name: str, rights: tuple[Right, ...], days: int) -> None:
    """A new token; its secret is printed once."""
    with session.ports() as ports:
        made = tokens.add(ports, name, person=person, rights=rights or None, days=days)
    session.show(
        shapes.token(made.token) | {"secret": made.secret},
        [made.secret, f"Shown once; good until {made.token.expires_at:%F}. A program sends it as: Authorization: Bearer SECRET"],
    )


@token.command("remove")
@click.argument("id", type=words.TEXT)
@pass_session
def remove_token(session: Session, /, id: str) -> None:
    """Take a token back, by its ID, with all that it made."""
    with session.ports() as ports:
        gone, *made = tokens.remove(ports, id)
    lines = [f"The token {gone.name} of {gone.person} is taken back."]
    lines += [f"  with it {each.name}, which comes from it" for each in made]
    session.show({"removed": gone.id, "with_it": [each.id for each in made]}, lines)
