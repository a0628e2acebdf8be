# SPDX-License-Identifier: MIT
"""Tells the controller every ten seconds, and at each change, how the viewer is; hears its orders. Never in the way of anything else."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from labvirt_kiosk.order import Order
from labvirt_kiosk.trouble import Trouble
from labvirt_kiosk.viewer import Run

EVERY_SECONDS = 10.0
CONFIRMS = 3
"""So often a confirmation is sent; an order that was not confirmed is not obeyed, and comes again."""
THERE_SECONDS = 30
"""Who touched something so lately is there still."""
LOOK_SECONDS = 1.0
GOODBYE_SECONDS = 60.0
"""After a goodbye nothing more is sent for so long: the machine is going down."""


class Heartbeat:
    """Sends by `send` in a thread of its own; tells `complain` what cannot be sent (None: all is well) and goes on."""

    def __init__(
        self,
        send: Callable[[Mapping[str, str]], Order | None],
        complain: Callable[[str | None], None],
        every_seconds: float = EVERY_SECONDS,
        obey: Callable[[Order], None] | None = None,
        touched: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`obey` restarts the machine or switches it off; None: orders are refused. `touched` says how many seconds ago somebody touched
        keyboard or mouse."""
        self._send = send
        self._complain = complain
        self._every_seconds = every_seconds
        self._obey = obey
        self._touched = touched
        self._there = False
        self._obeyed = 0
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
                self._wait()
                if self._stopping and not self._changes:
                    return
                fields = dict(self._changes.popleft() if self._changes else self._now)
                if self._error:
                    fields["error"] = self._error
            touched = self._touched()
            self._there = touched is not None and touched <= THERE_SECONDS
            if touched is not None:
                fields["touched_seconds"] = str(touched)
            try:
                order = self._send(fields)
            except Trouble as trouble:
                self._complain(str(trouble))
            else:
                self._complain(None)
                if order is not None and order.number != self._obeyed:
                    self._take(order)

    def _wait(self) -> None:
        """Until it is time, something has changed, or somebody came: who is there waits less, so that is told at once."""
        deadline = time.monotonic() + self._every_seconds
        while not self._changes and not self._stopping and (rest := deadline - time.monotonic()) > 0:
            self._changed.wait(min(rest, LOOK_SECONDS))
            if not self._there and (touched := self._touched()) is not None and touched <= THERE_SECONDS:
                return

    def _take(self, order: Order) -> None:
        """Confirm the order and obey it, in this order: so it is obeyed once, whoever forgets what."""
        if self._obey is None:
            with self._changed:
                self._changes.append({**self._now, "order_refused": str(order.number)})
            self._obeyed = order.number
            return
        last_words = {"viewer": "none", "leaving": order.word, "order_done": str(order.number)}
        for _ in range(CONFIRMS):
            try:
                self._send(last_words)
            except Trouble as trouble:
                self._complain(str(trouble))
                continue
            self._obeyed = order.number
            self._obey(order)
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, timeout=GOODBYE_SECONDS)
                self._changes.clear()
            return
