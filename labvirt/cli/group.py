# SPDX-License-Identifier: MIT
"""labvirt group ..."""

from __future__ import annotations

import click

from labvirt import shapes
from labvirt.cli import words
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.domain.caller import Grant
from labvirt.domain.person import Group, grant_text
from labvirt.usecases import groups


@click.group("group", cls=Noun)
def group() -> None:
    """Groups: what several people may do together, given once."""


def _line(each: Group) -> str:
    return f"{each.name}: {', '.join(map(grant_text, each.grants)) or 'no rights'}"


@group.command("list")
@pass_session
def list_groups(session: Session) -> None:
    """All groups."""
    with session.ports() as ports:
        found = groups.everything(ports)
    session.table(
        [shapes.group(each.group, each.members) for each in found],
        ("NAME", "GRANTS", "MEMBERS", "NOTE"),
        ((each.group.name, " ".join(map(grant_text, each.group.grants)), " ".join(each.members), each.group.note) for each in found),
        empty="There is no group: labvirt group add NAME --grant teacher:LAB",
    )


@group.command("add")
@click.argument("name", type=words.NAME)
@click.option("--note", type=words.TEXT, default="", help="What it is for.")
@click.option("--grant", "grants", type=words.GRANT, multiple=True, help="A role, for the whole site or for one lab.")
@pass_session
def add_group(session: Session, /, name: str, note: str, grants: tuple[Grant, ...]) -> None:
    """A new group without members: labvirt person set NAME --group GROUP."""
    with session.ports() as ports:
        made = groups.add(ports, name, note=note, grants=grants)
    session.show(shapes.group(made, ()), [_line(made)])


@group.command("set")
@click.argument("name", type=words.NAME)
@click.option("--note", type=words.TEXT, help="What it is for.")
@click.option("--grant", "grants", type=words.GRANT, multiple=True, help="All its roles anew.")
@click.option("--no-grants", is_flag=True, help="No role.")
@pass_session
def set_group(session: Session, /, name: str, note: str | None, grants: tuple[Grant, ...], no_grants: bool) -> None:
    """Change what its members may do."""
    if grants and no_grants:
        raise click.UsageError("--no-grants goes without --grant.")
    with session.ports() as ports:
        changed = groups.change(ports, name, note=note, grants=grants if grants or no_grants else None)
        members = groups.one(ports, name).members
    session.show(shapes.group(changed, members), [_line(changed)])


@group.command("remove")
@click.argument("name", type=words.NAME)
@pass_session
def remove_group(session: Session, /, name: str) -> None:
    """Remove a group; its members keep what is their own."""
    with session.ports() as ports:
        gone = groups.remove(ports, name)
    session.show({"removed": gone.name}, [f"{gone.name} is removed."])
