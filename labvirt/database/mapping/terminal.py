# SPDX-License-Identifier: MIT
"""Terminals, their classes, and the strangers in the inbox."""

from __future__ import annotations

from ipaddress import IPv4Address

from labvirt.database.mapping.row import Row, kept, pairs_of, pairs_text, time_of, time_text
from labvirt.domain.addresses import MacAddress
from labvirt.domain.terminal import Stranger, Terminal
from labvirt.domain.terminal_class import TerminalClass


def terminal_row(terminal: Terminal) -> Row:
    return {
        "name": terminal.name,
        "lab": terminal.lab,
        "seat": terminal.seat,
        "mac": str(terminal.mac) if terminal.mac else None,
        "inventory_id": terminal.inventory_id,
        "terminal_class": terminal.terminal_class,
        "profile": terminal.profile,
        "parameters": pairs_text(terminal.parameters),
        "active": int(terminal.active),
        "note": terminal.note,
    }


def terminal_of(row: Row) -> Terminal:
    return Terminal(
        name=row["name"],
        lab=row["lab"],
        seat=row["seat"],
        mac=MacAddress.parse(row["mac"]) if row["mac"] else None,
        inventory_id=row["inventory_id"],
        terminal_class=row["terminal_class"],
        profile=row["profile"],
        parameters=pairs_of(row["parameters"]),
        active=bool(row["active"]),
        note=row["note"],
    )


def class_row(each: TerminalClass) -> Row:
    return {
        "name": each.name,
        "program": each.program,
        "template": each.template,
        "defaults": pairs_text(each.defaults),
    }


@kept
def class_of(row: Row) -> TerminalClass:
    return TerminalClass(name=row["name"], program=row["program"], template=row["template"], defaults=pairs_of(row["defaults"]))


def stranger_row(stranger: Stranger) -> Row:
    return {
        "id": stranger.id,
        "code": stranger.code,
        "mac": str(stranger.mac) if stranger.mac else None,
        "address": str(stranger.address) if stranger.address else None,
        "first_seen": time_text(stranger.first_seen),
        "last_seen": time_text(stranger.last_seen),
        "asked": stranger.asked,
        "says": pairs_text(stranger.says),
    }


def stranger_of(row: Row) -> Stranger:
    return Stranger(
        id=row["id"],
        code=row["code"],
        mac=MacAddress.parse(row["mac"]) if row["mac"] else None,
        address=IPv4Address(row["address"]) if row["address"] else None,
        first_seen=time_of(row["first_seen"]),
        last_seen=time_of(row["last_seen"]),
        asked=row["asked"],
        says=pairs_of(row["says"]),
    )
