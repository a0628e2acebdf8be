# SPDX-License-Identifier: MIT
"""What the person may do to the computer of this seat: the words of the buttons, the question before, and the request to the controller."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from labvirt_kiosk.catalogue import Catalogue
from labvirt_kiosk.question import Controller
from labvirt_kiosk.trouble import Trouble

DEEDS = ("restart-guest", "fresh-guest")


def button(words: Catalogue, deed: str) -> str:
    return words.say("Restart my computer") if deed == "restart-guest" else words.say("Fresh machine")


def question(words: Catalogue, deed: str) -> str:
    if deed == "restart-guest":
        return words.say("Restart your computer? What is not saved is lost.")
    return words.say("Start with a fresh machine? Everything that is only on this computer is lost.")


class Deeds:
    """Sends in a thread of its own; what the controller refuses waits in `refusal` for whoever paints."""

    def __init__(self, controller: Callable[[str, str | None], Controller] = lambda url, id: Controller(url, lambda: id)) -> None:
        self._controller = controller
        self._said: SimpleQueue[str] = SimpleQueue()
        self._under_way = threading.Event()

    def send(self, status: Mapping[str, Any], deed: str) -> None:
        """The controller named in `status` is asked for it, unless one is under way. Never raises."""
        url, terminal_id = status.get("controller"), status.get("id")
        if self._under_way.is_set() or not isinstance(url, str) or not urlsplit(url).hostname:
            return
        self._under_way.set()

        def work() -> None:
            try:
                self._controller(url, terminal_id if isinstance(terminal_id, str) else None).deed(deed)
            except Trouble as trouble:
                self._said.put(str(trouble))
            finally:
                self._under_way.clear()

        threading.Thread(target=work, name="deed", daemon=True).start()

    def refusal(self) -> str:
        """What came back since the last call; "" when all is well: then the screen itself shows what happens."""
        try:
            return self._said.get_nowait()
        except Empty:
            return ""
