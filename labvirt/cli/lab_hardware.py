# SPDX-License-Identifier: MIT
"""labvirt lab hardware: the inventory, as the terminals tell it."""

from __future__ import annotations

import click

from labvirt import shapes
from labvirt.cli import words
from labvirt.cli.session import Command, Session, pass_session
from labvirt.domain.hardware import link_words
from labvirt.usecases import hardware as reports
from labvirt.usecases.hardware import HardwareView


def lines(each: HardwareView) -> list[str]:
    """For people, below the terminal itself."""
    if each.report is None:
        return ["  it has not said what machine it is"]
    said = each.report.hardware.words or "nothing"
    judged = [f"  ! {finding.sentence} {finding.fix}" for finding in each.findings]
    return [f"  says of its machine ({each.report.at.astimezone():%F %T}): {said}", *judged]


@click.command("hardware", cls=Command)
@click.argument("name", type=words.NAME)
@pass_session
def hardware(session: Session, /, name: str) -> None:
    """What its terminals say of their machines, and what is poor about them."""
    with session.ports() as ports:
        found = reports.of_lab(ports, name)
    session.table(
        [shapes.hardware(each) for each in found],
        ("SEAT", "TERMINAL", "MACHINE", "PROCESSOR", "MEMORY", "SCREEN", "LINK", "TO DO"),
        (_row(each) for each in found),
        empty=f"The lab {name} has no terminal.",
    )


def _row(each: HardwareView) -> tuple[object, ...]:
    seat, name = each.terminal.seat, each.terminal.name
    if each.report is None:
        return seat, name, "has not said yet", "", "", "", "", ""
    said = each.report.hardware
    return (
        seat,
        name,
        " ".join(part for part in (said.vendor, said.product) if part),
        f"{said.cpus or '?'} x {said.cpu or 'unknown'}" if said.cpus or said.cpu else "",
        f"{said.memory_mib} MiB" if said.memory_mib else "",
        "" if said.screens is None else ", ".join(said.screens) or "none",
        link_words(said.link_mbps),
        " ".join(finding.sentence for finding in each.findings),
    )


COMMANDS: tuple[click.Command, ...] = (hardware,)
