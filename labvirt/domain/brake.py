# SPDX-License-Identifier: MIT
"""The brake on mass actions: what nobody freshly asked for is not done to many guests at once (rule 3 of domain.plan)."""

from __future__ import annotations

from dataclasses import dataclass

from labvirt.domain.actions import Stop
from labvirt.domain.findings import Finding, Severity

AT_ONCE = 3
SHARE = 10
"""At most AT_ONCE stops, or one SHARE-th of the living guests if that is more, within WINDOW_SECONDS."""
WINDOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Braked:
    """All of the stops, or none of them and a finding."""

    released: tuple[Stop, ...]
    findings: tuple[Finding, ...]
    memory: tuple[float, ...]
    wake: float | None = None


def brake(stops: tuple[Stop, ...], suspects: int, living: int, earlier: tuple[float, ...], now: float) -> Braked:
    """`suspects` are runs that look over and are not proven yet: they count too, or a crowd would slip through one by one. `earlier`
    are the times of stops let through before; those of the last minute count."""
    recent = tuple(at for at in earlier if now - at < WINDOW_SECONDS)
    if not stops:
        return Braked(released=(), findings=(), memory=recent)
    crowd = len(stops) + suspects
    if crowd + len(recent) <= max(AT_ONCE, living // SHARE):
        return Braked(released=stops, findings=(), memory=(*recent, *(now for _ in stops)))
    few = crowd <= max(AT_ONCE, living // SHARE)
    named = ", ".join(str(stop.run) for stop in stops[:5]) + (" ..." if len(stops) > 5 else "")
    finding = Finding(
        code="mass-stop-held",
        severity=Severity.ERROR,
        sentence=f"{crowd} of {living} running guests look left over ({named}); so many are not stopped without a word from a person.",
        fix="Look first: labvirt verify. Then, for each that may go: labvirt guest fresh NAME",
    )
    return Braked(released=(), findings=(finding,), memory=recent, wake=min(recent) + WINDOW_SECONDS if few and recent else None)
