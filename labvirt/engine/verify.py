# SPDX-License-Identifier: MIT
"""Compare database, processes, TAPs, rules, leases, names and overlays: every stray of every kind is a finding. Changes nothing. What lies
in the image store and beside it is compared in storage.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from labvirt.contracts.dhcp import DhcpHost
from labvirt.domain import actions as act
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import Guest, RunId
from labvirt.domain.lab import DhcpMode, Lab
from labvirt.domain.observed import Memory, Observation, ObservedPorts
from labvirt.domain.plan import plan
from labvirt.engine.labs import Labs, wish_of
from labvirt.engine.observe import Observer, Reality, Wishes, observed_run
from labvirt.engine.operations import Operations
from labvirt.engine.storage import stored
from labvirt.engine.world import World
from labvirt.errors import DnsError, LabVirtError

IDLE_SECONDS = 1.0
LOOKS = 5
"""So often it is looked again while operations come and go."""


def verify(world: World, operations: Operations, labs: Labs) -> tuple[Finding, ...]:
    """Empty when everything agrees. Operations that are going on get a moment to end; guests that are busy even then are not
    judged. What cannot be read is a finding too."""
    observer = Observer(world)
    reality, wishes, busy = _look(observer, operations)
    for _ in range(LOOKS - 1):
        if not busy:
            break
        reality, wishes, busy = _look(observer, operations)
    found = [*observer.trouble.values()]
    if wishes is not None:
        found += _runs_and_remains(world, wishes, reality, busy)
        found += _networks(wishes, reality)
        found += stored(world)
        for lab in wishes.labs:
            found += _leases(world, lab, wish_of(lab, wishes.terminals, world.settings.controller_port).dhcp.hosts)
        if reality.runs is not None:
            found += _overlays(world, wishes, frozenset(s.run for s in reality.runs), busy)
            found += _names(world, wishes, frozenset(s.run for s in reality.runs))
    found += labs.findings()
    return tuple(dict.fromkeys(found))


def _look(observer: Observer, operations: Operations) -> tuple[Reality, Wishes | None, frozenset[str]]:
    """What is, and the guests about whom this look says nothing because something was done to them meanwhile."""
    operations.idle(IDLE_SECONDS)
    marks = operations.marks()
    reality = observer.reality(thorough=True)
    wishes = observer.wishes()
    moved = operations.marks()
    return reality, wishes, operations.busy() | {name for name in moved if moved[name] != marks.get(name, 0)}


def _stray(code: str, sentence: str, fix: str, subject: str, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(code=code, severity=severity, sentence=sentence, fix=fix, subject=subject)


def _runs_and_remains(world: World, wishes: Wishes, reality: Reality, busy: frozenset[str]) -> Iterator[Finding]:
    """What the rules of domain.plan would do now is what does not agree now."""
    network, runs = reality.network, reality.runs
    planned = plan(
        Observation(
            now=world.clock.monotonic(),
            guests=wishes.guests,
            runs=None if runs is None else tuple(observed_run(status, viewed=False) for status in runs),
            folders=reality.folders,
            ports=None if network is None else ObservedPorts(taps=network.taps, filtered=network.filtered),
            labs={lab.name: lab for lab in wishes.labs},
            busy=busy,
            spares=frozenset(spare.run for spare in wishes.spares),
            keeps=world.settings.keep_overlays,
        ),
        Memory(),
    )
    yield from planned.findings
    for action in planned.actions:
        match action:
            case act.Stop(run=run, why=why):
                yield _stray("run-to-stop", f"{run} runs, but {why}.", f"labvirt guest stop {run.guest}", str(run))
            case act.Adopt(run=run, guest=guest):
                yield _stray("run-to-adopt", f"{run} runs and the row of {guest} does not know it yet.", "", str(run))
            case act.Retry(guest=guest) | act.MarkFailed(guest=guest) | act.MarkStopped(guest=guest):
                yield _stray("run-gone", f"The row of {guest} says that it lives, and nothing runs.", "", guest)
            case act.Replug(guest=guest, tap=tap):
                yield _stray("filters-missing", f"The TAP {tap} of {guest} has no filters.", "", str(tap), Severity.ERROR)
            case act.Unplug(guest=guest, tap=tap):
                yield _stray("tap-left-over", f"The TAP {tap} exists although {guest} is off.", f"ip link delete {tap}", str(tap))
            case act.RemoveRun(run=run) | act.KeepRun(run=run):
                yield _stray("folder-left-over", f"The folder of {run} exists although that run is over.", "", str(run))


def _overlays(world: World, wishes: Wishes, living: frozenset[RunId], busy: frozenset[str]) -> Iterator[Finding]:
    for guest in wishes.guests:
        if guest.run not in living or guest.name in busy or guest.run is None:
            continue
        folder = world.disks.open_run(guest.run)
        have = len(folder.overlays) if folder is not None else 0
        if have != len(guest.disks):
            yield _stray(
                "overlays-missing",
                f"{guest.run} runs with {len(guest.disks)} disks and {have} overlays are in its folder.",
                f"labvirt guest fresh {guest.name}",
                str(guest.run),
                Severity.ERROR,
            )


def _networks(wishes: Wishes, reality: Reality) -> Iterator[Finding]:
    labs = {lab.bridge: lab.name for lab in wishes.labs}
    if reality.network is not None:
        for bridge in sorted(reality.network.bridges - labs.keys()):
            yield _stray("bridge-without-lab", f"The bridge {bridge} belongs to no lab.", f"ip link delete {bridge}", str(bridge))
        for bridge in sorted(labs.keys() - reality.network.bridges):
            yield _stray("bridge-missing", f"The lab {labs[bridge]} has no bridge {bridge}.", "", str(bridge), Severity.ERROR)
        if labs and not reality.network.rules_intact:
            yield _stray("rules-missing", "The base rules of the network filters are not as they should be.", "", "", Severity.ERROR)
    if reality.serving is not None:
        names = {lab.name for lab in wishes.labs}
        serves = {lab.name: "names" if lab.dhcp is DhcpMode.NONE else "DHCP" for lab in wishes.labs}
        for name in sorted(names - reality.serving):
            yield _stray("dhcp-missing", f"Nobody serves {serves[name]} in the lab {name}.", "", name, Severity.ERROR)
        for name in sorted(reality.serving - names):
            yield _stray("dhcp-without-lab", f"A DHCP server serves the lab {name}, which does not exist.", "", name)


def _leases(world: World, lab: Lab, hosts: tuple[DhcpHost, ...]) -> Iterator[Finding]:
    if lab.foreign_dhcp:
        return  # what the campus gives is not known here; what we gave before it took over is over
    try:
        leases = [lease for lease in world.dhcp.leases(lab.name) if lease.valid(world.clock.now())]
    except LabVirtError as error:
        yield _stray("leases-unknown", f"{lab.name}: {error}", error.hint, lab.name, Severity.ERROR)
        return
    planned = {host.mac: host for host in hosts}
    first, last = lab.network.quarantine
    for lease in leases:
        host = planned.get(lease.mac)
        if first <= lease.address <= last:
            continue  # a stranger, or a terminal adopted a moment ago
        if host is None or host.address != lease.address:
            whose = f"{host.name}, whose address is {host.address}" if host else "nobody we know"
            yield _stray("lease-stray", f"In {lab.name}, {lease.address} is leased to {lease.mac}: {whose}.", "", str(lease.address))
    for address, count in Counter(lease.address for lease in leases).items():
        if count > 1:
            yield _stray("lease-twice", f"In {lab.name}, {address} is leased {count} times.", "", str(address))


def _names(world: World, wishes: Wishes, living: frozenset[RunId]) -> Iterator[Finding]:
    """One living guest of each lab must resolve: the lab's server has one list of names."""
    first: dict[str, Guest] = {}
    for guest in wishes.guests:
        if guest.run in living:
            first.setdefault(guest.lab, guest)
    for lab in wishes.labs:
        one = first.get(lab.name)
        if one is None:
            continue
        name, address = f"{one.name}.{lab.domain}", lab.identity(one.seat).address
        try:
            found = world.names.resolve(name, lab.network.gateway)
        except DnsError as error:
            yield _stray("names-unknown", f"{lab.name}: {error}", error.hint, lab.name, Severity.ERROR)
            continue
        if address not in found:
            told = ", ".join(map(str, found)) or "nothing"
            yield _stray("name-wrong", f"{name} should be {address}, and the server says {told}.", "", name, Severity.ERROR)
