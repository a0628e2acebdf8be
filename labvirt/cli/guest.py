# SPDX-License-Identifier: MIT
"""labvirt guest ..."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from labvirt import shapes
from labvirt.cli import words
from labvirt.cli.amounts import counted, moment
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.domain.guest import Guest, Purpose, StopHow
from labvirt.errors import InvalidInput
from labvirt.usecases import inspect, messages, power, seats
from labvirt.usecases.inspect import Explanation
from labvirt.usecases.seats import SeatRestart


@click.group(cls=Noun)
def guest() -> None:
    """The virtual machines; GUEST is the name of a guest or of its terminal."""


def _line(each: Guest) -> str:
    why = f" ({each.reason})" if each.reason else ""
    return f"{each.name} is {each.state}{why}; wanted: {each.wish}."


def _told(session: Session, /, each: Guest) -> None:
    session.show(
        shapes.guest(each),
        [
            _line(each),
            *([f"  {each.purpose} of {each.source}"] if each.purpose is not Purpose.SEAT and each.source else []),
            *([f"  CD {each.cdrom}" + (", boots from it" if each.boot_cdrom else "")] if each.cdrom else []),
            *(
                [f"  to be {'stopped' if each.due == 'stop' else 'started afresh'} at {moment(each.due_at)}: {each.notice}"]
                if each.due
                else []
            ),
        ],
    )


@guest.command("list")
@click.option("--lab", type=words.NAME, help="Only of this lab.")
@pass_session
def list_guests(session: Session, /, lab: str | None) -> None:
    """All guests that were ever wanted. With their versions now and at their next start."""
    with session.ports() as ports:
        found = power.guests(ports, lab)
        living = {each.guest: each for each in seats.versions(ports, lab=lab)}

    def versions(each: Guest) -> str:
        if each.name in living:
            return living[each.name].words
        return ", ".join(f"{disk.image} v{disk.version}" for disk in each.disks)

    session.table(
        [shapes.guest_at_seat(each, living.get(each.name)) for each in found],
        ("NAME", "STATE", "SINCE", "WISH", "FOR", "PROFILE", "VERSIONS", "REASON"),
        (
            (
                g.name,
                g.state,
                moment(g.since),
                g.wish,
                g.terminal if g.purpose is Purpose.SEAT else f"{g.purpose} {g.source}".rstrip(),
                g.profile,
                versions(g),
                g.notice or g.reason,
            )
            for g in found
        ),
        empty="No guest was ever wanted. Switch a terminal on, or: labvirt guest start LAB-01",
    )


@guest.command("show")
@click.argument("name", type=words.GUEST)
@pass_session
def show_guest(session: Session, /, name: str) -> None:
    """One guest."""
    with session.ports() as ports:
        _told(session, power.one(ports, name))


@guest.command("start")
@click.argument("name", type=words.GUEST)
@pass_session
def start_guest(session: Session, /, name: str) -> None:
    """Want it; nothing happens to one that lives."""
    with session.ports() as ports:
        _told(session, power.start(ports, name))


@guest.command("stop")
@click.argument("name", type=words.GUEST)
@click.option(
    "--how",
    type=words.choice(StopHow),
    default=str(StopHow.SHUTDOWN),
    help="shutdown presses the power button (default), stop switches off, kill ends a process that answers nothing.",
)
@pass_session
def stop_guest(session: Session, /, name: str, how: StopHow) -> None:
    """Do not want it any more."""
    with session.ports() as ports:
        _told(session, power.stop(ports, name, how))


@guest.command("reset")
@click.argument("name", type=words.GUEST)
@pass_session
def reset_guest(session: Session, /, name: str) -> None:
    """Press its reset button: same run, same disks."""
    with session.ports() as ports:
        _told(session, power.reset(ports, name))


@guest.command("fresh")
@click.argument("name", type=words.GUEST)
@pass_session
def fresh_guest(session: Session, /, name: str) -> None:
    """A new run on new overlays; what was written is forgotten."""
    with session.ports() as ports:
        _told(session, power.fresh(ports, name))


@guest.command("run")
@click.argument("name", type=words.GUEST)
@click.option("--cdrom", type=words.FILE, required=True, help="Disc image for its CD-ROM drive.")
@click.option("--boot", type=click.Choice(["cdrom", "disk"]), default="disk", help="What it boots from (default: disk).")
@pass_session
def run_guest(session: Session, /, name: str, cdrom: Path, boot: str) -> None:
    """A new run with a CD in its drive, until its next fresh run. What it writes is forgotten: to install for good, see `admin start`.

    \b
    labvirt guest run lab-a-07 --cdrom /srv/memtest.iso --boot cdrom
    """
    with session.ports() as ports:
        _told(session, power.run_with_cdrom(ports, name, cdrom, boot=boot == "cdrom"))


@guest.command("restart-old")
@click.option("--lab", type=words.NAME, help="Only in this lab.")
@click.option("--image", type=words.NAME, help="Only those with an old version of this image.")
@click.option("--grace", "grace_seconds", type=int, default=300, help="Seconds for whoever sits there (default 300).")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@pass_session
def restart_old(session: Session, /, lab: str | None, image: str | None, grace_seconds: int, dry_run: bool) -> None:
    """Start seats with an old version afresh. At once where nobody is connected, else after a grace, and told so.

    \b
    labvirt guest restart-old --image tiny --dry-run
    labvirt guest restart-old --lab lab-a --grace 600
    """
    with session.ports() as ports:
        found = seats.restart_old(ports, lab=lab, image=image, grace_seconds=grace_seconds, by=session.who, dry_run=dry_run)
        now = ports.clock.now()

    def row(each: SeatRestart) -> tuple[object, ...]:
        when = "stays" if each.at is None else "now" if each.at <= now else moment(each.at)
        return each.guest, each.versions.words, when, each.why

    session.table(
        [shapes.seat_restart(each) for each in found],
        ("SEAT", "VERSIONS", "AFRESH", "WHY"),
        map(row, found),
        empty="Every seat that runs has the version it would get now.",
    )
    if found and not session.as_json:
        due = sum(each.at is not None for each in found)
        session.say(f"{counted(due, 'seat')} {'would be' if dry_run else 'to be'} started afresh.")


@guest.command("screenshot")
@click.argument("name", type=words.GUEST)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@pass_session
def screenshot(session: Session, /, name: str, file: Path) -> None:
    """Its screen as a PNG FILE."""
    with session.ports() as ports:
        found = power.one(ports, name)
        picture = ports.engine.screenshot(found.name)
    try:
        file.write_bytes(picture)
    except OSError as error:
        raise InvalidInput("file", f"{file} cannot be written: {error.strerror}") from error
    session.show({"guest": found.name, "file": file, "size_bytes": len(picture)}, [f"The screen of {found.name} is in {file}."])


@guest.command("tell")
@click.argument("said", metavar="[GUEST] SENTENCE", nargs=-1, required=True, type=words.TEXT)
@click.option("--lab", type=words.NAME, help="Everybody in this lab, instead of one guest.")
@click.option("--minutes", type=int, default=messages.MINUTES, help=f"So long it is true (default {messages.MINUTES}).")
@pass_session
def tell_guest(session: Session, /, said: tuple[str, ...], lab: str | None, minutes: int) -> None:
    """Show a sentence to whoever sits there, over the desktop.

    \b
    labvirt guest tell lab-a-07 "Please come to the desk."
    labvirt guest tell --lab lab-a "Ten minutes left." --minutes 10
    """
    said = said_of(said, lab)
    with session.ports() as ports:
        if lab:
            told = messages.tell_lab(ports, lab, said[0], minutes=minutes, by=session.who)
        else:
            told = (messages.tell_guest(ports, said[0], said[1], minutes=minutes, by=session.who),)
    shown = [{"guest": each.guest, "text": each.text, "until": each.until} for each in told]
    session.show(shown, [f"{counted(len(told), 'seat')} told, until {moment(told[0].until)}: {told[0].text}"])


def said_of(said: tuple[str, ...], lab: str | None) -> tuple[str, ...]:
    """A sentence for everybody in a lab, else a guest and a sentence. Raises InvalidInput."""
    if len(said) != (1 if lab else 2):
        wanted = "one sentence" if lab else "a guest and one sentence"
        raise InvalidInput(
            "sentence", f"give {wanted}", hint='labvirt guest tell GUEST "SENTENCE" or labvirt guest tell --lab LAB "SENTENCE"'
        )
    return said if lab else (words.GUEST.convert(said[0], None, None), said[1])


@guest.command("explain")
@click.argument("name", type=words.GUEST)
@pass_session
def explain_guest(session: Session, /, name: str) -> None:
    """Why this seat gets this guest: rule, profile, versions, MAC, lease, host, command line."""
    with session.ports() as ports:
        told = inspect.explain(ports, name)
    session.show(shapes.explanation(told), _explained(told))


def _explained(told: Explanation) -> list[str]:
    identity, lease = told.identity, told.lease
    state = "never wanted" if told.guest is None else _line(told.guest).removeprefix(f"{told.name} is ").removesuffix(".")
    run = f", run {told.guest.run}" if told.guest and told.guest.run else ""
    if run and told.guest and told.guest.origin:
        run += f" ({told.guest.origin})"
    lease_text = f"{lease.address} as {lease.name or 'nameless'}" if lease else told.lease_problem or "none"
    return [
        f"{told.name}: seat {told.seat} of {told.lab.name}, terminal {told.terminal.name if told.terminal else 'none'}",
        f"state      {state}{run}",
        f"rule       {told.rule}",
        *(f"           {'+' if each.taken else '-'} {each.profile}: {each.why}" for each in told.verdicts),
        f"profile    {told.profile.name if told.profile else 'none'}",
        *(
            f"disk {each.place}     {f'{each.now.image} v{each.now.version}' if each.now else 'none'}, at the next start "
            f"{f'{each.next.image} v{each.next.version}' if each.next else 'none'}"
            for each in told.disks
        ),
        f"MAC        {identity.mac}, TAP {identity.tap}, uuid {identity.uuid}",
        f"address    {identity.address}, name {identity.guest}.{told.lab.domain}",
        f"lease      {lease_text}",
        f"host       {told.host.name if told.host else 'none'}",
        f"command    {shlex.join(told.command_line) if told.command_line else f'none: {told.command_problem}'}",
        *(f"history    {entry.at:%F %T} {entry.what}" for entry in told.history),
    ]
