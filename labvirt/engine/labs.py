# SPDX-License-Identifier: MIT
"""The networks of labs: bridges and DHCP servers as the database says. Applied when something changed or is missing, a lab at a time,
never a guest at a time."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labvirt.contracts.dhcp import DhcpLab
from labvirt.contracts.kiosk import BootFolder
from labvirt.contracts.network import LabNetwork, NetworkState
from labvirt.domain.addresses import SEATS_PER_BLOCK
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.kiosk import ca_digest
from labvirt.domain.lab import DISPLAY_PORT_BASE, Lab
from labvirt.domain.terminal import Terminal
from labvirt.engine.operations import Operations
from labvirt.engine.world import World
from labvirt.errors import LabVirtError
from labvirt.usecases.served_lab import served_lab

log = logging.getLogger(__name__)

SETTING_UP = "it is being set up"
"""The problem of a lab whose first set-up has not ended: it passes by itself."""

AGAIN_SECONDS = 10.0
"""After a failure, or when nothing changed and something is missing although it was applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabWish:
    """Everything one lab's network is made of."""

    network: LabNetwork
    dhcp: DhcpLab


def wish_of(lab: Lab, terminals: Iterable[Terminal], controller_port: int, boot: BootFolder | None = None) -> LabWish:
    """Guests of all seats, special guests, and terminals with a MAC are known hosts; `boot` is what the others start with. Pure."""
    plan = lab.network
    return LabWish(
        network=LabNetwork(
            lab=lab.name,
            bridge=lab.bridge,
            gateway=plan.gateway,
            network=plan.network,
            quarantine=plan.quarantine,
            controller_port=controller_port,
            display_ports=(DISPLAY_PORT_BASE, DISPLAY_PORT_BASE + SEATS_PER_BLOCK - 1),
            dhcp_servers=plan.servers if lab.foreign_dhcp else None,
        ),
        dhcp=served_lab(lab, terminals, controller_port, boot),
    )


class Labs:
    """`look` is called by the loop and never waits; the work is done by the workers."""

    def __init__(self, world: World, operations: Operations) -> None:
        self._world = world
        self._operations = operations
        self._lock = threading.Lock()
        self._made: dict[str, tuple[object, LabWish]] = {}
        self._applied: dict[str, LabWish] = {}
        self._problems: dict[str, str] = {}
        self._tried: dict[str, float] = {}
        self._kiosk_problem = ""

    def problem(self, lab: str) -> str:
        """Why this lab's network is not there; empty when it is."""
        with self._lock:
            return self._problems.get(lab, "" if lab in self._applied else SETTING_UP)

    def findings(self) -> tuple[Finding, ...]:
        with self._lock:
            found = [
                Finding(code="lab-network", severity=Severity.ERROR, sentence=f"{lab}: {problem}", fix="labvirt doctor", subject=lab)
                for lab, problem in sorted(self._problems.items())
            ]
            if self._kiosk_problem:
                why, fix = self._kiosk_problem, "labvirt kiosk build"
                found.append(Finding(code="kiosk", severity=Severity.ERROR, sentence=why, fix=fix, subject="kiosk"))
        return tuple(found)

    def look(
        self,
        labs: Mapping[str, Lab],
        terminals: tuple[Terminal, ...],
        state: NetworkState | None,
        serving: frozenset[str] | None,
        inhabited: frozenset[str],
    ) -> None:
        """Have applied what changed or is missing. A lab that was removed while we watched goes, unless guests live there (`inhabited`)."""
        now = self._world.clock.monotonic()
        boot = self._kiosk()
        seats: dict[str, list[Terminal]] = defaultdict(list)
        for terminal in terminals:
            seats[terminal.lab].append(terminal)
        self._made = {name: made for name, made in self._made.items() if name in labs}
        for name, lab in labs.items():
            wish = self._wish(lab, tuple(seats[name]), boot)
            with self._lock:
                changed = self._applied.get(name) != wish
                waited = now - self._tried.get(name, -AGAIN_SECONDS) >= AGAIN_SECONDS
                failed = name in self._problems
            missing = (state is not None and (lab.bridge not in state.bridges or not state.rules_intact)) or (
                serving is not None and name not in serving
            )
            if (changed and not failed) or ((changed or missing) and waited):
                self._operations.submit(f"lab:{name}", "its network is being set up", lambda wish=wish: self._apply(wish))  # type: ignore[misc]
        with self._lock:
            gone = [(name, wish) for name, wish in self._applied.items() if name not in labs and name not in inhabited]
        for name, wish in gone:
            self._operations.submit(f"lab:{name}", "its network is being removed", lambda wish=wish: self._remove(wish))  # type: ignore[misc]

    def _wish(self, lab: Lab, terminals: tuple[Terminal, ...], boot: BootFolder | None) -> LabWish:
        """It names hundreds of hosts, and is looked at in each round: made anew only when something that it is made of has changed."""
        made_of = (lab, terminals, boot)
        known = self._made.get(lab.name)
        if known is None or known[0] != made_of:
            known = self._made[lab.name] = (made_of, wish_of(lab, terminals, self._world.settings.controller_port, boot))
        return known[1]

    def _kiosk(self) -> BootFolder | None:
        """What terminals start with. One that is not whole is a finding and is not offered: those that run are not harmed."""
        try:
            found, problem = self._world.kiosk.current(), ""
        except LabVirtError as error:
            found, problem = None, f"{error} {error.hint}".strip()
        if found is not None and found.kiosk.ca and found.kiosk.ca != ca_digest(self._world.authority.ca_pem()):
            problem = f"The kiosk {found.kiosk.version} was built for another authority: its terminals refuse SPICE displays of this site."
        with self._lock:
            if problem and problem != self._kiosk_problem:
                log.warning("%s", problem)
            self._kiosk_problem = problem
        return found

    def _apply(self, wish: LabWish) -> None:
        name = wish.network.lab
        with self._lock:
            self._tried[name] = self._world.clock.monotonic()
        problem = ""
        try:
            self._world.network.ensure_lab(wish.network)
            self._world.dhcp.apply(wish.dhcp)
        except LabVirtError as error:
            problem = f"{error} {error.hint}".strip()
            raise
        finally:
            with self._lock:
                if problem:
                    self._problems[name] = problem
                else:
                    self._problems.pop(name, None)
                    self._applied[name] = wish

    def _remove(self, wish: LabWish) -> None:
        self._world.dhcp.stop(wish.dhcp.lab)
        self._world.network.remove_lab(wish.network.bridge)
        with self._lock:
            self._applied.pop(wish.dhcp.lab, None)
            self._problems.pop(wish.dhcp.lab, None)
