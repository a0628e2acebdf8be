# SPDX-License-Identifier: MIT
"""Orders of the controller and goodbyes to it: obeyed once, confirmed before, refused where this machine is not only a terminal."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from .conftest import KIOSK, Stub

SYSTEMCTL = """#!/bin/sh
echo "$1" >> "$STUB_DIR/systemctl"
"""


@pytest.fixture
def systemctl(stub: Stub) -> Callable[[], list[str]]:
    """A machine that notes what it is told; what it was told."""
    path = stub.bin / "systemctl"
    path.write_text(SYSTEMCTL)
    path.chmod(0o755)
    told = stub.folder / "systemctl"
    return lambda: told.read_text().split() if told.exists() else []


@pytest.mark.parametrize("word, verb", [("restart", "reboot"), ("shutdown", "poweroff")])
def test_an_order_is_confirmed_and_obeyed_once(controller, start_kiosk, systemctl, eventually, word: str, verb: str) -> None:
    controller.order = f"order={word}\norder_id=7\n"
    controller.ready()
    start_kiosk(LABVIRT_ORDERS="1")
    eventually(systemctl, "systemctl was run")
    assert systemctl() == [verb]
    confirmed = [beat for beat in controller.heartbeats if "order_done" in beat]
    assert [(beat["order_done"], beat["leaving"], beat["viewer"]) for beat in confirmed] == [("7", word, "none")]
    assert controller.heartbeats[-1] is confirmed[0]  # nothing after the last words


def test_a_machine_that_is_not_only_a_terminal_refuses(controller, start_kiosk, systemctl, eventually) -> None:
    controller.order = "order=shutdown\norder_id=7\n"
    controller.ready()
    start_kiosk()
    refused = eventually(lambda: [beat for beat in controller.heartbeats if "order_refused" in beat], "a refusal")
    assert refused[0]["order_refused"] == "7"
    assert "leaving" not in refused[0]
    assert systemctl() == []


@pytest.mark.parametrize("option, word", [("--leave", "restart"), ("--leave", "shutdown")])
def test_a_goodbye_is_said_before_the_machine_goes(controller, stub, systemctl, tmp_path, option: str, word: str) -> None:
    argv = [sys.executable, str(KIOSK / "labvirt-kiosk"), "--url", controller.url, "--id", "52:54:00:00:00:03", option, word]
    environment = {"PATH": f"{stub.bin}:/usr/bin:/bin", "STUB_DIR": str(stub.folder), "HOME": str(tmp_path)}
    assert subprocess.run(argv, env=environment, timeout=60).returncode == 0
    assert [(beat["viewer"], beat["leaving"]) for beat in controller.heartbeats] == [("none", word)]
    assert systemctl() == ["reboot" if word == "restart" else "poweroff"]


def test_a_controller_that_is_away_keeps_no_machine_on(stub, systemctl, tmp_path) -> None:
    argv = [sys.executable, str(KIOSK / "labvirt-kiosk"), "--url", "http://127.0.0.1:9/", "--id", "x", "--leave", "shutdown"]
    environment = {"PATH": f"{stub.bin}:/usr/bin:/bin", "STUB_DIR": str(stub.folder), "HOME": str(tmp_path)}
    assert subprocess.run(argv, env=environment, timeout=60).returncode == 0
    assert systemctl() == ["poweroff"]
    (stub.bin / "systemctl").unlink()
    assert subprocess.run(argv, env={**environment, "PATH": str(stub.bin)}, timeout=60).returncode == 1


class Line:
    """A controller in memory; `lost` confirmations do not arrive."""

    def __init__(self, order: Any, lost: int = 0) -> None:
        self.order = order
        self.lost = lost
        self.heard: list[Mapping[str, str]] = []

    def send(self, fields: Mapping[str, str]) -> Any:
        from labvirt_kiosk.trouble import NoAnswer

        if "order_done" in fields:
            if self.lost:
                self.lost -= 1
                raise NoAnswer("nobody answers")
            self.heard.append(fields)
            return None
        self.heard.append(fields)
        return self.order


@pytest.mark.parametrize("lost, obeyed", [(0, True), (2, True), (10**6, False)])
def test_what_was_not_confirmed_is_not_obeyed(lost: int, obeyed: bool) -> None:
    from labvirt_kiosk.heartbeat import Heartbeat
    from labvirt_kiosk.order import Order

    line = Line(Order(word="restart", number=3), lost)
    done = threading.Event()
    beat = Heartbeat(line.send, lambda _: None, 0.01, lambda order: done.set())
    beat.start()
    try:
        assert done.wait(1.0 if not obeyed else 30.0) is obeyed
    finally:
        beat.stop()
    assert len([fields for fields in line.heard if "order_done" in fields]) == int(obeyed)


@pytest.mark.parametrize(
    "body, told",
    [
        (b"order=restart\norder_id=12\n", ("restart", 12)),
        (b"new_field=x\norder=shutdown\norder_id=1\n", ("shutdown", 1)),
        (b"", None),
        (b"order=format-disk\norder_id=1\n", None),
        (b"order=restart\n", None),
        (b"order=restart\norder_id=-1\n", None),
        (b"order=restart\norder_id=99999999999999\n", None),
        (b"\xff\xfe<html>order=restart", None),
    ],
)
def test_only_known_orders_are_read(body: bytes, told: tuple[str, int] | None) -> None:
    from labvirt_kiosk.order import parse

    found = parse(body)
    assert (None if found is None else (found.word, found.number)) == told


def test_orders_are_allowed_by_their_own_setting_or_by_that_for_people() -> None:
    from labvirt_kiosk import settings

    assert not settings.read([], {}, "").orders
    assert settings.read([], {"LABVIRT_ORDERS": "1"}, "").orders
    assert settings.read([], {}, "labvirt.orders").orders
    assert settings.read(["--power"], {}, "").orders
    assert not settings.read(["--orders"], {}, "").power


def test_the_image_says_goodbye_at_its_power_key_and_obeys_orders() -> None:
    root = KIOSK / "image" / "root"
    key = (root / "etc/acpi/PWRF/00000080").read_text().splitlines()
    assert key.index("/usr/lib/labvirt/goodbye") < key.index("exec /bin/busybox poweroff -f")
    assert "export LABVIRT_ORDERS=1" in (root / "usr/lib/labvirt/client").read_text()
    for script in ("usr/lib/labvirt/goodbye", "usr/lib/labvirt/client"):
        assert subprocess.run(["sh", "-n", str(Path(root) / script)], timeout=20).returncode == 0
