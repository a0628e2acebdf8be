# SPDX-License-Identifier: MIT
"""An engine link with memory: what it was asked, and what it shall answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address

from labvirt.contracts.engine import Change, DisplayTicket, EngineStatus, PoolStatus, TemplateReport
from labvirt.domain.addresses import MacAddress
from labvirt.domain.console import ConsoleKind
from labvirt.domain.findings import Finding
from labvirt.domain.guest import RunId
from labvirt.domain.lease import Lease
from labvirt.errors import EngineAway


class FakeEngineLink:
    """Keeps contracts.engine.EngineLink. `away` makes every verb raise EngineAway."""

    def __init__(self) -> None:
        self.away = False
        self.asked: list[tuple[str, ...]] = []
        self.given: list[Lease] = []
        self.consoles: list[socket.socket] = []
        """The guests' ends of what was opened."""
        self.findings: tuple[Finding, ...] = ()
        self.report = TemplateReport()
        self.warm: tuple[PoolStatus, ...] = ()

    @property
    def pokes(self) -> int:
        return self.asked.count(("poke",))

    def lease(self, lab: str, mac: MacAddress | None, address: IPv4Address) -> None:
        assert mac is not None
        self.given.append(Lease(lab=lab, mac=mac, address=address, name=None, expires=None))

    def status(self) -> EngineStatus:
        self._ask("status")
        return EngineStatus(
            pid=1,
            version="test",
            driver="fake",
            accelerator="fake",
            notice="",
            started_at=datetime(2026, 3, 2, tzinfo=UTC),
            reconciled_at=None,
            findings=(),
            queue=("lab-a-02",),
        )

    def poke(self) -> None:
        self._ask("poke")

    def watch(self) -> Iterator[Change]:
        self._ask("watch")
        raise EngineAway

    def mint_display(self, guest: str, source: IPv4Address) -> DisplayTicket:
        self._ask("mint_display", guest, str(source))
        return DisplayTicket(guest=guest, address=IPv4Address("10.77.0.1"), port=20001, secret="s3cret", expires_seconds=30)

    def templates(self) -> TemplateReport:
        self._ask("templates")
        return self.report

    def pools(self) -> tuple[PoolStatus, ...]:
        self._ask("pools")
        return self.warm

    def freeze(self, guest: str, template: str) -> None:
        self._ask("freeze", guest, template)

    def remove_template(self, template: str) -> None:
        self._ask("remove_template", template)

    def leases(self, lab: str) -> tuple[Lease, ...]:
        self._ask("leases", lab)
        return tuple(lease for lease in self.given if lease.lab == lab)

    def demand_seconds(self, guest: str) -> float | None:
        self._ask("demand_seconds", guest)
        return None

    def screenshot(self, guest: str) -> bytes:
        self._ask("screenshot", guest)
        return b"\x89PNG"

    def open_console(self, run: RunId, kind: ConsoleKind) -> int:
        self._ask("open_console", str(run), str(kind))
        ours, theirs = socket.socketpair()
        self.consoles.append(ours)
        return theirs.detach()

    def reset(self, guest: str) -> None:
        self._ask("reset", guest)

    def command_line(self, guest: str) -> tuple[str, ...]:
        self._ask("command_line", guest)
        return "qemu-system-x86_64", "-name", "a guest", "-m", "64"

    def preview(self, profile: str, lab: str, seat: int) -> tuple[str, ...]:
        self._ask("preview", profile, lab, str(seat))
        return "qemu-system-x86_64", "-name", "a preview", "-m", "64"

    def wake(self, lab: str, macs: tuple[MacAddress, ...]) -> None:
        self._ask("wake", lab, *(str(mac) for mac in macs))

    def in_front(self, guest: str, seconds: int) -> None:
        self._ask("in_front", guest, str(seconds))

    def verify(self) -> tuple[Finding, ...]:
        self._ask("verify")
        return self.findings

    def doctor(self) -> tuple[Finding, ...]:
        self._ask("doctor")
        return self.findings

    def _ask(self, *words: str) -> None:
        if self.away:
            raise EngineAway
        self.asked.append(words)
