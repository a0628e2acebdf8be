# SPDX-License-Identifier: MIT
"""`labvirt demo`: make the place, the controller and the terminals; show or judge; remove all of it."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.live import Live

from labvirt.config import share_folder
from labvirt.demo import picture, place, table
from labvirt.demo.controller import GATEWAY, LAB, PORT, DemoController, terminal_mac
from labvirt.demo.options import DemoOptions
from labvirt.demo.seat import SeatWatch
from labvirt.demo.terminal import DemoTerminal
from labvirt.errors import HostNotReady
from labvirt.system import files, process

LOOK_SECONDS = 0.3


def run(options: DemoOptions) -> int:
    """0 when shown (or judged good), 1 when judged bad, and nothing of it is left. Raises HostNotReady."""
    console = Console(stderr=True)
    root = Path(tempfile.gettempdir())
    cleaned = place.remove_leftovers(root)
    if cleaned:
        console.print(f"Removed what {cleaned} earlier demo{'s' if cleaned > 1 else ''} had left.")
    stop = threading.Event()
    with _signals(stop):
        mine = place.own(root)
        try:
            return _show(options, mine, console, stop)
        finally:
            place.remove(mine)


def _show(options: DemoOptions, mine: place.Place, console: Console, stop: threading.Event) -> int:
    started = datetime.now(UTC)
    pictures = options.pictures or (options.json_path.parent if options.json_path else mine.folder) / "demo-screens"
    pictures.mkdir(parents=True, exist_ok=True)
    console.print("Building or reusing the tiny image ...")
    image = _tiny_image(mine)
    controller = DemoController(mine, options.hypervisor)
    controller.set_up(options.terminals, image)
    console.print("Starting the controller ...")
    controller.start()
    seats = _switch_on(options, mine, controller, pictures)
    page = controller.sign_in_url()
    if not console.is_terminal:
        console.print(f"The page: {page}", soft_wrap=True)
    deadline = time.monotonic() + options.deadline_seconds
    with Live(table.table(seats, page), console=console, refresh_per_second=4, transient=False) as live:
        while not stop.wait(LOOK_SECONDS):
            live.update(table.table(seats, page))
            if options.check and (all(watch.seen.holds for watch in seats) or time.monotonic() > deadline):
                break
        live.update(table.table(seats, page))
    for watch in seats:
        watch.stop()
    if not options.check:
        return 0
    told = table.report(seats, str(controller.call("host", "show", "--engine")["engine"]["accelerator"]), started)
    if options.json_path:
        files.write_atomic(options.json_path, (json.dumps(told, indent=2) + "\n").encode(), mode=0o644)
    else:
        print(json.dumps(told, indent=2))
    if not told["ok"]:
        _keep_logs(mine, pictures)
        console.print(f"Not every seat holds; the logs are in {pictures}.")
    return 0 if told["ok"] else 1


def _switch_on(options: DemoOptions, mine: place.Place, controller: DemoController, pictures: Path) -> list[SeatWatch]:
    """All terminals plugged in first, then all switched on, as at eight o'clock."""
    kiosk = share_folder("kiosk") / "labvirt-kiosk"
    strip = picture.strip_reader(share_folder("images") / "tiny")
    bridge = str(controller.call("lab", "show", LAB)["bridge"])
    terminals = [DemoTerminal(mine, seat, terminal_mac(seat), kiosk) for seat in range(1, options.terminals + 1)]
    for terminal in terminals:
        terminal.plug_in(bridge)
    seats = []
    for terminal in terminals:
        leases = mine.state / "networks" / LAB / "leases"
        seats.append(SeatWatch(terminal, controller.expected(terminal.seat), leases, strip, pictures))
    for watch in seats:
        watch.terminal.switch_on(f"http://{GATEWAY}:{PORT}")
        watch.start()
    return seats


def _tiny_image(mine: place.Place) -> Path:
    """The tiny guest, from the cache when its recipe and inputs did not change."""
    recipe = share_folder("images") / "tiny" / "build.py"
    image = mine.folder / "tiny.qcow2"
    result = process.run([sys.executable, "-I", str(recipe), "--out", str(image)], timeout=600)
    if not result.ok:
        raise HostNotReady(
            f"The tiny image cannot be built: {result.last_words}", hint=f"Try it alone: {sys.executable} {recipe} --out tiny.qcow2"
        )
    return image


def _keep_logs(mine: place.Place, target: Path) -> None:
    for log in [
        *mine.folder.glob("*.log"),
        *mine.folder.glob("terminal-*/*.log"),
        *mine.state.glob("logs/*.log"),
        *mine.state.glob("runs/*/qemu.log"),
    ]:
        shutil.copy(log, target / f"{log.parent.name}-{log.name}")


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM end the show in order; a second SIGINT breaks in."""

    def ask(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
