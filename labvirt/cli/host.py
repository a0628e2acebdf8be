# SPDX-License-Identifier: MIT
"""labvirt host ..."""

from __future__ import annotations

from typing import Any

import click

from labvirt.cli import words
from labvirt.cli.session import Noun, Session, given, pass_session
from labvirt.cli.under_way import under_way, under_way_lines, under_way_shape
from labvirt.domain.host import Host
from labvirt.errors import EngineAway, InvalidInput
from labvirt.shapes import plain
from labvirt.usecases import hosts


@click.group(cls=Noun)
def host() -> None:
    """The machines that run guests."""


def _lines(each: Host) -> list[str]:
    return [
        f"{each.name}: {'takes new guests' if each.in_service else 'takes no new guests'}",
        f"  kept for itself: {each.memory_reserve_mib} MiB of memory, {each.disk_reserve_mib} MiB of disk",
        f"  most guests: {each.max_guests if each.max_guests is not None else 'as many as fit'}",
        f"  starting at once: {each.starts_at_once or 'as many as it bears'}",
        *([f"  {each.note}"] if each.note else []),
    ]


@host.command("list")
@pass_session
def list_hosts(session: Session) -> None:
    """All hosts."""
    with session.ports() as ports:
        found = hosts.everything(ports)
    session.table(
        found,
        ("NAME", "IN SERVICE", "MEMORY KEPT", "DISK KEPT", "MOST GUESTS", "NOTE"),
        (
            (
                h.name,
                "yes" if h.in_service else "no",
                f"{h.memory_reserve_mib} MiB",
                f"{h.disk_reserve_mib} MiB",
                h.max_guests,
                h.note,
            )
            for h in found
        ),
        empty="There is no host. Set the site up: labvirt init",
    )


@host.command("show")
@click.argument("name", type=words.TEXT, required=False)
@click.option("--engine", is_flag=True, help="Insist on the engine's answer: exit code 3 when it is away.")
@pass_session
def show_host(session: Session, /, name: str | None, engine: bool) -> None:
    """Show one host and its engine. Default: the only one. With open admin sessions, and jobs that go on."""
    with session.ports() as ports:
        found = hosts.one(ports, name) if name is not None else _only(hosts.everything(ports))
        try:
            status, problem = ports.engine.status(), ""
        except EngineAway as error:
            if engine:
                raise
            status, problem = None, error.sentence
        drafts, going_on = under_way(ports)
        now = ports.clock.now()
    told: dict[str, Any] = plain(found)
    lines = _lines(found)
    if status is None:
        lines.append(f"  {problem}")
    else:
        held = f": {status.starts_held}" if status.starts_held else ""
        lines += [
            f"  engine {status.version}, pid {status.pid}, since {status.started_at:%F %T}",
            f"  guests run by {status.driver} with {status.accelerator}. {status.notice}".rstrip(),
            *([f"  bears {status.starts_at_once} starts at once{held}"] if status.starts_at_once is not None else []),
            *(f"  waits: {each}" for each in status.queue),
            *(f"  {each.severity}: {each.sentence} {each.fix}".rstrip() for each in status.findings),
        ]
    session.show(
        told | {"engine": plain(status), "engine_problem": problem} | under_way_shape(drafts, going_on, now),
        [*lines, *(f"  {line}" for line in under_way_lines(drafts, going_on))],
    )


@host.command("set")
@click.argument("name", type=words.TEXT)
@click.option("--memory-reserve-mib", type=int, help="Memory left to the host itself.")
@click.option("--disk-reserve-mib", type=int, help="Disk space that is never used for overlays.")
@click.option("--starts-at-once", type=int, help="Guests started in parallel.")
@click.option("--max-guests", type=int, help="Never more than so many.")
@click.option("--no-max-guests", is_flag=True, help="As many as fit.")
@click.option("--in-service/--out-of-service", default=None, help="Does it take new guests?")
@click.option("--note", type=words.TEXT, help="For people.")
@pass_session
def set_host(session: Session, /, name: str, no_max_guests: bool, **options: Any) -> None:
    """Change what a host bears; running guests stay."""
    changes = given(**options)
    if no_max_guests:
        if "max_guests" in changes:
            raise InvalidInput("max_guests", "cannot be set and forgotten at once")
        changes["max_guests"] = None
    with session.ports() as ports:
        changed = hosts.change(ports, name, **changes)
    session.show(changed, _lines(changed))


def _only(found: tuple[Host, ...]) -> Host:
    if len(found) != 1:
        raise InvalidInput("name", f"is needed: there are {len(found)} hosts", hint="List them: labvirt host list")
    return found[0]
