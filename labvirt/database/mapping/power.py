# SPDX-License-Identifier: MIT
"""Orders to terminals, the times of labs, policies, goodbyes, hardware. An order that was not numbered yet has no number in its row."""

from __future__ import annotations

from datetime import date, time

from labvirt.database.mapping.row import Row, maybe_text, maybe_time, time_of, time_text, words_of, words_text
from labvirt.domain.hardware import TEXTS, Hardware, HardwareReport
from labvirt.domain.power_order import Occupied, OrderState, PowerOrder, PowerWord
from labvirt.domain.power_policy import Departure, OnPowerOff, PowerPolicy
from labvirt.domain.power_times import PowerTimes, days_text, parse_days


def order_row(order: PowerOrder) -> Row:
    """Without its number."""
    return {
        "terminal": order.terminal,
        "word": str(order.word),
        "asked_by": order.asked_by,
        "asked_at": time_text(order.asked_at),
        "not_before": time_text(order.not_before),
        "expires_at": time_text(order.expires_at),
        "state": str(order.state),
        "given_at": maybe_text(order.given_at),
        "ended_at": maybe_text(order.ended_at),
        "notice": order.notice,
        "why": order.why,
    }


def order_of(row: Row) -> PowerOrder:
    return PowerOrder(
        number=row["number"],
        terminal=row["terminal"],
        word=PowerWord(row["word"]),
        asked_by=row["asked_by"],
        asked_at=time_of(row["asked_at"]),
        not_before=time_of(row["not_before"]),
        expires_at=time_of(row["expires_at"]),
        state=OrderState(row["state"]),
        given_at=maybe_time(row["given_at"]),
        ended_at=maybe_time(row["ended_at"]),
        notice=row["notice"],
        why=row["why"],
    )


def times_row(times: PowerTimes) -> Row:
    return {
        "lab": times.lab,
        "on_at": times.on.isoformat("minutes") if times.on else None,
        "off_at": times.off.isoformat("minutes") if times.off else None,
        "days": days_text(times.days),
        "occupied": str(times.occupied),
        "grace_seconds": times.grace_seconds,
        "on_kept": times.on_kept.isoformat() if times.on_kept else None,
        "off_kept": times.off_kept.isoformat() if times.off_kept else None,
    }


def times_of(row: Row) -> PowerTimes:
    return PowerTimes(
        lab=row["lab"],
        on=time.fromisoformat(row["on_at"]) if row["on_at"] else None,
        off=time.fromisoformat(row["off_at"]) if row["off_at"] else None,
        days=parse_days(row["days"]),
        occupied=Occupied(row["occupied"]),
        grace_seconds=row["grace_seconds"],
        on_kept=date.fromisoformat(row["on_kept"]) if row["on_kept"] else None,
        off_kept=date.fromisoformat(row["off_kept"]) if row["off_kept"] else None,
    )


def policy_row(policy: PowerPolicy) -> Row:
    return {"lab": policy.lab, "seat": policy.seat, "on_power_off": str(policy.on_power_off)}


def policy_of(row: Row) -> PowerPolicy:
    return PowerPolicy(lab=row["lab"], seat=row["seat"], on_power_off=OnPowerOff(row["on_power_off"]))


def departure_row(departure: Departure) -> Row:
    return {
        "terminal": departure.terminal,
        "word": str(departure.word),
        "at": time_text(departure.at),
        "stop_at": maybe_text(departure.stop_at),
    }


def departure_of(row: Row) -> Departure:
    return Departure(terminal=row["terminal"], word=PowerWord(row["word"]), at=time_of(row["at"]), stop_at=maybe_time(row["stop_at"]))


def hardware_row(report: HardwareReport) -> Row:
    said = report.hardware
    return {
        "terminal": report.terminal,
        "at": time_text(report.at),
        "since": time_text(report.since),
        "memory_mib": said.memory_mib,
        "cpus": said.cpus,
        **{field: getattr(said, field) for field in TEXTS},
        "link_mbps": said.link_mbps,
        "screens": None if said.screens is None else words_text(said.screens),
    }


def hardware_of(row: Row) -> HardwareReport:
    said = Hardware(
        memory_mib=row["memory_mib"],
        cpus=row["cpus"],
        link_mbps=row["link_mbps"],
        screens=None if row["screens"] is None else words_of(row["screens"]),
        **{field: str(row[field]) for field in TEXTS},
    )
    return HardwareReport(terminal=row["terminal"], hardware=said, at=time_of(row["at"]), since=time_of(row["since"]))
