# SPDX-License-Identifier: MIT
"""Small pictures of guests' screens: taken by the engine, scaled here, kept for a moment, never too many at once.

A guest decides how large its screen is and what is on it: the size is checked before anything is decoded.
"""

from __future__ import annotations

import hashlib
import io
import threading
from dataclasses import dataclass

from PIL import Image

from labvirt.contracts.clock import Clock
from labvirt.contracts.engine import EngineLink
from labvirt.domain.guest import Guest, GuestState
from labvirt.errors import DriverError, Exhausted, GuestNotReady
from labvirt.web.ui.recent import Recent

WIDEST = 480
KEPT_SECONDS = 2.0
AT_ONCE = 3
"""Pictures taken at the same time: a guest that does not answer holds one of these places until its deadline, not the whole page."""
PATIENCE_SECONDS = 2.0
MOST_PIXELS = 16_000_000
"""A 4K screen has 8.3 million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    png: bytes
    etag: str


class Screens:
    """Safe from any thread."""

    def __init__(self, engine: EngineLink, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._kept: dict[str, Recent[Picture]] = {}
        self._lock = threading.Lock()

    def picture(self, guest: Guest) -> Picture:
        """Its screen, at most 2 s old and 480 pixels wide. Raises GuestNotReady, Exhausted, EngineAway, DriverError."""
        if not shows(guest):
            raise GuestNotReady(guest.name, str(guest.state))
        with self._lock:
            kept = self._kept.get(guest.name)
            if kept is None:
                kept = self._kept[guest.name] = Recent(self._clock, seconds=KEPT_SECONDS, patience=PATIENCE_SECONDS)
        return kept.get(lambda: self._take(guest.name))

    def _take(self, guest: str) -> Picture:
        if not self._places.acquire(timeout=PATIENCE_SECONDS):
            raise Exhausted("pictures", "Too many pictures are being taken.", hint="Try again in a moment.")
        try:
            raw = self._engine.screenshot(guest)
        finally:
            self._places.release()
        png = scale(raw, guest)
        return Picture(png=png, etag=hashlib.sha256(png).hexdigest()[:24])


def shows(guest: Guest) -> bool:
    """Is there a screen to look at? One that is silent would only be waited for."""
    return guest.alive and guest.state is not GuestState.SILENT


def scale(raw: bytes, subject: str) -> bytes:
    """The PNG at most 480 pixels wide. Raises DriverError when it is no picture or too large a one."""
    try:
        with Image.open(io.BytesIO(raw), formats=["PNG"]) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise DriverError(
                    f"The screen of {subject} is too large for a small picture: {picture.width} x {picture.height}.", subject=subject
                )
            small = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DriverError(f"The picture of {subject} cannot be read.", operation="screenshot", subject=subject) from error
    small.thumbnail((WIDEST, WIDEST * 4))
    out = io.BytesIO()
    small.save(out, "PNG")
    return out.getvalue()
