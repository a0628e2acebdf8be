# SPDX-License-Identifier: MIT
"""Tells the controller every ten seconds, and at each change, how the viewer is. Never in the way of anything else."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping

from labvirt_kiosk.trouble import Trouble
from labvirt_kiosk.viewer import Run

EVERY_SECONDS = 10.0


class Heartbeat:
    """Sends by `send` in a thread of its own; tells `complain` what cannot be sent (None: all is well) and goes on."""

    def __init__(
        self,
        send: Callable[[Mapping[str, str]], None],
        complain: Callable[[str | None], None],
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        self._send = send
        self._complain = complain
        self._every_seconds = every_seconds
        self._changed = threading.Condition()
        self._changes: deque[dict[str, str]] = deque(maxlen=8)
        self._now = {"viewer": "none"}
        self._error = ""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def say(self, viewer: str, run: Run | None = None) -> None:
        """The viewer is now `none`, `starting`, `running` or `ended`."""
        fields = {"viewer": viewer}
        if run is not None:
            fields |= {"viewer_exit": str(run.exit_code), "viewer_seconds": f"{run.seconds:.1f}"}
        with self._changed:
            self._now = fields
            self._changes.append(fields)
            self._changed.notify()

    def error(self, sentence: str) -> None:
        """What troubles the kiosk now (`""`: nothing); goes with the next heartbeat."""
        with self._changed:
            self._error = sentence[:200]

    def stop(self, seconds: float = 1.0) -> None:
        """Sends what is left, if the controller takes it within `seconds`."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._changes or self._stopping, timeout=self._every_seconds)
                if self._stopping and not self._changes:
                    return
                fields = dict(self._changes.popleft() if self._changes else self._now)
                if self._error:
                    fields["error"] = self._error
            try:
                self._send(fields)
            except Trouble as trouble:
                self._complain(str(trouble))
            else:
                self._complain(None)
