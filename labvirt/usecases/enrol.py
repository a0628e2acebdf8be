# SPDX-License-Identifier: MIT
"""The inbox: strangers that asked, and how one becomes a terminal."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

from labvirt.contracts.database import UnitOfWork
from labvirt.domain import caller
from labvirt.domain.addresses import MacAddress
from labvirt.domain.audit import told
from labvirt.domain.right import Right
from labvirt.domain.terminal import CODE_LENGTH, CODE_LETTERS, Stranger, Terminal
from labvirt.errors import NotFound
from labvirt.usecases import finding, terminals, whose
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs, visible

SEEN_AGAIN = timedelta(seconds=30)
"""A stranger that asks more often is not written again: strangers must not be able to wear the disk out."""


@needs(Right.LOOK, each=True)
def strangers(ports: Ports) -> tuple[Stranger, ...]:
    """Everybody in the inbox, who asked last first."""
    with ports.database.read() as work:
        found = visible(ports, work.strangers.list(), lambda stranger: whose.of_stranger(work, stranger))
    return tuple(sorted(found, key=lambda s: s.last_seen, reverse=True))


def meet(ports: Ports, *, id: str, mac: MacAddress | None, address: IPv4Address | None) -> Stranger:
    """The stranger of this id, with the same code every time; in the inbox afterwards."""
    now = ports.clock.now()
    with ports.database.read() as work:
        known = work.strangers.get(id)
    if known is not None and now - known.last_seen < SEEN_AGAIN and known.address == address:
        return known
    with ports.database.write() as work:
        known = work.strangers.get(id)
        stranger = Stranger(
            id=id,
            code=known.code if known else _new_code(work),
            mac=mac or (known.mac if known else None),
            address=address,
            first_seen=known.first_seen if known else now,
            last_seen=now,
            asked=known.asked + 1 if known else 1,
            says=known.says if known else (),
        )
        work.strangers.put(stranger)
        if known is None:
            ports.note(
                work,
                id,
                f"an unknown terminal asked from {address or 'an unknown address'}: code {stranger.code}",
                verb="meet",
                noun="terminal",
                by=caller.terminal(id, str(address or "")),
            )
        work.commit()
    return stranger


def find_stranger(work: UnitOfWork, code_or_id: str) -> Stranger:
    """By the code on its screen, or by the id under which it asked (a MAC in any spelling). Raises NotFound."""
    stranger = finding.stranger_of(work, code_or_id)
    if stranger is None:
        raise NotFound("stranger", code_or_id)
    return stranger


def _theirs(ports: Ports, work: UnitOfWork, code_or_id: str) -> Stranger:
    """The stranger, however it is spelt, if the caller may see it. Raises NotFound."""
    stranger = find_stranger(work, code_or_id)
    if not visible(ports, (stranger,), lambda each: whose.of_stranger(work, each)):
        raise NotFound("stranger", code_or_id)
    return stranger


@needs(Right.SEATS, lab="lab")
def adopt(
    ports: Ports,
    code_or_id: str,
    *,
    lab: str,
    seat: int | None = None,
    name: str | None = None,
    terminal_class: str = "spice",
    profile: str | None = None,
    note: str = "",
) -> Terminal:
    """The stranger is a terminal of this lab afterwards and no longer in the inbox. `seat` None takes the lowest
    free one.

    Raises NotFound (no such stranger, lab, class or profile), AlreadyExists (seat, name or MAC), Exhausted('seats'),
    InvalidInput.
    """
    with ports.database.write() as work:
        stranger = _theirs(ports, work, code_or_id)
        place = work.labs.one(lab)
        seat = seat if seat is not None else terminals.lowest_free_seat(work, place)
        terminal = Terminal(
            name=name if name is not None else terminals.default_name(place, seat),
            lab=lab,
            seat=seat,
            mac=stranger.mac,
            inventory_id=None if stranger.mac else stranger.id,
            terminal_class=terminal_class,
            profile=profile,
            note=note,
        )
        terminals.insert(ports, work, terminal)
        work.strangers.remove(stranger.id)
        ports.note(
            work,
            terminal.name,
            f"adopted as seat {seat} of {lab} (code {stranger.code})",
            verb="adopt",
            noun="terminal",
            lab=lab,
            after=told(terminal),
        )
        work.commit()
    ports.poke()
    return terminal


@needs(Right.SEATS, stranger="code_or_id")
def dismiss(ports: Ports, code_or_id: str) -> Stranger:
    """The stranger is not in the inbox afterwards (until it asks again, with a new code)."""
    with ports.database.write() as work:
        stranger = find_stranger(work, code_or_id)
        work.strangers.remove(stranger.id)
        ports.note(work, stranger.id, "dismissed from the inbox", verb="dismiss", noun="terminal")
        work.commit()
    return stranger


def _new_code(work: UnitOfWork) -> str:
    while True:
        code = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
        if work.strangers.by_code(code) is None:
            return code


@needs(Right.SEATS, terminal="terminal")
def take_over(ports: Ports, code_or_id: str, terminal: str) -> Terminal:
    """A new PC stands at an old seat: the stranger's address is this terminal's now, which keeps its name, seat, class, profile and
    settings; the old PC is unknown. The guest at the seat is not touched. Raises NotFound, AlreadyExists, InvalidInput.
    """
    with ports.database.write() as work:
        stranger = _theirs(ports, work, code_or_id)
        old = work.terminals.one(terminal)
        new = replace(old, mac=stranger.mac, inventory_id=old.inventory_id if stranger.mac else stranger.id)
        terminals.check(work, new)
        work.terminals.update(new)
        work.strangers.remove(stranger.id)
        ports.note(
            work,
            terminal,
            f"replaced: {old.mac or old.inventory_id or 'no address'} by {stranger.id} (code {stranger.code})",
            verb="replace",
            noun="terminal",
            lab=old.lab,
            before=told(old),
            after=told(new),
        )
        work.commit()
    ports.poke()
    return new
