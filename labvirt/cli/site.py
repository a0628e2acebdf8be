# SPDX-License-Identifier: MIT
"""labvirt init, code, doctor, verify, overview: what concerns the whole site."""

from __future__ import annotations

import click

from labvirt.cli import errors
from labvirt.cli.session import Command, Session, pass_session
from labvirt.cli.under_way import under_way, under_way_lines, under_way_shape
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import Purpose
from labvirt.shapes import plain
from labvirt.usecases import inspect
from labvirt.usecases import setup as setup_case


@click.command(cls=Command)
@click.option("--again", is_flag=True, help="A new set-up code for a site that exists; the old one is void.")
@click.option(
    "--hypervisor",
    type=click.Choice(["qemu", "libvirt", "fake"]),
    help="Written to labvirt.toml: what this site runs guests with (default: qemu).",
)
@pass_session
def init(session: Session, /, again: bool, hypervisor: str | None) -> None:
    """Set a site up in the state folder and print the one-time set-up code."""
    code = session.app.init(session.state, again, hypervisor)
    session.show(
        {"state": session.state, "code": code},
        [
            f"LabVirt is set up in {session.state}.",
            f"Set-up code (shown once): {code}",
            "Next: labvirt serve, then open the page and type the code.",
        ],
    )


@click.command(cls=Command)
@pass_session
def code(session: Session) -> None:
    """A code that opens the pages once, within ten minutes."""
    with session.ports() as ports:
        made = setup_case.sign_in_code(ports)
    session.show(
        {"code": made, "expires_seconds": setup_case.SIGN_IN_MINUTES * 60},
        [f"{made} (valid once, for {setup_case.SIGN_IN_MINUTES} minutes)"],
    )


def _findings(session: Session, /, ctx: click.Context, found: tuple[Finding, ...], good: str, bad: Severity) -> None:
    order = (Severity.OK, Severity.WARNING, Severity.ERROR)
    ok = all(order.index(each.severity) < order.index(bad) for each in found)
    lines = []
    for each in found:
        lines.append(f"{each.severity:8} {each.sentence}")
        if each.fix:
            lines.append(f"         {each.fix}")
    session.show({"ok": ok, "findings": found}, [*lines, *([good] if ok else [])])
    if not ok:
        ctx.exit(errors.NO)


@click.command(cls=Command)
@pass_session
@click.pass_context
def doctor(ctx: click.Context, session: Session) -> None:
    """Look at this host: what is missing, and the exact command that mends it. Changes nothing."""
    _findings(session, ctx, session.app.doctor(session.state), "This host is able.", Severity.ERROR)


@click.command(cls=Command)
@pass_session
@click.pass_context
def verify(ctx: click.Context, session: Session) -> None:
    """Compare database, processes, TAPs, rules, leases, sockets and overlays; name every stray."""
    with session.ports() as ports:
        found = ports.engine.verify()
    _findings(session, ctx, found, "Everything is as it should be.", Severity.WARNING)


@click.command(cls=Command)
@pass_session
def overview(session: Session) -> None:
    """All seats as they are now. With open admin sessions, and jobs that go on."""
    with session.ports() as ports:
        told = inspect.overview(ports)
        drafts, going_on = under_way(ports)
    if told.engine_problem:
        session.say(told.engine_problem)
    session.table(
        plain(told) | under_way_shape(drafts, going_on, told.at),
        ("LAB", "SEAT", "TERMINAL", "GUEST", "STATE", "FOR", "VERSIONS", "LEASE", "ANSWER"),
        (
            (
                lab.lab.name,
                seat.seat,
                seat.terminal.name if seat.terminal else None,
                seat.guest.name if seat.guest else None,
                seat.guest.state if seat.guest else None,
                f"{seat.guest_seconds} s" if seat.guest_seconds is not None else None,
                seat.versions,
                seat.guest_lease.address if seat.guest_lease else None,
                seat.answer.message if seat.answer else None,
            )
            for lab in told.labs
            for seat in lab.seats
        ),
        empty="There is no seat yet: labvirt terminal add, or labvirt terminal inbox",
    )
    if not session.as_json:
        for lab in told.labs:
            for special in lab.specials:
                if special.guest.purpose is not Purpose.ADMIN:  # those are told with their sessions
                    session.say(f"{special.guest.name}: {special.guest.purpose} of {special.subject}, {special.guest.state}")
        for line in under_way_lines(drafts, going_on):
            session.say(line)
