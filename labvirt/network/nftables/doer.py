# SPDX-License-Identifier: MIT
"""Runs transactions of libnftables and asks it what stands. Which rules there are is not known here."""

from __future__ import annotations

import threading
from typing import Any

import nftables

from labvirt.errors import HostNotReady, NetworkError
from labvirt.network.nftables.expressions import Command

Objects = list[dict[str, Any]]


class Nft:
    """libnftables in this process, in the network namespace in which it was made. One command at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nft = nftables.Nftables()
        self._nft.set_json_output(True)

    def run(self, commands: list[Command], *, operation: str, subject: str = "", check: bool = False) -> None:
        """All commands are done, or none is (one kernel transaction). With `check` nothing is changed, only judged.

        Raises NetworkError with nft's first words, HostNotReady without the right.
        """
        if commands:
            self._ask(commands, operation=operation, subject=subject, check=check)

    def read(self, *what: dict[str, Any], operation: str) -> Objects:
        """What of `what` (tables or sets) is there now; nothing of one that is not there."""
        found: Objects = []
        for one in what:  # one at a time: nft 1.0 does not find the second of two sets
            try:
                found += self._ask([{"list": one}], operation=operation)
            except _Absent:
                continue
        return found

    def _ask(self, commands: list[Command], *, operation: str, subject: str = "", check: bool = False) -> Objects:
        with self._lock:
            self._nft.set_dry_run(check)
            # PRIVILEGE: CAP_NET_ADMIN in the user namespace of this network namespace. Every value was built by rules.py
            # from typed addresses and names; libnftables takes them as JSON, so no text can become a command.
            code, output, words = self._nft.json_cmd({"nftables": commands})
        if code == 0:
            return list(output["nftables"]) if output else []
        raise _translated(str(words), operation, subject)


class _Absent(NetworkError):
    """A table, set or chain is not there."""


def _translated(words: str, operation: str, subject: str) -> NetworkError | HostNotReady:
    first = next((line.strip() for line in words.splitlines() if line.strip()), "nft said nothing")
    if "Operation not permitted" in words or "Permission denied" in words:
        return HostNotReady(
            "The packet filter may not be changed by this user.",
            hint="Run labvirt serve as root or with CAP_NET_ADMIN (systemd: AmbientCapabilities=CAP_NET_ADMIN).",
        )
    kind = _Absent if "No such file or directory" in words else NetworkError
    return kind(
        f"The packet filter refused: {first.removeprefix('internal:0:0-0: ')[:300]}",
        operation=operation,
        subject=subject,
        hint="Look at it: nft list ruleset. If another tool holds a table 'labvirt', remove that one.",
    )


def is_absent(error: NetworkError) -> bool:
    """The refusal means that a table or set of ours is missing: somebody flushed it."""
    return isinstance(error, _Absent)
