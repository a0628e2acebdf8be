# SPDX-License-Identifier: MIT
"""A small lab for the web room: the real database in a folder, an engine link with memory, and guests in every state.

Run as a program it serves such a lab on 127.0.0.1 (tests of the whole process, and for looking at the page):
    python tests/web/lab.py FOLDER SEATS [full|empty|away [ADDRESS]]
"""

from __future__ import annotations

import io
import logging
import queue
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, cast

from PIL import Image as Picture
from PIL import ImageDraw

from labvirt.contracts.database import Heartbeat
from labvirt.contracts.engine import Change, DisplayTicket, EngineStatus, PoolStatus, Presence, TemplateReport
from labvirt.database.unit_of_work import SqliteDatabase
from labvirt.disks.boot_folder import SiteKiosk
from labvirt.disks.uploads import UploadFolder
from labvirt.domain.addresses import AddressPlan, MacAddress
from labvirt.domain.console import ConsoleKind
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import Guest, GuestState, RunId, StopHow, Wish
from labvirt.domain.image import DiskChoice, Image, Stage, Version
from labvirt.domain.lab import Lab
from labvirt.domain.lease import Lease
from labvirt.domain.profile import Bus, Profile, Protocol, Slot, SlotKind
from labvirt.domain.terminal import Stranger, Terminal
from labvirt.errors import EngineAway, GuestNotReady, LabVirtError
from labvirt.hypervisors.fake_console import HEIGHT, WIDTH, FakeScreens, open_screen, open_serial
from labvirt.network.dhcp.forms import RenderedForms
from labvirt.system.clock import SystemClock
from labvirt.usecases import setup
from labvirt.usecases.ports import Ports

LAB = Lab(name="lab-a", block=1, network=AddressPlan(IPv4Network("10.77.0.0/24")), max_instances=60)
LARGE = replace(LAB, network=AddressPlan(IPv4Network("10.80.0.0/20")), max_instances=1023)
"""The same lab with room for a thousand seats."""
LOCAL = IPv4Address("127.0.0.1")
CA = "-----BEGIN CERTIFICATE-----\nTEFCVklSVA==\n-----END CERTIFICATE-----\n"
TCG = "Guests run under TCG, QEMU's own emulation: slow, and no security boundary. On a host with KVM they would not."


@dataclass
class MovableClock:
    """A clock that stands until it is moved."""

    at: datetime = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class FakeEngine:
    """An engine link with memory: what a test puts in is what the web process hears."""

    clock: Any = field(default_factory=SystemClock)
    notice: str = ""
    findings: tuple[Finding, ...] = ()
    examined: tuple[Finding, ...] = ()
    waiting: tuple[str, ...] = ()
    lease_list: list[Lease] = field(default_factory=list)
    minted: list[tuple[str, IPv4Address, str]] = field(default_factory=list)
    login: DisplayTicket | LabVirtError | None = None
    """What a ticket for RDP comes to."""
    woken: tuple[MacAddress, ...] = ()
    pokes: int = 0
    pictures: int = 0
    hold_pictures: threading.Event | None = None
    console: LabVirtError | None = None
    """What opening a console comes to."""
    consoles_opened: list[tuple[RunId, ConsoleKind]] = field(default_factory=list)
    hold_consoles: threading.Event | None = None
    guest_ends: list[socket.socket] | None = None
    """A list: consoles end at sockets that are put there, for a test to play the guest. None: pretended screens and serial lines."""
    report: TemplateReport = field(default_factory=TemplateReport)
    warm: tuple[PoolStatus, ...] = ()
    templates_removed: list[str] = field(default_factory=list)
    changes: dict[str, Change] = field(default_factory=dict)
    _away: bool = False
    _watchers: list[queue.SimpleQueue[Change | None]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.screens = FakeScreens(self._shown)

    def set_away(self, away: bool) -> None:
        with self._lock:
            self._away = away
            if away:
                for watcher in self._watchers:
                    watcher.put(None)

    def publish(self, guest: Guest, *, display: bool = False, flow: bool = False, peer: str = "", since: datetime | None = None) -> None:
        change = Change(guest=guest, presence=Presence(guest=guest.name, display=display, flow=flow, peer=peer, since=since))
        with self._lock:
            self.changes[guest.name] = change
            for watcher in self._watchers:
                watcher.put(change)

    def _here(self) -> None:
        if self._away:
            raise EngineAway()

    def status(self) -> EngineStatus:
        self._here()
        now = self.clock.now()
        return EngineStatus(
            pid=4711,
            version="0.1",
            driver="fake",
            accelerator="tcg",
            notice=self.notice,
            started_at=now,
            reconciled_at=now,
            findings=self.findings,
            queue=self.waiting,
        )

    def poke(self) -> None:
        self._here()
        self.pokes += 1

    def watch(self) -> Iterator[Change]:
        self._here()
        mine: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        with self._lock:
            for change in self.changes.values():
                mine.put(change)
            self._watchers.append(mine)
        try:
            while (heard := mine.get()) is not None:
                yield heard
            raise EngineAway()
        finally:
            with self._lock:
                self._watchers.remove(mine)

    def mint_display(self, guest: str, source: IPv4Address) -> DisplayTicket:
        self._here()
        if isinstance(self.login, LabVirtError):
            raise self.login
        secret = f"s3cret-{guest}-{len(self.minted)}"
        self.minted.append((guest, source, secret))
        if self.login is not None:
            return self.login
        return DisplayTicket(guest=guest, address=LAB.network.gateway, port=20001, secret=secret, expires_seconds=30)

    def templates(self) -> TemplateReport:
        self._here()
        return self.report

    def pools(self) -> tuple[PoolStatus, ...]:
        self._here()
        return self.warm

    def freeze(self, guest: str, template: str) -> None:
        raise AssertionError("the web freezes nothing")

    def remove_template(self, template: str) -> None:
        self._here()
        self.templates_removed.append(template)

    def leases(self, lab: str) -> tuple[Lease, ...]:
        self._here()
        return tuple(lease for lease in self.lease_list if lease.lab == lab)

    def demand_seconds(self, guest: str) -> float | None:
        self._here()
        return None

    def screenshot(self, guest: str) -> bytes:
        self._here()
        change = self.changes.get(guest)
        if change is None or not change.guest.alive:
            raise GuestNotReady(guest, "off")
        self.pictures += 1
        if self.hold_pictures is not None:
            self.hold_pictures.wait(30)
        return screen(guest, change.guest.seat)

    def open_console(self, run: RunId, kind: ConsoleKind) -> int:
        self._here()
        if isinstance(self.console, LabVirtError):
            raise self.console
        change = self.changes.get(run.guest)
        if change is None or change.guest.run != run:
            raise GuestNotReady(run.guest, "started anew")
        self.consoles_opened.append((run, kind))
        if self.hold_consoles is not None:
            self.hold_consoles.wait(30)
        if self.guest_ends is not None:
            ours, theirs = socket.socketpair()
            self.guest_ends.append(ours)
            return theirs.detach()
        if kind is ConsoleKind.SERIAL:
            return open_serial(str(run), run.guest, self._runs)
        return open_screen(self.screens, str(run))

    def _runs(self, run: str) -> bool:
        return any(str(change.guest.run) == run and change.guest.alive for change in self.changes.values())

    def _shown(self, run: str) -> Picture.Image | None:
        if not self._runs(run):
            return None
        change = next(change for change in self.changes.values() if str(change.guest.run) == run)
        return Picture.open(io.BytesIO(screen(change.guest.name, change.guest.seat))).resize((WIDTH, HEIGHT))

    def reset(self, guest: str) -> None:
        self._here()

    def command_line(self, guest: str) -> tuple[str, ...]:
        self._here()
        return ("qemu-system-x86_64", "-name", guest)

    def preview(self, profile: str, lab: str, seat: int) -> tuple[str, ...]:
        self._here()
        return ("qemu-system-x86_64", "-name", f"{lab}-{seat:02d}", profile)

    def wake(self, lab: str, macs: tuple[MacAddress, ...]) -> None:
        self._here()
        self.woken += macs

    def in_front(self, guest: str, seconds: int) -> None:
        self._here()

    def verify(self) -> tuple[Finding, ...]:
        self._here()
        return ()

    def doctor(self) -> tuple[Finding, ...]:
        self._here()
        return self.examined


class EmptyShelf:
    """Image store, drafts and kept overlays of a site that has no file yet: what is shown comes from the rows."""

    def entries(self) -> tuple[Any, ...]:
        return ()

    def check(self, *told: Any, **more: Any) -> None:
        """Whatever is asked about is whole."""

    def list(self) -> tuple[Any, ...]:
        return ()


class Trials:
    """What canaries left: a picture, whatever is asked for."""

    def picture(self, name: str) -> bytes:
        return screen(name, 1)

    def copy_checks(self, profile: str, to: str) -> None:
        """There are none."""

    def put_check(self, profile: str, name: str, text: str) -> None:
        """It is good, whatever it is."""

    def remove_check(self, profile: str, name: str) -> None:
        """Nor was there one."""


def screen(guest: str, seat: int) -> bytes:
    """A picture as a guest might show it, different for each seat."""
    tint = (30 + seat * 37 % 120, 60 + seat * 53 % 100, 90 + seat * 71 % 120)
    picture = Picture.new("RGB", (1024, 768), tint)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((90, 90, 700, 560), fill=(245, 246, 248))
    draw.rectangle((90, 90, 700, 130), fill=(40, 50, 60))
    for line in range(12):
        draw.rectangle((120, 160 + line * 30, 180 + (line * 97 + seat * 61) % 480, 172 + line * 30), fill=(130, 140, 150))
    draw.rectangle((0, 728, 1024, 768), fill=(20, 25, 30))
    draw.text((16, 740), guest, fill=(255, 255, 255))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def terminal_mac(seat: int) -> MacAddress:
    return MacAddress(0x525400AA0000 + seat)


def lease(mac: MacAddress, address: IPv4Address, *, now: datetime) -> Lease:
    return Lease(lab=LAB.name, mac=mac, address=address, name=None, expires=now + timedelta(hours=12))


def guest(seat: int, state: GuestState, now: datetime, **more: Any) -> Guest:
    name = LAB.guest_name(seat)
    alive = Guest(name=name, lab=LAB.name, seat=seat, wish=Wish.RUNNING, generation=1, state=state, since=now).alive
    wish = Wish.STOPPED if state in (GuestState.STOPPED, GuestState.STOPPING) else Wish.RUNNING
    told: dict[str, Any] = {
        "terminal": f"{LAB.name}-t{seat:02d}",
        "profile": "desktop",
        "disks": (DiskChoice(place=0, image="tiny", version=1),) if alive else (),
        "run": RunId(name, 1) if alive else None,
        **more,
    }
    return Guest(name=name, lab=LAB.name, seat=seat, wish=wish, generation=1, state=state, since=now, **told)


def enter(folder: Path, clock: Any = None) -> tuple[Ports, FakeEngine]:
    """The doors of the site in this folder, with a new engine."""
    clock = clock or SystemClock()
    engine = FakeEngine(clock=clock)
    database = SqliteDatabase.open(folder / "labvirt.db", create=True)
    nobody = cast(Any, None)  # doors that no page goes through
    shelf = cast(Any, EmptyShelf())
    ports = Ports(
        database=database,
        engine=engine,
        clock=clock,
        disks=nobody,
        store=shelf,
        drafts=shelf,
        kept=shelf,
        kiosk=SiteKiosk(folder / "kiosk"),
        offline=nobody,
        trials=cast(Any, Trials()),
        locks=nobody,
        uploads=UploadFolder(folder / "uploads"),
        forms=RenderedForms(),
    )
    return ports, engine


def make(folder: Path, *, seats: int = 4, protocol: Protocol = Protocol.SPICE, user: str | None = "student") -> str:
    """A site that is set up: one lab, one profile, `seats` terminals, no guest yet. Returns its set-up code."""
    ports, _ = enter(folder)
    clock = ports.clock
    code = setup.init(ports, host="here")
    now = clock.now()
    with ports.database.write() as work:
        if seats:
            work.labs.add(LAB if seats <= LAB.max_instances else LARGE)
        work.images.add(Image(name="tiny"))
        work.images.add_version(
            Version(
                image="tiny",
                number=1,
                file=cast(Any, Path("tiny/1.qcow2")),
                format="qcow2",
                size_bytes=1,
                virtual_bytes=1,
                sha256="0" * 64,
                stage=Stage.TESTED,
                made_at=now,
            )
        )
        work.images.publish("tiny", 1, expected=None)
        work.profiles.add(
            Profile(
                name="desktop",
                memory_mib=64,
                slots=(Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="tiny"),),
                protocol=protocol,
                user=user,
            )
        )
        for seat in range(1, seats + 1):
            work.terminals.add(
                Terminal(
                    name=f"lab-a-t{seat:02d}",
                    lab="lab-a",
                    seat=seat,
                    mac=terminal_mac(seat),
                    terminal_class="spice" if protocol is Protocol.SPICE else "rdp",
                )
            )
        work.commit()
    ports.database.close()
    return code


def put(ports: Ports, engine: FakeEngine, *guests: Guest, tell: bool = True) -> None:
    """These guests are in the database and published."""
    with ports.database.write() as work:
        for each in guests:
            if work.guests.get(each.name) is None:
                work.guests.add(each)
            else:
                work.guests.update(each)
        work.commit()
    if tell:
        for each in guests:
            engine.publish(each)


STATES = (
    GuestState.CONNECTED,
    GuestState.RUNNING,
    GuestState.STARTING,
    GuestState.WANTED,
    GuestState.CONNECTED,
    GuestState.PAUSED,
    GuestState.FAILED,
    GuestState.SILENT,
    GuestState.STOPPING,
    GuestState.STOPPED,
    GuestState.CONNECTED,
    GuestState.RUNNING,
)
REASONS = {
    GuestState.STARTING: "DHCP has not given out its address yet",
    GuestState.WANTED: "full: the host has 212 MiB of memory left, this guest needs 512 MiB",
    GuestState.PAUSED: "the disk for overlays is full; make room and it goes on",
    GuestState.FAILED: "QEMU ended at once: Could not open '/images/0.qcow2': Permission denied",
    GuestState.SILENT: "no answer on its QMP socket for 15 s",
    GuestState.STOPPING: "the guest was asked to shut down",
}


def fill(ports: Ports, engine: FakeEngine, seats: int) -> None:
    """Guests in all states, with leases, viewers, heartbeats, a queue, findings and strangers."""
    now = ports.clock.now()
    beats, guests = [], []
    for seat in range(1, seats + 1):
        state = STATES[(seat - 1) % len(STATES)]
        one = guest(seat, state, now - timedelta(seconds=7 * seat**2), reason=REASONS.get(state, ""))
        if state is GuestState.FAILED:
            one = replace(one, failures=3)
        if seat == 12:
            one = replace(one, wish=Wish.STOPPED, stop_how=StopHow.SHUTDOWN)
        guests.append(one)
        identity = LAB.identity(seat)
        if one.alive and seat != 2:
            engine.lease_list.append(lease(identity.mac, identity.address, now=now))
        engine.lease_list.append(lease(terminal_mac(seat), LAB.network.terminal(seat), now=now))
        used = state is GuestState.CONNECTED
        at = now - timedelta(seconds=4 if seat != 11 else 400)
        error = "" if seat != 2 else "remote-viewer ended after 0.3 s, trying again"
        beats.append(
            Heartbeat(
                terminal=f"lab-a-t{seat:02d}",
                at=at,
                viewer="running" if used else "ended" if seat == 2 else "none",
                viewer_exit=1 if seat == 2 else None,
                error=error,
            )
        )
    engine.waiting = tuple(g.name for g in guests if g.state is GuestState.WANTED)
    put(ports, engine, *guests, tell=False)
    with ports.database.write() as work:
        for beat in beats:
            work.heartbeats.put(beat)
        for number in range(2):
            work.strangers.put(
                Stranger(
                    id=f"52:54:00:bb:00:0{number}",
                    code=f"K7M2Q{number + 3}",
                    mac=MacAddress(0x525400BB0000 + number),
                    address=IPv4Address(f"10.77.0.{20 + number}"),
                    first_seen=now,
                    last_seen=now - timedelta(seconds=12 * number),
                )
            )
        work.commit()
    for one in guests:
        used = one.state is GuestState.CONNECTED
        engine.publish(
            one,
            display=used and one.seat != 5,
            flow=one.seat == 5,
            peer=str(LAB.network.terminal(one.seat)) if used else "",
            since=now - timedelta(minutes=one.seat) if used else None,
        )
    engine.notice = TCG
    engine.findings = (
        Finding(
            code="tap-without-guest",
            severity=Severity.WARNING,
            sentence="The TAP lvt00101f exists and belongs to no guest of the database.",
            fix="ip link delete lvt00101f",
            subject="lvt00101f",
        ),
    )


def main(folder: Path, seats: int, scene: str, address: str) -> None:
    logging.basicConfig(level=logging.WARNING)
    from labvirt.web.main import serve

    code = make(folder, seats=0 if scene == "empty" else seats)
    ports, engine = enter(folder)
    if scene != "empty":
        fill(ports, engine, seats)
    if scene == "away":
        engine.set_away(True)
    listening = socket.create_server((address, 0))
    print(f"http://{address}:{listening.getsockname()[1]} {code}", flush=True)
    serve(ports=ports, sockets=[listening], ca_pem=lambda: CA)
    ports.database.close()


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    main(Path(sys.argv[1]), int(sys.argv[2]), given.get(3, "full"), given.get(4, "127.0.0.1"))
