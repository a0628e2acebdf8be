# SPDX-License-Identifier: MIT
"""labvirt init, code, doctor, verify, history, overview, version: what concerns the whole site."""

from __future__ import annotations

import platform

import click

from labvirt import __version__
from labvirt.cli import errors, words
from labvirt.cli.session import Command, Session, pass_session
from labvirt.domain.findings import Finding, Severity
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
@click.option("--count", type=click.IntRange(1, 10_000), default=50, help="How many lines (default 50).")
@click.option("--subject", type=words.TEXT, help="Only about this guest, terminal, lab ...")
@pass_session
def history(session: Session, /, count: int, subject: str | None) -> None:
    """What happened, newest first."""
    with session.ports() as ports:
        found = inspect.history(ports, count, subject)
    session.table(
        found,
        ("AT", "SUBJECT", "WHAT"),
        ((f"{each.at:%F %T}", each.subject, each.what) for each in found),
        empty="Nothing is known.",
    )


@click.command(cls=Command)
@pass_session
def overview(session: Session) -> None:
    """All seats as they are now."""
    with session.ports() as ports:
        told = inspect.overview(ports)
    if told.engine_problem:
        session.say(told.engine_problem)
    session.table(
        told,
        ("LAB", "SEAT", "TERMINAL", "GUEST", "STATE", "FOR", "LEASE", "ANSWER"),
        (
            (
                lab.lab.name,
                seat.seat,
                seat.terminal.name if seat.terminal else None,
                seat.guest.name if seat.guest else None,
                seat.guest.state if seat.guest else None,
                f"{seat.guest_seconds} s" if seat.guest_seconds is not None else None,
                seat.guest_lease.address if seat.guest_lease else None,
                seat.answer.message if seat.answer else None,
            )
            for lab in told.labs
            for seat in lab.seats
        ),
        empty="There is no seat yet: labvirt terminal add, or labvirt terminal inbox",
    )


@click.command(cls=Command)
@pass_session
def version(session: Session) -> None:
    """The version of LabVirt."""
    session.show({"labvirt": __version__, "python": platform.python_version()}, [f"LabVirt {__version__}"])
