# SPDX-License-Identifier: MIT
"""What terminals tell of their boots, kept and looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address

from labvirt.domain.boot import LONGEST_MS, OWN, PHASES, Boot, PartSummary, TimeLine, summary, time_line
from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.errors import InvalidInput
from labvirt.usecases import asking
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs

CLOCKS_DIFFER = timedelta(milliseconds=500)
"""How much later a word arrives than it was said, at most, for the first question to be counted to this boot."""


LOOKED_AT = 5
"""Boots of each terminal that a lab's summary is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootView:
    """A boot with its time line; `boot` None: this terminal has told none yet."""

    terminal: str
    boot: Boot | None
    line: TimeLine


@dataclass(frozen=True, slots=True, kw_only=True)
class LabBoots:
    """The last boot of each terminal of a lab, by seat, and what their last boots (at most LOOKED_AT of each) come to."""

    lab: str
    last: tuple[BootView, ...]
    summary: tuple[PartSummary, ...]
    boots: int


def tell(
    ports: Ports,
    id: str | None,
    source: IPv4Address | None,
    *,
    boot_id: str,
    now_ms: int,
    phases: Mapping[str, int],
    complete: bool,
    firmware_ms: int | None = None,
    loader_ms: int | None = None,
    image_from: str = "",
    image_bytes: int | None = None,
    kernel_bytes: int | None = None,
    initrd_bytes: int | None = None,
    kiosk: str = "",
    flow_since: Callable[[str], datetime | None] = lambda guest: None,
) -> Boot:
    """This boot is kept, as the terminal's word, with the controller's own moments beside it. A whole boot is never replaced by another
    word with the same boot id, a partial one is.

    `now_ms` is the terminal's clock as it speaks; `flow_since` since when a guest's display has had a connection.
    Raises NotFound (unknown terminal), NotAllowed (another address than its lease), InvalidInput, EngineAway, DatabaseError.
    """
    if not 0 <= now_ms <= LONGEST_MS:
        raise InvalidInput("now", f"must be 0 to {LONGEST_MS}")
    terminal = asking.proven(ports, id, source, lately=True)
    at = ports.clock.now()
    with ports.database.read() as work:
        flow = flow_since(work.labs.one(terminal.lab).guest_name(terminal.seat))
    began = at - timedelta(milliseconds=now_ms)
    boot = Boot(
        terminal=terminal.name,
        boot_id=boot_id,
        at=at,
        phases=tuple((name, phases[name]) for name in PHASES if name in phases),
        own=_own(ports, terminal.name, began, flow),
        firmware_ms=firmware_ms,
        loader_ms=loader_ms,
        image_from=image_from,
        image_bytes=image_bytes,
        kernel_bytes=kernel_bytes,
        initrd_bytes=initrd_bytes,
        complete=complete,
        kiosk=one_line(kiosk, 40),
    )
    with ports.database.write() as work:
        before = work.boots.get(terminal.name, boot_id)
        if before is not None and before.complete:
            return before
        work.boots.put(boot)
        work.commit()
    return boot


@needs(Right.LOOK, terminal="name")
def of_terminal(ports: Ports, name: str) -> tuple[BootView, ...]:
    """The kept boots of this terminal, the newest first. Raises NotFound."""
    with ports.database.read() as work:
        terminal = work.terminals.one(name)
        return tuple(_view(boot) for boot in work.boots.of_terminal(terminal.name))


@needs(Right.LOOK, lab="name")
def of_lab(ports: Ports, name: str) -> LabBoots:
    """Raises NotFound."""
    with ports.database.read() as work:
        lab = work.labs.one(name)
        terminals = sorted(work.terminals.of_lab(lab.name), key=lambda terminal: terminal.seat)
        kept = {terminal.name: work.boots.of_terminal(terminal.name, last=LOOKED_AT) for terminal in terminals}
    everything = [boot for boots in kept.values() for boot in boots]
    return LabBoots(
        lab=lab.name,
        last=tuple(
            _view(boots[0]) if boots else BootView(terminal=terminal, boot=None, line=TimeLine(parts=()))
            for terminal, boots in kept.items()
        ),
        summary=summary(everything),
        boots=len(everything),
    )


def _own(ports: Ports, terminal: str, began: datetime, flow: datetime | None) -> tuple[tuple[str, int], ...]:
    """What the controller saw since `began`, on the boot's scale."""
    since = began - CLOCKS_DIFFER
    seen = {
        "asked": ports.witness.first_since(terminal, "asked", since),
        "ticket": ports.witness.first_since(terminal, "ticket", since),
        "flow": flow if flow is not None and flow >= since else None,
    }
    return tuple((what, max(0, round((at - began) / timedelta(milliseconds=1)))) for what in OWN if (at := seen[what]) is not None)


def _view(boot: Boot) -> BootView:
    return BootView(terminal=boot.terminal, boot=boot, line=time_line(boot))
