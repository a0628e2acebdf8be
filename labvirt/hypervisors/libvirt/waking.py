# SPDX-License-Identifier: MIT
"""A clone that libvirt has started, woken where its template was frozen; and the other way: a guest put to sleep for good.

QEMU answers for itself here (qemuMonitorCommand): libvirt's own migration and saving take the RAM along, and its sandbox ends programs
that QEMU would start to read a state. The network card is libvirt's business: it belongs to the domain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import libvirt

from labvirt.contracts.hypervisor import LaunchSpec
from labvirt.domain.guest import RunId
from labvirt.domain.template import TemplateName
from labvirt.errors import DriverTimeout, HypervisorError, TemplateUnfit
from labvirt.hypervisors.libvirt import domain_xml
from labvirt.hypervisors.libvirt.migrations import CAPABILITIES, COMPLETED, FAILED, Migrations


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Of which template, and a descriptor of its state, read from the beginning."""

    template: TemplateName
    state: int


class Monitor(Protocol):
    """One QMP command; the descriptor `file` goes along. Returns QEMU's JSON."""

    def __call__(self, execute: str, *, file: int | None = None, **arguments: object) -> str: ...


class Doing(Protocol):
    """Something of libvirt's own with the domain, that QEMU must answer in time."""

    def __call__(self, operation: str, *, work: Callable[[libvirt.virDomain], object]) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """A run that is woken or put to sleep, by the driver's own ways to it. A state is read or written within `seconds`."""

    run: RunId
    ask: Monitor
    do: Doing
    migrations: Migrations
    seconds: float


def wake(spec: LaunchSpec, fork: Fork, mark: domain_xml.Mark, bed: Bed) -> None:
    """It has its state, its network card and this mark; it stands still yet.

    Raises TemplateUnfit (QEMU does not take the state), HypervisorError, DriverTimeout.
    """
    bed.ask("migrate-set-capabilities", capabilities=CAPABILITIES)
    bed.ask("getfd", file=fork.state, fdname="state")
    with bed.migrations.watch(spec.run) as watch:
        bed.ask("migrate-incoming", uri="fd:state")
        end = watch.end(bed.seconds)
    if end is None:
        raise _late(bed, "take the state of its template")
    if end == FAILED:
        raise TemplateUnfit(str(fork.template), f"QEMU does not take its state ({end})")
    if end != COMPLETED:
        raise HypervisorError(f"{spec.run} did not wake: {end}.", operation="clone", subject=str(spec.run))
    if spec.port is not None:
        card = domain_xml.render_port(spec.port)
        bed.do("plug the network card of", work=lambda own: own.attachDeviceFlags(card, libvirt.VIR_DOMAIN_AFFECT_LIVE))
    kind, text = libvirt.VIR_DOMAIN_METADATA_ELEMENT, domain_xml.render_mark(mark)
    bed.do("mark", work=lambda own: own.setMetadata(kind, text, "labvirt", domain_xml.MARK, libvirt.VIR_DOMAIN_AFFECT_LIVE))


def sleep(state: int, bed: Bed) -> None:
    """It stands still for good, and its device state is in the file `state`. Raises HypervisorError, DriverTimeout."""
    bed.do("pause", work=lambda own: own.suspend())
    bed.ask("migrate-set-capabilities", capabilities=CAPABILITIES)
    bed.ask("getfd", file=state, fdname="state")
    with bed.migrations.watch(bed.run) as watch:
        bed.ask("migrate", uri="fd:state")
        end = watch.end(bed.seconds)
    if end is None:
        raise _late(bed, "write its state")
    if end != COMPLETED:
        raise HypervisorError(f"The state of {bed.run} could not be kept: {end}.", operation="freeze", subject=str(bed.run))


def _late(bed: Bed, what: str) -> DriverTimeout:
    return DriverTimeout(
        f"{bed.run} did not {what} within {bed.seconds:g} s.",
        operation="migrate",
        subject=str(bed.run),
        hint="The host is overloaded, or its disk does not answer. Try again.",
    )
