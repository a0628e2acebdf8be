# SPDX-License-Identifier: MIT
"""The kiosk tells its boot once, whole when it can, and never a boot that was none."""

from __future__ import annotations

import struct
import threading

import pytest

BOOT_ID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def place(tmp_path):
    (tmp_path / "boot_id").write_text(BOOT_ID + "\n")
    (tmp_path / "timeline").write_text("kernel 0340\naddress 4000\naddress 9000\nfrom_disk 0\nimage_bytes 160000000\nnoise\n$(x) 1\n")
    return tmp_path


def _line(place, tell, **more):
    from labvirt_kiosk.timeline import TimeLine

    more = {"settle_seconds": 0.0, "partial_seconds": 60.0, "retry_seconds": 0.01} | more
    return TimeLine(tell, place, files=(place / "timeline",), boot_id=place / "boot_id", **more)


def test_a_boot_is_told_once_when_the_viewer_is_connected(place, eventually) -> None:
    heard: list[dict[str, str]] = []
    line = _line(place, heard.append)
    line.start()
    for phase in ("answer", "ready", "viewer", "connected", "answer"):
        line.reach(phase)
    eventually(lambda: (place / "boot-told").exists(), "the mark")
    (told,) = heard
    assert told["boot"] == BOOT_ID
    assert told["complete"] == "yes"
    assert (told["phase_kernel"], told["phase_address"], told["image_bytes"], told["image_from"]) == ("340", "4000", "160000000", "network")
    ours = [int(told[f"phase_{name}"]) for name in ("kiosk", "answer", "ready", "viewer", "connected")]
    assert ours == sorted(ours)
    assert "phase_noise" not in told

    again = _line(place, heard.append)
    again.start()
    again.reach("connected")
    (place / "boot_id").write_text(BOOT_ID.replace("1", "a"))
    other = _line(place, heard.append)
    other.start()
    other.reach("connected")
    eventually(lambda: len(heard) > 1, "the next boot")
    assert [told["boot"] for told in heard] == [BOOT_ID, BOOT_ID.replace("1", "a")]


def test_what_is_not_taken_is_told_again_and_a_boot_without_viewer_in_part(place, eventually) -> None:
    from labvirt_kiosk.trouble import NoAnswer

    heard: list[dict[str, str]] = []

    def tell(fields) -> None:
        heard.append(fields)
        if len(heard) < 4:
            raise NoAnswer("away")

    line = _line(place, tell, partial_seconds=0.01)
    line.start()
    eventually(lambda: len(heard) == 1, "the partial word")
    assert heard[0]["complete"] == "no"
    line.reach("connected")
    eventually(lambda: (place / "boot-told").exists(), "the mark")
    assert [told["complete"] for told in heard] == ["no", "yes", "yes", "yes"]


def test_a_kiosk_started_by_hand_has_no_boot_to_tell(place) -> None:
    (place / "timeline").unlink()
    heard: list[dict[str, str]] = []
    line = _line(place, heard.append)
    line.start()
    line.reach("connected")
    assert heard == []
    assert not [thread for thread in threading.enumerate() if thread.name == "timeline"]


def test_facts_are_those_the_kernel_knows(tmp_path) -> None:
    from labvirt_kiosk.timeline import machine_facts

    assert machine_facts(tmp_path) == {}
    data = bytearray(4096)
    data[0x1F1] = 39
    struct.pack_into("<I", data, 0x1F4, 1000)
    struct.pack_into("<I", data, 0x21C, 30_000_000)
    (tmp_path / "kernel" / "boot_params").mkdir(parents=True)
    (tmp_path / "kernel" / "boot_params" / "data").write_bytes(data)
    facts = {"kernel_bytes": 40 * 512 + 16_000, "initrd_bytes": 30_000_000}
    assert machine_facts(tmp_path) == facts
    fpdt = tmp_path / "firmware" / "acpi" / "fpdt" / "boot"
    fpdt.mkdir(parents=True)
    (fpdt / "bootloader_launch_ns").write_text("3500000000\n")
    (fpdt / "exitbootservice_end_ns").write_text("5000000000\n")
    assert machine_facts(tmp_path) == facts | {"firmware_ms": 3500, "loader_ms": 1500}
