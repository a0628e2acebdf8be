# SPDX-License-Identifier: MIT
"""While a viewer runs: asks now and then whether there is a notice or a harmless wish for the person, and nothing else.

Whatever the answer is, the viewer is left alone; a controller that is away is simply asked again later.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from labvirt_kiosk.answer import Answer
from labvirt_kiosk.question import Reply
from labvirt_kiosk.trouble import Trouble

EVERY_SECONDS = 10.0


class NoticeWatch:
    """Asks by `ask` (with the ETag of before) in a thread of its own, tells each answer to `tell`."""

    def __init__(self, ask: Callable[[str | None], Reply], tell: Callable[[Answer], None], every_seconds: float = EVERY_SECONDS) -> None:
        self._ask = ask
        self._tell = tell
        self._every_seconds = every_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notice", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Nothing is told any more. Does not wait for a question that is on its way."""
        self._ended.set()

    def _run(self) -> None:
        etag: str | None = None
        # 40 terminals that got their guests together must not ask together
        while not self._ended.wait(self._every_seconds * random.uniform(0.8, 1.2)):  # noqa: S311  (no secret)
            try:
                reply = self._ask(etag)
            except Trouble:
                etag = None
                continue
            etag = reply.etag
            if reply.answer is not None and not self._ended.is_set():
                self._tell(reply.answer)
