# SPDX-License-Identifier: MIT
"""One seat of the demo as an onlooker sees it, from switching on to a viewer that shows this very guest."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from labvirt.demo import judge
from labvirt.demo.judge import Expected
from labvirt.demo.picture import read_frame_buffer
from labvirt.demo.terminal import DemoTerminal, KioskReport

LOOK_SECONDS = 0.25
STILL_LOOKS = 3
"""Looks in a row that see the same picture: it is painted. The strip can be read before the name is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen so far. `guest_answers_ms`: from the terminal's first question to the first ping that its guest answered."""

    kiosk: KioskReport = field(default_factory=KioskReport)
    lease_seen: bool = False
    name_resolves: bool = False
    guest_answers_ms: int | None = None
    viewer_connected: bool = False
    shows: str = ""
    """The guest whose picture is on the terminal's own screen ('' none yet), as the picture says: MAC and address."""
    screenshot: Path | None = None
    """Kept only when the picture is this seat's."""

    @property
    def holds(self) -> bool:
        return bool(
            self.lease_seen
            and self.name_resolves
            and self.guest_answers_ms is not None
            and self.viewer_connected
            and self.screenshot is not None
        )


class SeatWatch:
    """Looks at one seat in a thread of its own; `seen` may be read at any time."""

    def __init__(self, terminal: DemoTerminal, expected: Expected, leases: Path, strip: ModuleType, pictures: Path) -> None:
        self.terminal = terminal
        self.expected = expected
        self._leases = leases
        self._strip = strip
        self._pictures = pictures
        self._seen = Seen()
        self._stop = threading.Event()
        self._first_question: datetime | None = None
        self._last_picture = b""
        self._still = 0
        self._thread = threading.Thread(target=self._watch, name=f"seat-{expected.seat}", daemon=True)

    @property
    def seen(self) -> Seen:
        return self._seen

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self._seen = self._look(self._seen)

    def _look(self, before: Seen) -> Seen:
        kiosk = self.terminal.report()
        if self._first_question is None:
            self._first_question = kiosk.asked_at
        seen = replace(before, kiosk=kiosk, viewer_connected=judge.viewer_connected(kiosk.viewer_pid, self.expected.gateway))
        if seen.guest_answers_ms is None and self._first_question is not None and judge.ping_ms(self.terminal, self.expected) is not None:
            seen = replace(seen, guest_answers_ms=int((datetime.now(UTC) - self._first_question).total_seconds() * 1000))
        if not seen.lease_seen:
            seen = replace(seen, lease_seen=judge.lease_seen(self._leases, self.expected))
        if seen.lease_seen and not seen.name_resolves:
            seen = replace(seen, name_resolves=judge.name_resolves(self.terminal, self.expected))
        if seen.viewer_connected and seen.screenshot is None:
            seen = self._look_at_screen(seen)
        return seen

    def _look_at_screen(self, seen: Seen) -> Seen:
        picture = read_frame_buffer(self.terminal.frame_buffer)
        strip = self._strip.read_strip(picture) if picture is not None else None
        if picture is None or strip is None:
            return seen
        seen = replace(seen, shows=f"{strip.mac} {strip.address}")
        if (strip.mac, strip.address) != (self.expected.mac, str(self.expected.address)):
            return seen
        content = picture.tobytes()
        self._still = self._still + 1 if content == self._last_picture else 1
        self._last_picture = content
        if self._still < STILL_LOOKS:
            return seen
        path = self._pictures / f"seat-{self.expected.seat:02d}.png"
        picture.save(path)
        return replace(seen, screenshot=path)
