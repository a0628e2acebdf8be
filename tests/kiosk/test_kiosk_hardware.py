# SPDX-License-Identifier: MIT
"""What the kiosk reads of its machine, from made-up folders and from this one, and when it tells it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

MEMINFO = "MemTotal:        3906250 kB\nMemFree:          100000 kB\n"
CPUINFO = "processor\t: 0\nmodel name\t: Intel(R) Core(TM) i5-3470 CPU @ 3.20GHz\n\nprocessor\t: 1\nmodel name\t: another\n"


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def machine(root: Path) -> Path:
    write(root, proc__meminfo=MEMINFO, proc__cpuinfo=CPUINFO)
    write(root, sys__class__dmi__id__sys_vendor="Dell Inc.\n", sys__class__dmi__id__product_name="OptiPlex 7010\n")
    write(root, sys__class__net__eth0__speed="1000\n")
    for connector, status, modes in (("card0-VGA-1", "disconnected", ""), ("card0-DP-1", "connected", "1920x1080\n1280x1024\n")):
        folder = root / "sys/class/drm" / connector
        folder.mkdir(parents=True)
        (folder / "status").write_text(status + "\n")
        (folder / "modes").write_text(modes)
    (root / "sys/class/drm/card0").mkdir()
    return root


def test_a_machine_is_read(tmp_path: Path) -> None:
    from labvirt_kiosk.hardware import facts

    assert facts("eth0", machine(tmp_path)) == {
        "memory_mib": "3814",
        "cpu": "Intel(R) Core(TM) i5-3470 CPU @ 3.20GHz",
        "cpus": "2",
        "vendor": "Dell Inc.",
        "product": "OptiPlex 7010",
        "interface": "eth0",
        "link_mbps": "1000",
        "screens": "1920x1080",
    }


def test_what_is_missing_or_strange_is_not_told(tmp_path: Path) -> None:
    from labvirt_kiosk.hardware import facts

    assert facts("eth0", tmp_path) == {"interface": "eth0"}
    machine(tmp_path)
    strange = "\x1b[2JDell\n" + "x" * 300
    write(tmp_path, sys__class__net__eth0__speed="-1\n", proc__meminfo="garbage", sys__class__dmi__id__sys_vendor=strange)
    (tmp_path / "sys/class/drm/card0-DP-1/status").write_text("disconnected\n")
    told = facts("eth0", tmp_path)
    assert "link_mbps" not in told
    assert "memory_mib" not in told
    assert told["screens"] == ""
    assert "\x1b" not in told["vendor"]
    assert len(told["vendor"]) <= 80
    assert "link_mbps" not in facts(None, tmp_path)


def test_this_machine_can_be_read() -> None:
    from labvirt_kiosk.hardware import facts

    told = facts(None)
    assert int(told["memory_mib"]) > 100
    assert int(told["cpus"]) >= 1


def test_it_is_told_once_and_again_when_it_changes_or_was_not_taken() -> None:
    from labvirt_kiosk.hardware import HardwareReport
    from labvirt_kiosk.trouble import NoAnswer

    now = {"cpus": "1"}
    heard: list[Mapping[str, str]] = []
    looked, refuse, come = [0], [True], threading.Event()

    def look() -> Mapping[str, str]:
        looked[0] += 1
        if looked[0] == 10:
            now["cpus"] = "2"
        if looked[0] > 20:
            come.set()
        return dict(now)

    def send(fields: Mapping[str, str]) -> None:
        if refuse and refuse.pop():
            raise NoAnswer("nobody answers")
        heard.append(fields)

    report = HardwareReport(look, send, 0.001)
    report.start()
    assert come.wait(30)
    report.stop()
    assert heard == [{"cpus": "1"}, {"cpus": "2"}]


def test_a_kiosk_tells_it_when_it_starts(controller, start_kiosk, eventually) -> None:
    start_kiosk()
    told = eventually(lambda: [form for path, form, _ in controller.requests if path == "/terminals/hardware"], "the hardware")
    assert told[0]["id"] == "52:54:00:00:00:03"
    assert int(told[0]["memory_mib"]) > 100
