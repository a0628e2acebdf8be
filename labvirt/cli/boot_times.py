# SPDX-License-Identifier: MIT
"""How boots look on the command line: `labvirt terminal boots` and `labvirt lab boots`."""

from __future__ import annotations

from labvirt import shapes
from labvirt.cli.session import Session
from labvirt.domain.boot import OWN
from labvirt.usecases.boots import BootView, LabBoots


def seconds(ms: float) -> str:
    return f"{ms / 1000:.1f} s"


def show_terminal(session: Session, name: str, found: tuple[BootView, ...]) -> None:
    """Every kept boot in a row, the newest in its parts."""
    rows = [_row(view) for view in found]
    columns = ("TOLD", "WHOLE", "BIGGEST PART", "TOOK", "IMAGE FROM", "FETCHED", "KIOSK")
    empty = f"{name} has told no boot yet. A PC that boots the kiosk from the network tells it when its viewer is connected."
    session.table([shapes.boot(view) for view in found], columns, rows, empty=empty)
    newest = found[0] if found else None
    if newest is None or newest.boot is None or session.as_json:
        return
    session.say(f"The last one, told at {newest.boot.at:%F %T} UTC:")
    for part in newest.line.parts:
        session.say(f"  {seconds(part.ms):>9}  until {seconds(part.end_ms):>9}  {part.label}")
    for what, ms in newest.boot.own:
        session.say(f"  seen by the controller at {seconds(ms)} after the kernel's start: {OWN.get(what, what)}")
    if newest.boot.firmware_ms is None:
        session.say("  What the firmware and the boot loader took is not known: this machine's firmware does not tell.")


def show_lab(session: Session, found: LabBoots) -> None:
    """Median and worst of each part."""
    session.table(
        shapes.lab_boots(found),
        ("PART", "MEDIAN", "WORST", "WORST AT", "BOOTS"),
        ((part.label, seconds(part.median_ms), seconds(part.worst_ms), part.worst_terminal, part.boots) for part in found.summary),
        empty=f"No terminal of {found.lab} has told a boot yet.",
    )


def _row(view: BootView) -> tuple[object, ...]:
    boot, biggest = view.boot, view.line.biggest
    assert boot is not None
    fetched = boot.fetched_bytes
    return (
        f"{boot.at:%F %T}",
        seconds(view.line.total_ms) if boot.complete else f"{seconds(view.line.total_ms)}, not whole",
        biggest.label if biggest else "",
        seconds(biggest.ms) if biggest else "",
        boot.image_from or "not told",
        f"{fetched / 1e6:.1f} MB" if fetched is not None else "not told",
        boot.kiosk,
    )
