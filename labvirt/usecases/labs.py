# SPDX-License-Identifier: MIT
"""Labs: made, changed and removed by an administrator."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.addresses import DEFAULT_MAC_PREFIX, AddressPlan
from labvirt.domain.audit import changed, told
from labvirt.domain.guest import Guest, GuestState
from labvirt.domain.lab import DhcpMode, Lab, OnLeave
from labvirt.domain.names import check_name, one_line
from labvirt.domain.right import Right
from labvirt.domain.setting import Scope
from labvirt.errors import AlreadyExists, InUse, InvalidInput
from labvirt.usecases import people, whose
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs, visible

CHANGEABLE = frozenset({"network", "max_instances", "start_instances", "on_leave", "leave_grace_seconds", "domain", "note", "dhcp"})

_AT_REST = (GuestState.STOPPED, GuestState.FAILED, GuestState.WANTED)


def parse_network(text: str) -> AddressPlan:
    """A network as people write it. Raises InvalidInput."""
    try:
        return AddressPlan(IPv4Network(text))
    except ValueError as error:
        raise InvalidInput("network", "is not an IPv4 network", hint="Write it like 10.77.0.0/24.") from error


@needs(Right.LOOK, each=True)
def everything(ports: Ports) -> tuple[Lab, ...]:
    with ports.database.read() as work:
        return visible(ports, work.labs.list(), lambda lab: whose.lab(work, lab.name))


@needs(Right.LOOK, lab="name")
def one(ports: Ports, name: str) -> Lab:
    """Raises NotFound."""
    with ports.database.read() as work:
        return work.labs.one(name)


@needs(Right.SITE, site=True)
def add(
    ports: Ports,
    *,
    name: str,
    network: AddressPlan,
    max_instances: int | None = None,
    start_instances: int = 0,
    on_leave: OnLeave = OnLeave.KEEP,
    leave_grace_seconds: int = 60,
    domain: str = "labvirt.internal",
    mac_prefix: int = DEFAULT_MAC_PREFIX,
    note: str = "",
    dhcp: DhcpMode = DhcpMode.OWN,
) -> Lab:
    """A new lab with the lowest free block; `max_instances` None: as many as its network has room for.

    Raises AlreadyExists (name or network), InvalidInput (the network overlaps another's), Exhausted('blocks').
    """
    check_name(name, "name")
    with ports.database.write() as work:
        lab = Lab(
            name=name,
            block=work.labs.next_block(),
            network=network,
            max_instances=max_instances if max_instances is not None else network.capacity,
            start_instances=start_instances,
            on_leave=on_leave,
            leave_grace_seconds=leave_grace_seconds,
            domain=domain,
            mac_prefix=mac_prefix,
            note=one_line(note),
            dhcp=dhcp,
        )
        _check(work, lab)
        work.labs.add(lab)
        ports.note(work, name, f"added with the network {network.network}", verb="add", noun="lab", lab=name, after=told(lab))
        work.commit()
    ports.poke()
    return lab


@needs(Right.DESIGN, lab="name")
def change(ports: Ports, name: str, **changes: Any) -> Lab:
    """The lab with these fields of `CHANGEABLE` replaced. Its network only changes while none of its guests lives
    (InUse).
    """
    assert changes.keys() <= CHANGEABLE, changes
    with ports.database.write() as work:
        old = work.labs.one(name)
        if "note" in changes:
            changes["note"] = one_line(changes["note"])
        new = replace(old, **changes)
        if (new.network, new.domain) != (old.network, old.domain):
            _at_rest(work, old)
        _check(work, new)
        for terminal in work.terminals.of_lab(name):
            new.network.terminal(terminal.seat)  # Exhausted names the first seat without room
        work.labs.update(new)
        before, after = changed(old, new)
        ports.note(
            work,
            name,
            f"changed: {', '.join(sorted(changes)) or 'nothing'}",
            verb="change",
            noun="lab",
            lab=name,
            before=before,
            after=after,
        )
        work.commit()
    ports.poke()
    return new


@needs(Right.SITE, site=True)
def remove(ports: Ports, name: str) -> Lab:
    """The lab and the records of its stopped guests are gone. Raises NotFound, MustConfirm, InUse (a terminal,
    a profile, a draft that is not over, or a living guest).
    """
    people.lately(ports)
    with ports.database.write() as work:
        lab = work.labs.one(name)
        _at_rest(work, lab)
        drafts = [draft for draft in work.drafts.list() if draft.lab == name and draft.alive]
        if drafts:
            raise InUse("lab", name, f"the draft {drafts[0].name} ({drafts[0].state})")
        terminals = work.terminals.of_lab(name)
        if terminals:
            raise InUse("lab", name, f"the terminal {terminals[0].name}")
        for guest in work.guests.of_lab(name):
            work.guests.remove(guest.name)
        work.labs.remove(name)
        work.settings.remove(Scope.LAB, name)
        ports.note(work, name, "removed", verb="remove", noun="lab", lab=name, before=told(lab))
        work.commit()
    ports.poke()
    return lab


def _check(work: UnitOfWork, lab: Lab) -> None:
    for other in work.labs.list():
        if other.name == lab.name:
            continue
        if other.network.network == lab.network.network:
            raise AlreadyExists("lab with the network", str(lab.network.network), hint=f"It belongs to {other.name}.")
        if other.network.network.overlaps(lab.network.network):
            raise InvalidInput(
                "network",
                f"{lab.network.network} overlaps {other.network.network} of the lab {other.name}",
                hint="Give each lab a network of its own.",
            )
    for terminal in work.terminals.list():
        if terminal.mac is not None and terminal.mac.value >> 24 == lab.mac_prefix:
            raise InvalidInput("mac_prefix", f"is used by the terminal {terminal.name} ({terminal.mac})")


def _at_rest(work: UnitOfWork, lab: Lab) -> None:
    busy: Guest | None = next((g for g in work.guests.of_lab(lab.name) if g.state not in _AT_REST), None)
    if busy is not None:
        raise InUse("lab", lab.name, f"the guest {busy.name}, which is {busy.state}")
