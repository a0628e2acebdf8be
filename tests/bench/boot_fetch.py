# SPDX-License-Identifier: MIT
"""K1: the kiosk's image is fetched from the real web process by one PC and by 30 at once; and what 30 PCs need of a wire, computed.

Loopback has no wire: what is measured is the web process, on the processors that the clients use too. The times at 100 Mbit/s and
1 Gbit/s are arithmetic (bytes, Ethernet and TCP overhead), not measurements.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from labvirt.disks import boot_folder
from tests.bench.controller import BenchController, running
from tests.bench.ground import ground, tiny_image
from tests.bench.record import Record, record
from tests.bench.rounds import say
from tests.fakes import kiosk

CROWD = 30
EFFICIENCY = 1448 / 1538
"""Payload of a full Ethernet frame with TCP timestamps (RFC 7323), of what it takes on the wire with preamble and gap (IEEE 802.3)."""
MEGABYTE = 1_000_000
BOOT_BYTES = 12_179_392 + 5_694_825 + 167_419_904
"""Kernel, initial file system and image of one boot, as `make kiosk-boot` counted them on 2026-11-27 (docs/benchmarks.md)."""


def measure(image_megabytes: int, repeat: int) -> list[Record]:
    """One and 30 at once take turns."""
    with ground() as mine:
        ours = BenchController(mine, "fake")
        ours.set_up_many(1, tiny_image(mine))
        folder = _boot_folder(mine.folder / "boot", image_megabytes)
        boot_folder.install(folder, ours.state / "kiosk")
        with running(ours) as controller:
            one: list[float] = []
            crowd: list[float] = []
            last: list[float] = []
            for number in range(repeat):
                say(f"  round {number + 1} of {repeat}")
                one.append(_fetch(controller.door))
                began = time.perf_counter()
                with ThreadPoolExecutor(CROWD) as pool:
                    crowd += pool.map(_fetch, [controller.door] * CROWD)
                last.append(time.perf_counter() - began)
    return _records(image_megabytes, one, crowd, last)


def computed_seconds(total_bytes: int, pcs: int, megabits: int) -> float:
    """How long a wire of so many Mbit/s, used by nothing else and never idle, is busy with as many PCs that fetch so much each."""
    return pcs * total_bytes * 8 / (megabits * 1e6 * EFFICIENCY)


def _records(image_megabytes: int, one: Sequence[float], crowd: Sequence[float], last: Sequence[float]) -> list[Record]:
    size = image_megabytes * MEGABYTE
    fast = CROWD * size / sorted(last)[len(last) // 2] / 1e6
    alone = size / sorted(one)[len(one) // 2] / 1e6
    wires = ", ".join(f"{computed_seconds(BOOT_BYTES, CROWD, megabits):.0f} s at {megabits} Mbit/s" for megabits in (100, 1000))
    computed = (
        f"Computed, not measured: {CROWD} PCs that fetch {BOOT_BYTES / 1e6:.1f} MB each (one measured boot) need {wires} of a shared link."
    )
    measured = (
        f"The web process gave {fast:.0f} MB/s to {CROWD} clients, {alone:.0f} MB/s to one; a full 1 Gbit/s is {EFFICIENCY * 125:.0f} MB/s."
    )
    notes = [computed, measured]
    return [
        record("K1", f"the kiosk's image ({image_megabytes} MB) to one client", "s", {"ours": one}, notes=notes),
        record("K1-crowd", f"the same to each of {CROWD} at once", "s", {"ours": crowd}),
        record("K1-last", f"the same until the last of {CROWD} has it", "s", {"ours": last}),
    ]


def _boot_folder(folder: Path, image_megabytes: int) -> Path:
    """A boot folder whose image is so large; its content means nothing."""
    return kiosk.make(folder, {"kiosk.squashfs": bytes(MEGABYTE) * image_megabytes})


def _fetch(door: tuple[str, int]) -> float:
    """Seconds until all of it came."""
    began = time.perf_counter()
    block = memoryview(bytearray(1 << 20))
    with socket.create_connection(door, 60) as line:
        line.sendall(b"GET /boot/kiosk.squashfs HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            piece = line.recv(65536)
            assert piece, head
            head += piece
        text, _, rest = head.partition(b"\r\n\r\n")
        assert text.startswith(b"HTTP/1.1 200"), text
        fields = dict(row.lower().split(b": ", 1) for row in text.split(b"\r\n")[1:])
        left = int(fields[b"content-length"]) - len(rest)
        while left:
            got = line.recv_into(block)
            assert got, left
            left -= got
    return time.perf_counter() - began
