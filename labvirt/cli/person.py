# SPDX-License-Identifier: MIT
"""labvirt person ..."""

from __future__ import annotations

import click

from labvirt import shapes
from labvirt.cli import secret, words
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.domain.caller import Grant
from labvirt.domain.person import Person, grant_text
from labvirt.domain.second_factor import Demand
from labvirt.usecases import people, second_factor
from labvirt.usecases.people import PersonView


@click.group("person", cls=Noun)
def person() -> None:
    """People: who may sign in, and what they may do."""


def _line(each: Person) -> str:
    rights = ", ".join(map(grant_text, each.grants)) or "no rights"
    return f"{each.name}: {rights}{'' if each.active else ' (not active)'}"


def _lines(seen: PersonView) -> list[str]:
    each = seen.person
    return [
        _line(each),
        f"  full name {each.full_name or '-'}; groups {' '.join(each.groups) or 'none'}",
        f"  {'a password' if each.has_password else 'no password'}, {'a phone' if each.totp else 'no phone'}",
        *(f"  signed in from {one.address} since {one.made_at:%F %T} ({one.id})" for one in seen.sign_ins),
    ]


@person.command("list")
@pass_session
def list_people(session: Session) -> None:
    """Everybody."""
    with session.ports() as ports:
        found = people.everything(ports)
    session.table(
        [shapes.person(each) for each in found],
        ("NAME", "FULL NAME", "ACTIVE", "GRANTS", "GROUPS", "PHONE"),
        (
            (
                each.name,
                each.full_name,
                "yes" if each.active else "no",
                " ".join(map(grant_text, each.grants)),
                " ".join(each.groups),
                "yes" if each.totp else "no",
            )
            for each in found
        ),
        empty="There is nobody yet: labvirt person add NAME --grant administrator",
    )


@person.command("show")
@click.argument("name", type=words.PERSON)
@pass_session
def show_person(session: Session, /, name: str) -> None:
    """One person, and where they are signed in."""
    with session.ports() as ports:
        found = people.one(ports, name)
    session.show(shapes.person(found.person) | {"sign_ins": [shapes.sign_in(each) for each in found.sign_ins]}, _lines(found))


@person.command("add")
@click.argument("name", type=words.PERSON)
@click.option("--full-name", type=words.TEXT, default="", help="As people write it.")
@click.option("--grant", "grants", type=words.GRANT, multiple=True, help="A role, for the whole site or for one lab.")
@click.option("--group", "groups", type=words.NAME, multiple=True, help="A member of this group.")
@click.option("--campus", is_flag=True, help="Without a password: only through the campus's sign-on.")
@pass_session
def add_person(session: Session, /, name: str, full_name: str, grants: tuple[Grant, ...], groups: tuple[str, ...], campus: bool) -> None:
    """A new person. The password is asked for, or read from stdin."""
    password = None if campus else secret.ask(f"Password of {name}")
    with session.ports() as ports:
        made = people.add(ports, name, full_name=full_name, password=password, grants=grants, groups=groups)
    session.show(shapes.person(made), [_line(made)])


@person.command("set")
@click.argument("name", type=words.PERSON)
@click.option("--full-name", type=words.TEXT, help="As people write it.")
@click.option("--grant", "grants", type=words.GRANT, multiple=True, help="All own roles anew.")
@click.option("--no-grants", is_flag=True, help="No own role.")
@click.option("--group", "groups", type=words.NAME, multiple=True, help="All groups anew.")
@click.option("--no-groups", is_flag=True, help="In no group.")
@click.option("--active/--not-active", default=None, help="May they sign in? If not, their sign-ins end now.")
@pass_session
def set_person(
    session: Session,
    /,
    name: str,
    full_name: str | None,
    grants: tuple[Grant, ...],
    no_grants: bool,
    groups: tuple[str, ...],
    no_groups: bool,
    active: bool | None,
) -> None:
    """Change a person; it counts from their next request on."""
    if (grants and no_grants) or (groups and no_groups):
        raise click.UsageError("--no-grants and --no-groups go without the others.")
    with session.ports() as ports:
        changed = people.change(
            ports,
            name,
            full_name=full_name,
            active=active,
            grants=grants if grants or no_grants else None,
            groups=groups if groups or no_groups else None,
        )
    session.show(shapes.person(changed), [_line(changed)])


@person.command("password")
@click.argument("name", type=words.PERSON)
@pass_session
def set_password(session: Session, /, name: str) -> None:
    """A new password, asked for or read from stdin; all their sign-ins end."""
    password = secret.ask(f"New password of {name}")
    with session.ports() as ports:
        changed = people.set_password(ports, name, password)
    session.show(shapes.person(changed), [f"{name} has a new password."])


@person.command("forget-phone")
@click.argument("name", type=words.PERSON)
@pass_session
def forget_phone(session: Session, /, name: str) -> None:
    """The password alone is asked for: for whoever lost the phone and the recovery codes."""
    with session.ports() as ports:
        changed = people.forget_phone(ports, name)
    session.show(shapes.person(changed), [f"{name} signs in with the password alone."])


@person.command("sign-out")
@click.argument("name", type=words.PERSON)
@pass_session
def sign_out(session: Session, /, name: str) -> None:
    """All browsers of this person are signed out."""
    with session.ports() as ports:
        ended = people.sign_out(ports, name)
    session.show({"ended": [shapes.sign_in(each) for each in ended]}, [f"{name}: {len(ended)} signed out."])


@person.command("remove")
@click.argument("name", type=words.PERSON)
@pass_session
def remove_person(session: Session, /, name: str) -> None:
    """Remove a person, with sign-ins and tokens."""
    with session.ports() as ports:
        gone = people.remove(ports, name)
    session.show({"removed": gone.name}, [f"{gone.name} is removed."])


@person.command("second-factor")
@click.argument("demand", type=words.choice(Demand), required=False)
@pass_session
def ask_second_factor(session: Session, /, demand: Demand | None) -> None:
    """Of whom a second factor is asked beside the password: off, administrators or everybody. Without a word: of whom it is asked now, and
    who has none.
    """
    with session.ports() as ports:
        seen = second_factor.show(ports) if demand is None else second_factor.require(ports, demand)
    lines = [f"A second factor is asked of: {'nobody' if seen.demand is Demand.OFF else seen.demand}"]
    for what, names in (("administrators", seen.administrators), ("others", seen.others)):
        lines += [f"  {what} with a password alone: {', '.join(names)}"] if names else []
    session.show(shapes.second_factor(seen), lines)
