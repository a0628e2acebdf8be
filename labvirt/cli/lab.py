# SPDX-License-Identifier: MIT
"""labvirt lab ..."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import click

from labvirt import shapes
from labvirt.cli import boot_times, lab_hardware, lab_power, words
from labvirt.cli.amounts import counted, moment
from labvirt.cli.session import Noun, Session, given, pass_session
from labvirt.contracts.dhcp import DhcpForm
from labvirt.domain.guest import StopHow
from labvirt.domain.lab import DhcpMode, Lab, OnLeave
from labvirt.errors import InvalidInput
from labvirt.usecases import boots, campus_dhcp, labs, messages, power


@click.group(cls=Noun)
def lab() -> None:
    """Groups of terminals that share profiles and a network."""


_DHCP = {
    DhcpMode.OWN: "own, this controller gives the addresses and tells terminals how to boot",
    DhcpMode.PROXY: "proxy, the campus gives the addresses and this controller tells terminals how to boot",
    DhcpMode.NONE: "none, the campus gives the addresses and tells terminals how to boot",
}

for _each in (*lab_power.COMMANDS, *lab_hardware.COMMANDS):
    lab.add_command(_each)


def _lines(each: Lab) -> list[str]:
    return [
        f"{each.name}: network {each.network.network}, gateway {each.network.gateway}, bridge {each.bridge}",
        f"  guests' MACs begin with {str(each.plan.mac(1))[:-4]}, domain {each.domain}",
        f"  seats with a guest: 1 to {each.max_instances}; started with the engine: {each.start_instances}",
        f"  DHCP: {_DHCP[each.dhcp]}",
        f"  when the viewer leaves: {each.on_leave} after {each.leave_grace_seconds} s",
        *([f"  {each.note}"] if each.note else []),
    ]


def _options(command: Any) -> Any:
    for option in reversed(
        (
            click.option("--max-instances", type=int, help="No seat beyond this number gets a guest."),
            click.option("--start-instances", type=int, help="So many seats' guests start with the engine."),
            click.option("--on-leave", type=words.choice(OnLeave), help="What happens when the viewer leaves."),
            click.option("--leave-grace-seconds", type=int, help="How long that waits."),
            click.option("--domain", type=words.TEXT, help="DNS domain of terminals and guests."),
            click.option("--dhcp", type=words.choice(DhcpMode), help="Who answers DHCP there: this controller, or the campus."),
            click.option("--note", type=words.TEXT, help="For people."),
        )
    ):
        command = option(command)
    return command


@lab.command("list")
@pass_session
def list_labs(session: Session) -> None:
    """All labs."""
    with session.ports() as ports:
        found = labs.everything(ports)
    session.table(
        [shapes.lab(each) for each in found],
        ("NAME", "NETWORK", "SEATS", "AT START", "ON LEAVE", "NOTE"),
        ((e.name, e.network.network, e.max_instances, e.start_instances, e.on_leave, e.note) for e in found),
        empty="There is no lab. Add one: labvirt lab add lab-a --network 10.77.0.0/24",
    )


@lab.command("show")
@click.argument("name", type=words.NAME)
@pass_session
def show_lab(session: Session, /, name: str) -> None:
    """One lab."""
    with session.ports() as ports:
        found = labs.one(ports, name)
    session.show(shapes.lab(found), _lines(found))


@lab.command("add")
@click.argument("name", type=words.NAME)
@click.option("--network", type=words.NETWORK, required=True, help="Its IPv4 network, /18 to /26, like 10.77.0.0/24.")
@_options
@pass_session
def add_lab(session: Session, /, name: str, network: Any, **options: Any) -> None:
    """A new lab; its MAC addresses are allocated."""
    prefix = session.app.mac_prefix(session.state)
    with session.ports() as ports:
        added = labs.add(ports, name=name, network=network, mac_prefix=prefix, **given(**options))
    session.show(shapes.lab(added), _lines(added))


@lab.command("set")
@click.argument("name", type=words.NAME)
@click.option("--network", type=words.NETWORK, help="Only while none of its guests lives.")
@_options
@pass_session
def set_lab(session: Session, /, name: str, **options: Any) -> None:
    """Change a lab."""
    with session.ports() as ports:
        changed = labs.change(ports, name, **given(**options))
    session.show(shapes.lab(changed), _lines(changed))


@lab.command("remove")
@click.argument("name", type=words.NAME)
@pass_session
def remove_lab(session: Session, /, name: str) -> None:
    """Remove a lab without terminals and living guests."""
    with session.ports() as ports:
        gone = labs.remove(ports, name)
    session.show({"removed": gone.name}, [f"{gone.name} is removed."])


@lab.command("dhcp")
@click.argument("name", type=words.NAME)
@click.option("--form", type=words.choice(DhcpForm), required=True, help="The server they are written for; csv: a plain list.")
@pass_session
def dhcp_of_lab(session: Session, /, name: str, form: DhcpForm) -> None:
    """Print the settings that a DHCP server of the campus needs for this lab.

    Pipe them into its file. Print them again when a terminal was adopted, moved or removed.
    """
    with session.ports() as ports:
        told = campus_dhcp.settings(ports, name, form)
    session.show({"lab": name, "form": form, "text": told.text, "remarks": told.remarks}, told.text.splitlines())
    if not session.as_json:
        for remark in told.remarks:
            click.echo(f"labvirt: {remark}", err=True)


@lab.command("start")
@click.argument("name", type=words.NAME)
@pass_session
def start_lab(session: Session, /, name: str) -> None:
    """Start the guests of all its active terminals."""
    with session.ports() as ports:
        wanted = power.start_lab(ports, name)
    session.show([shapes.guest(each) for each in wanted], [f"{len(wanted)} guests of {name} are wanted."])


@lab.command("stop")
@click.argument("name", type=words.NAME)
@click.option("--how", type=words.choice(StopHow), default=str(StopHow.SHUTDOWN), help="Default: shutdown.")
@pass_session
def stop_lab(session: Session, /, name: str, how: StopHow) -> None:
    """Stop all its guests."""
    with session.ports() as ports:
        changed = power.stop_lab(ports, name, how)
    session.show([shapes.guest(each) for each in changed], [f"{len(changed)} guests of {name} are being stopped."])


@lab.command("end")
@click.argument("name", type=words.NAME)
@click.option("--at", "at", type=words.CLOCK, help="When, by the clock on the wall, like 10:05; a time that is over means tomorrow.")
@click.option("--in", "minutes", type=int, help="When, in minutes from now.")
@click.option("--then", type=click.Choice(["fresh", "stop"]), default="fresh", help="What its guests come to (default: fresh).")
@click.option("--call-off", is_flag=True, help="The lesson goes on after all.")
@pass_session
def end_lab(session: Session, /, name: str, at: tuple[int, int] | None, minutes: int | None, then: str, call_off: bool) -> None:
    """End the lesson at a time that everybody hears: now, and again 5 minutes and 1 minute before.

    With `--then stop`, a guest whose terminal stays switched on is started again by it.

    \b
    labvirt lab end lab-a --in 30
    labvirt lab end lab-a --at 10:05 --then stop
    """
    if sum((at is not None, minutes is not None, call_off)) != 1:
        raise InvalidInput("at", "give one of --at, --in and --call-off", hint=f"labvirt lab end {name} --in 30")
    with session.ports() as ports:
        if call_off:
            found = messages.call_off_end(ports, name, by=session.who)
            said = f"{counted(len(found), 'seat')} of {name} told no longer that the lesson ends."
        else:
            when = _moment(ports.clock.now(), at, minutes)
            found = messages.end_lesson(ports, name, when, fresh=then == "fresh", by=session.who)
            said = f"{counted(len(found), 'seat')} of {name} told that the lesson ends at {moment(when)}."
    session.show([shapes.guest(each) for each in found], [said])


def _moment(now: datetime, at: tuple[int, int] | None, minutes: int | None) -> datetime:
    """The time that is meant, in UTC's own zone."""
    if at is None:
        assert minutes is not None
        if not 1 <= minutes <= 1440:
            raise InvalidInput("in", "must be 1 to 1440 minutes")
        return now + timedelta(minutes=minutes)
    today = now.astimezone().replace(hour=at[0], minute=at[1], second=0, microsecond=0)
    return (today if today > now else today + timedelta(days=1)).astimezone(now.tzinfo)


@lab.command("boots")
@click.argument("name", type=words.NAME)
@pass_session
def boots_of_lab(session: Session, /, name: str) -> None:
    """How long its terminals' last starts took: median and worst of each part."""
    with session.ports() as ports:
        found = boots.of_lab(ports, name)
    boot_times.show_lab(session, found)
