# SPDX-License-Identifier: MIT
"""labvirt terminal ..."""

from __future__ import annotations

from typing import Any

import click

from labvirt import shapes
from labvirt.cli import boot_times, lab_hardware, terminal_power, words
from labvirt.cli.session import Noun, Session, given, pass_session
from labvirt.domain.terminal import Terminal
from labvirt.errors import InvalidInput
from labvirt.usecases import boots, enrol, hardware, terminals


@click.group(cls=Noun)
def terminal() -> None:
    """The thin clients, each at its seat."""


for _each in terminal_power.COMMANDS:
    terminal.add_command(_each)


def _lines(each: Terminal) -> list[str]:
    return [
        f"{each.name}: seat {each.seat} of {each.lab}, MAC {each.mac or 'not known'}"
        + (f", id {each.inventory_id}" if each.inventory_id else ""),
        f"  class {each.terminal_class}, profile {each.profile or 'by the lab'}"
        + ("" if each.active else ", switched off by the administrator"),
        *(f"  {name}={value}" for name, value in each.parameters),
        *([f"  {each.note}"] if each.note else []),
    ]


@terminal.command("list")
@click.option("--lab", type=words.NAME, help="Only of this lab.")
@pass_session
def list_terminals(session: Session, /, lab: str | None) -> None:
    """All terminals."""
    with session.ports() as ports:
        found = terminals.everything(ports, lab)
    session.table(
        [shapes.terminal(each) for each in found],
        ("NAME", "LAB", "SEAT", "MAC", "ID", "CLASS", "PROFILE", "ACTIVE", "NOTE"),
        ((t.name, t.lab, t.seat, t.mac, t.inventory_id, t.terminal_class, t.profile, "yes" if t.active else "no", t.note) for t in found),
        empty="There is no terminal. Switch one on and look: labvirt terminal inbox",
    )


@terminal.command("show")
@click.argument("name", type=words.NAME)
@pass_session
def show_terminal(session: Session, /, name: str) -> None:
    """One terminal."""
    with session.ports() as ports:
        found = terminals.one(ports, name)
        said = hardware.one(ports, name)
    told = shapes.hardware(said)
    session.show(
        shapes.terminal(found) | {"hardware": told["hardware"], "findings": told["findings"]}, [*_lines(found), *lab_hardware.lines(said)]
    )


@terminal.command("add")
@click.argument("name", type=words.NAME, required=False)
@click.option("--lab", type=words.NAME, required=True, help="Where it stands.")
@click.option("--seat", type=int, help="Its number (default: the lowest free one).")
@click.option("--mac", type=words.MAC, help="MAC address of its network card.")
@click.option("--id", "inventory_id", type=words.INVENTORY, help="A free string by which it may ask.")
@click.option("--class", "terminal_class", type=words.NAME, help="Which viewer it runs (default: spice).")
@click.option("--profile", type=words.NAME, help="Its own profile instead of the lab's choice.")
@click.option("--parameter", "parameters", type=words.PARAMETER, multiple=True, help="Fills %NAME% of its class.")
@click.option("--inactive", is_flag=True, help="It gets no guest.")
@click.option("--note", type=words.TEXT, help="For people.")
@pass_session
def add_terminal(session: Session, /, inactive: bool, **options: Any) -> None:
    """Register a terminal that is known beforehand; `adopt` is for one that has asked."""
    with session.ports() as ports:
        added = terminals.add(ports, active=not inactive, **given(**options))
    session.show(shapes.terminal(added), _lines(added))


@terminal.command("set")
@click.argument("name", type=words.NAME)
@click.option("--lab", type=words.NAME, help="Move it to this lab.")
@click.option("--seat", type=int, help="Move it to this seat.")
@click.option("--mac", type=words.MAC, help="MAC address of its network card.")
@click.option("--no-mac", is_flag=True, help="Forget its MAC address.")
@click.option("--id", "inventory_id", type=words.INVENTORY, help="A free string by which it may ask.")
@click.option("--no-id", is_flag=True, help="Forget its id.")
@click.option("--class", "terminal_class", type=words.NAME, help="Which viewer it runs.")
@click.option("--profile", type=words.NAME, help="Its own profile instead of the lab's choice.")
@click.option("--no-profile", is_flag=True, help="The lab's choice again.")
@click.option("--parameter", "parameters", type=words.PARAMETER, multiple=True, help="Set one parameter of its class.")
@click.option("--no-parameter", "dropped", multiple=True, metavar="NAME", help="Forget one parameter.")
@click.option("--active/--inactive", default=None, help="Inactive: it gets no guest.")
@click.option("--note", type=words.TEXT, help="For people.")
@pass_session
def set_terminal(
    session: Session,
    /,
    name: str,
    no_mac: bool,
    no_id: bool,
    no_profile: bool,
    parameters: tuple[tuple[str, str], ...],
    dropped: tuple[str, ...],
    **options: Any,
) -> None:
    """Change a terminal."""
    changes = given(**options)
    for flag, field in ((no_mac, "mac"), (no_id, "inventory_id"), (no_profile, "profile")):
        if flag and field in changes:
            raise InvalidInput(field, "cannot be set and forgotten at once")
        if flag:
            changes[field] = None
    with session.ports() as ports:
        if parameters or dropped:
            known = dict(terminals.one(ports, name).parameters)
            if strange := sorted(set(dropped) - known.keys()):
                raise InvalidInput("no_parameter", f"{name} has no parameter {strange[0][:32]!r}", hint=f"labvirt terminal show {name}")
            kept = {k: v for k, v in known.items() if k not in dropped}
            changes["parameters"] = tuple(sorted((kept | dict(parameters)).items()))
        changed = terminals.change(ports, name, **changes)
    session.show(shapes.terminal(changed), _lines(changed))


@terminal.command("remove")
@click.argument("name", type=words.NAME)
@pass_session
def remove_terminal(session: Session, /, name: str) -> None:
    """Forget a terminal; it lands in the inbox when it asks again."""
    with session.ports() as ports:
        gone = terminals.remove(ports, name)
    session.show({"removed": gone.name}, [f"{gone.name} is removed."])


@terminal.command("inbox")
@pass_session
def inbox(session: Session) -> None:
    """Terminals that asked and that nobody knows."""
    with session.ports() as ports:
        found = enrol.strangers(ports)
    session.table(
        found,
        ("CODE", "ID", "MAC", "ADDRESS", "FIRST SEEN", "LAST SEEN"),
        ((s.code, s.id, s.mac, s.address, f"{s.first_seen:%F %T}", f"{s.last_seen:%F %T}") for s in found),
        empty="Nobody waits in the inbox.",
    )


@terminal.command("adopt")
@click.argument("code", type=words.STRANGER)
@click.option("--lab", type=words.NAME, required=True, help="Where it stands.")
@click.option("--seat", type=int, help="Its number (default: the lowest free one).")
@click.option("--name", type=words.NAME, help="Its name (default: lab-tSEAT).")
@click.option("--class", "terminal_class", type=words.NAME, help="Which viewer it runs (default: spice).")
@click.option("--profile", type=words.NAME, help="Its own profile instead of the lab's choice.")
@click.option("--note", type=words.TEXT, help="For people.")
@pass_session
def adopt(session: Session, /, code: str, **options: Any) -> None:
    """Take a terminal from the inbox by the CODE on its screen, its MAC or its id."""
    with session.ports() as ports:
        adopted = enrol.adopt(ports, code, **given(**options))
    session.show(shapes.terminal(adopted), _lines(adopted))


@terminal.command("dismiss")
@click.argument("code", type=words.STRANGER)
@pass_session
def dismiss(session: Session, /, code: str) -> None:
    """Take a stranger out of the inbox without adopting it."""
    with session.ports() as ports:
        gone = enrol.dismiss(ports, code)
    session.show({"dismissed": gone.id}, [f"{gone.id} is dismissed."])


@terminal.command("boots")
@click.argument("name", type=words.NAME)
@pass_session
def boots_of_terminal(session: Session, /, name: str) -> None:
    """How long its last starts took, and what took longest."""
    with session.ports() as ports:
        found = boots.of_terminal(ports, name)
    boot_times.show_terminal(session, name, found)
