# SPDX-License-Identifier: MIT
"""Many kiosk programs at once against as many real guests of one lab: does each show its own, and no other's?

Each kiosk is the real program in a network namespace with the MAC of its terminal. Its viewer is a stand-in for xfreerdp that connects
where it is told (`/v:ADDRESS:PORT`), keeps that connection, and asks the machine at that address who it is. What it heard is judged by
the terminal's MAC alone: its seat, and the name and MAC that a guest of that seat must have, are computed here by hand.

    make crowd-test ARGS="--terminals 30"
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.system import ending, netns
from tests.system.house import GATEWAY, PORT, House, Terminal, guest, guest_address, wait_for

KIOSK = Path(__file__).resolve().parents[2] / "kiosk" / "labvirt-kiosk"
RECIPE = Path(__file__).resolve().parents[2] / "images" / "tiny" / "build.py"
MEMORY_MIB = 96
PATIENCE_SECONDS = 1500.0

VIEWER = r'''#!/usr/bin/python3 -I
"""Stands in for xfreerdp: connects, asks the guest who it is, writes that down, and stays until it is ended."""
import json, os, socket, sys, time
folder = os.environ["CROWD_FOLDER"]
if "--version" in sys.argv or "/version" in sys.argv:
    print("This is FreeRDP version 2.11.7 (n/a)")
    sys.exit(0)
address, _, port = next(word for word in sys.argv if word.startswith("/v:"))[3:].rpartition(":")
line = socket.create_connection((address, int(port)), 20)
line.sendall(b"who is there\n")
assert line.recv(100) == b"who is there\n"
while True:
    heard = b""
    with socket.create_connection((address, 7000), 20) as asked:
        while piece := asked.recv(4096):
            heard += piece
    facts = json.loads(heard)
    if facts["address"]:
        break
    time.sleep(0.5)
facts["seen_at"] = line.getpeername()[0]
part = os.path.join(folder, "part." + str(os.getpid()))
with open(part, "w") as file:
    json.dump(facts, file)
os.rename(part, os.path.join(folder, "shown." + str(os.getpid())))
line.settimeout(None)
while line.recv(100):
    pass
'''


@dataclass
class Kiosk:
    """One kiosk program at its terminal."""

    terminal: Terminal
    folder: Path
    process: subprocess.Popen[bytes]

    def shown(self) -> list[dict[str, Any]]:
        """What each viewer that it started heard from its guest."""
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("shown.*"))]

    def status(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.folder / "status.json").read_text()))
        except (OSError, ValueError):
            return {}


def start(terminal: Terminal, folder: Path) -> Kiosk:
    """Its kiosk program runs as if the image had started it: with a time line that began with this boot's kernel."""
    folder.mkdir()
    (folder / "bin").mkdir()
    viewer = folder / "bin" / "xfreerdp"
    viewer.write_text(VIEWER)
    viewer.chmod(0o755)
    (folder / "timeline").write_text(f"kernel {time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000}\n")
    argv = [sys.executable, str(KIOSK), "--no-face", "--url", f"http://{GATEWAY}:{PORT}/", "--id", terminal.mac]
    argv += ["--state", str(folder / "state"), "--status-file", str(folder / "status.json")]
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "XDG_RUNTIME_DIR": str(folder),
        "CROWD_FOLDER": str(folder),
        "LABVIRT_TIMELINE": str(folder / "timeline"),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["ip", "netns", "exec", terminal.namespace, *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    return Kiosk(terminal, folder, process)


def crowd(house: House, tiny: Path, count: int, *, clones: bool = False) -> dict[str, Any]:
    """All at once; the figures. With `clones` the guests are instant clones. Raises AssertionError when one shows another's guest, or
    nothing, or does not end cleanly."""
    house.set_up(tiny, count, memory=MEMORY_MIB, profile=("--protocol", "rdp", *(("--instant-clone",) if clones else ())))
    if clones:
        house.hasten_templates()
    house.call("class", "add", "crowd", "--program", "xfreerdp", "--template", "/v:%ADDRESS%:%PORT%")
    for seat in range(1, count + 1):
        house.call("terminal", "set", f"pc-{seat}", "--class", "crowd")
    house.serve()
    if clones:
        house.await_template()
    terminals = house.switch_on(count)
    began = time.monotonic()
    kiosks = [start(terminal, house.folder / f"kiosk-{terminal.seat}") for terminal in terminals]
    at: dict[int, float] = {}

    def all_show() -> bool:
        for kiosk in kiosks:
            assert kiosk.process.poll() is None, (kiosk.folder / "log").read_text()[-2000:]
            if kiosk.terminal.seat not in at and kiosk.shown():
                at[kiosk.terminal.seat] = time.monotonic() - began
        return len(at) == count

    try:
        try:
            wait_for(all_show, f"all {count} kiosks show a guest", PATIENCE_SECONDS / 3)
            judge(kiosks)
            boots = wait_for(lambda: _all_told(house), "all have told their whole boot", 60)
        except AssertionError as error:
            states = {kiosk.terminal.seat: kiosk.status() for kiosk in kiosks}
            raise AssertionError(f"{error}\n{len(at)} of {count} show a guest: {states}\n{house.logs()}") from error
        viewers = {kiosk.status()["viewer_pid"] for kiosk in kiosks}
        assert len(viewers) == count
    finally:
        for kiosk in kiosks:
            if kiosk.process.poll() is None:
                kiosk.process.send_signal(signal.SIGTERM)
        codes = [kiosk.process.wait(60) for kiosk in kiosks]
    assert codes == [0] * count, codes
    assert not [pid for pid in viewers if netns.start_ticks(pid) is not None]
    judge(kiosks)  # also of viewers that were started again meanwhile
    origins = Counter(str(house.guest(seat)["origin"]).partition(" of ")[0] for seat in range(1, count + 1))
    assert not clones or set(origins) == {"clone"}, origins
    seconds = sorted(at.values())
    return {
        "terminals": count,
        "begun_as": dict(origins),
        "shown_first_s": round(seconds[0], 1),
        "shown_median_s": round(seconds[count // 2], 1),
        "shown_last_s": round(seconds[-1], 1),
        "viewers_started": sum(len(kiosk.shown()) for kiosk in kiosks),
        "boots_told": boots["boots"],
        "parts": {
            part["name"]: {"median_ms": part["median_ms"], "worst_ms": part["worst_ms"]}
            for part in boots["parts"]
            if part["name"] not in ("kernel", "total")  # of this machine, not of a terminal
        },
    }


def _all_told(house: House) -> dict[str, Any] | None:
    """The lab's boots, once the last one of every terminal is whole: who waited long for its guest has told a part before."""
    told: dict[str, Any] = house.call("lab", "boots", "sys")
    return told if all(each["boot"] and each["boot"]["complete"] for each in told["last"]) else None


def judge(kiosks: list[Kiosk]) -> None:
    """Every viewer of every kiosk was answered by the guest of its seat, and no two by the same machine."""
    machines: dict[str, int] = {}
    for kiosk in kiosks:
        seat = int(kiosk.terminal.mac.rpartition(":")[2], 16)
        for facts in kiosk.shown():
            heard = (facts["name"], facts["mac"], facts["address"], facts["seen_at"])
            assert heard == (guest(seat), f"02:4c:56:00:00:{seat:02x}", guest_address(seat), guest_address(seat)), (seat, facts)
            assert machines.setdefault(facts["boot_id"], seat) == seat, facts
    assert set(machines.values()) == {kiosk.terminal.seat for kiosk in kiosks}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terminals", type=int, default=30, metavar="N", help="kiosks and guests (1 to 60; default: %(default)s)")
    parser.add_argument("--clones", action="store_true", help="the guests are instant clones of a template that was made before")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    if not 1 <= options.terminals <= 60:
        parser.error("--terminals must be 1 to 60")
    ending.in_order()
    netns.remove_leftovers()
    with tempfile.TemporaryDirectory(prefix="crowd-") as made:
        image = Path(made) / "tiny.qcow2"
        subprocess.run([sys.executable, "-I", str(RECIPE), "--out", str(image)], check=True, stdout=subprocess.DEVNULL)
        with House(Path(made), 1) as house:
            figures = crowd(house, image, options.terminals, clones=options.clones)
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
