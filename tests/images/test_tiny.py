# SPDX-License-Identifier: MIT
"""The tiny guest's recipe: built from Debian packages, booted under QEMU, and seen doing what its README promises."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from labvirt_recipe.cache import default_cache
from labvirt_recipe.disk_image import finished
from tiny_recipe import packages
from tiny_recipe.command import content_key
from tiny_recipe.kernel_modules import module_order
from tiny_recipe.packages import known_packages, pinned_packages

from .tiny_guest import BOOT_SECONDS, DISK_NAMES, DISKS, MAC, RECIPE, SERIAL, UUID, TinyGuest, recipe_module

strip = recipe_module("strip")

PACKAGES = {
    name: {"version": "1", "filename": f"{name}_1_amd64.deb", "sha256": "00"} for name in ("some-kernel", *packages.TOOLS, packages.AGENT)
}


def recipe(*arguments: str | Path, cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, RECIPE / "build.py", "--cache", cache, *arguments]
    return subprocess.run(argv, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def fill_cache(cache: Path) -> str:
    """A cache as a finished build leaves it, with a stand-in for the image. Returns the key."""
    key: str = content_key(PACKAGES)
    (cache / key).mkdir(parents=True)
    (cache / key / "tiny.qcow2").write_bytes(b"an image")
    manifest = {"key": key, "sha256": hashlib.sha256(b"an image").hexdigest()}
    (cache / key / "tiny.json").write_text(json.dumps(manifest))
    (cache / "tiny-packages.json").write_text(json.dumps(PACKAGES))
    return key


# --- the recipe, without building anything ----------------------------------------------------------------------------


def test_a_known_image_is_reused_without_apt(tmp_path: Path) -> None:
    cache, out = tmp_path / "cache", tmp_path / "new" / "disk.qcow2"
    key = fill_cache(cache)
    done = recipe("--out", out, "--json", cache=cache, PATH="")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["built"] is False
    assert out.read_bytes() == b"an image"
    assert json.loads(out.with_suffix(".json").read_text())["key"] == key
    assert recipe("--key", cache=cache, PATH="").stdout.strip() == key

    # The control: with nothing to reuse the same call needs apt, says so, and leaves nothing behind.
    empty = tmp_path / "empty"
    refused = recipe("--out", tmp_path / "other.qcow2", cache=empty, PATH="")
    assert refused.returncode == 1
    assert "apt-cache is missing" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "other.qcow2").exists()
    assert [file.name for file in empty.iterdir()] == ["tiny.lock"]


def test_a_damaged_image_is_not_reused(tmp_path: Path) -> None:
    key = fill_cache(tmp_path)
    assert finished(tmp_path / key, "tiny") is not None
    (tmp_path / key / "tiny.qcow2").write_bytes(b"an imagE")
    assert finished(tmp_path / key, "tiny") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"a": 1}', '{"a": {"version": "1"}}'])
def test_a_damaged_record_of_packages_counts_as_none(tmp_path: Path, text: str) -> None:
    fill_cache(tmp_path)
    assert pinned_packages(tmp_path) == PACKAGES
    (tmp_path / "tiny-packages.json").write_text(text)
    assert pinned_packages(tmp_path) is None


def test_a_record_of_a_recipe_that_needed_less_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "ask_apt", lambda: {"asked": {}})
    (tmp_path / "tiny-packages.json").write_text(json.dumps(PACKAGES))
    assert known_packages(tmp_path, refresh=False) == PACKAGES
    assert known_packages(tmp_path, refresh=True) == {"asked": {}}
    less = {name: package for name, package in PACKAGES.items() if name != packages.AGENT}
    (tmp_path / "tiny-packages.json").write_text(json.dumps(less))
    assert known_packages(tmp_path, refresh=False) == {"asked": {}}


def test_the_key_follows_versions() -> None:
    newer = {**PACKAGES, "some-kernel": {**PACKAGES["some-kernel"], "version": "2"}}
    assert content_key(PACKAGES) == content_key(dict(PACKAGES))
    assert content_key(newer) != content_key(PACKAGES)


def test_modules_load_after_what_they_depend_on(tmp_path: Path) -> None:
    for name, depends in {"virtio_net": "net-failover,virtio", "net-failover": "", "virtio": "virtio_ring"}.items():
        (tmp_path / f"{name}.ko").write_bytes(b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0name=x\0")
    (tmp_path / "virtio_ring.ko").write_bytes(b"\x7fELF\0depends=\0")
    order = [file.stem for file in module_order(("no_such_module", "virtio_net"), tmp_path)]
    assert order == ["net-failover", "virtio_ring", "virtio", "virtio_net"]


# --- the recipe, for real ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image, from the usual cache where it is there already."""
    out = tmp_path_factory.mktemp("tiny") / "tiny.qcow2"
    done = recipe("--out", out, cache=default_cache())
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.real
def test_image_is_small_whole_and_plain(image: Path) -> None:
    manifest = json.loads(image.with_suffix(".json").read_text())
    assert hashlib.sha256(image.read_bytes()).hexdigest() == manifest["sha256"]
    assert image.stat().st_size == manifest["size"] < 40 << 20
    about = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", image]))
    assert about["format"] == "qcow2"
    assert about["virtual-size"] == manifest["virtual_size"] == 256 << 20
    parts = json.loads(subprocess.check_output(["qemu-img", "map", "--output=json", image]))
    assert not any(part.get("compressed") for part in parts)
    assert max(part["start"] + part["length"] for part in parts if part["data"]) <= manifest["free_from"]


@pytest.mark.real
@pytest.mark.slow
def test_builds_may_be_killed_and_may_run_together(image: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / "debs").mkdir(parents=True)
    known = default_cache()
    shutil.copytree(known / "debs", cache / "debs", dirs_exist_ok=True)
    shutil.copy(known / "tiny-packages.json", cache)
    argv = [sys.executable, RECIPE / "build.py", "--cache", cache, "--json", "--out"]

    with subprocess.Popen([*argv, tmp_path / "killed.qcow2"], stdout=subprocess.DEVNULL) as killed:
        deadline = time.monotonic() + BOOT_SECONDS
        while not list(cache.glob("tiny-build-*/unpacked/*")):
            assert killed.poll() is None
            assert time.monotonic() < deadline
        killed.send_signal(signal.SIGKILL)
    assert not list(tmp_path.glob("*killed*"))
    assert list(cache.glob("tiny-build-*")), "the control: it was killed in the middle"

    both = [subprocess.Popen([*argv, tmp_path / f"{n}.qcow2"], stdout=subprocess.PIPE, text=True) for n in (1, 2)]
    answers = [json.loads(process.communicate(timeout=BOOT_SECONDS)[0]) for process in both]
    assert sorted(answer["built"] for answer in answers) == [False, True]
    assert (tmp_path / "1.qcow2").read_bytes() == (tmp_path / "2.qcow2").read_bytes()
    assert answers[0]["key"] == json.loads(image.with_suffix(".json").read_text())["key"]
    assert not list(cache.glob("tiny-build-*"))


@pytest.mark.real
@pytest.mark.parametrize("bus", DISKS)
def test_boots_answers_and_is_switched_off(image: Path, tmp_path: Path, bus: str) -> None:
    with TinyGuest(image, tmp_path, bus=bus) as guest:
        assert guest.wait_for("LABVIRT GUEST BOOTED") == f"LABVIRT GUEST BOOTED serial={SERIAL} uuid={UUID}"
        assert guest.wait_for("LABVIRT GUEST READY") == f"LABVIRT GUEST READY name=pc-07 address=10.0.2.15 mac={MAC}"
        assert guest.ask("ping").startswith("pong ")

        facts = json.loads(guest.ask("facts"))
        expected = {"name": "pc-07", "mac": MAC, "address": "10.0.2.15", "serial": SERIAL, "uuid": UUID}
        assert {key: facts[key] for key in expected} == expected
        with guest.connect(7000) as connection, connection.makefile("rb") as stream:
            told = json.loads(stream.read())  # to the end: the guest closes
        assert {key: told[key] for key in (*expected, "boot_id")} == {key: facts[key] for key in (*expected, "boot_id")}
        assert len(told["random"]) == 64
        assert told["machine_id"] == UUID.replace("-", "")
        assert told["random"] != facts["random"]

        assert guest.shell("echo one; echo two; exit 3") == (["one", "two"], 3)
        if bus in DISK_NAMES:
            disk = DISK_NAMES[bus]
            write = f"yes LabVirt | dd of={disk} bs=1M seek=40 count=1 iflag=fullblock conv=fsync 2>/dev/null"
            # The driver comes after the network: the guest is ready before its own disk is there.
            assert guest.shell(f"for i in $(seq 99); do [ -b {disk} ] && break; usleep 100000; done; {write}")[1] == 0
            assert guest.shell(f"dd if={disk} bs=1M skip=40 count=1 2>/dev/null | head -n 1") == (["LabVirt"], 0)

        guest.execute("system_powerdown")
        guest.process.wait(BOOT_SECONDS)
        assert guest.process.returncode == 0


def read_facts(guest: TinyGuest) -> dict[str, Any]:
    """Its facts, once it has read its disk."""
    facts: dict[str, Any] = {"disk": False}
    deadline = time.monotonic() + BOOT_SECONDS
    while not facts["disk"]:
        assert time.monotonic() < deadline, "it never finds its disk"
        facts = json.loads(guest.ask("facts"))
    return facts


@pytest.mark.real
@pytest.mark.parametrize("bus", ["virtio", "ide"])
def test_what_it_keeps_survives_a_reboot_and_goes_with_the_disk(image: Path, tmp_path: Path, bus: str) -> None:
    with TinyGuest(image, tmp_path, bus=bus) as guest:
        guest.wait_for("LABVIRT GUEST READY")
        assert read_facts(guest)["kept"] == {}
        assert guest.ask("kept lesson") == ""
        assert guest.ask("keep lesson one") == "kept lesson"
        assert guest.ask('keep colour a "dark" blue\\') == "kept colour"
        assert guest.ask("keep lesson number two, with more") == "kept lesson"
        assert guest.ask("keep / x") == "error: nothing was kept"
        kept = [("colour", "a dark blue"), ("lesson", "number two, with more")]
        assert list(read_facts(guest)["kept"].items()) == kept
        guest.serial.send("reboot")
        guest.wait_for("LABVIRT GUEST READY")
        assert list(read_facts(guest)["kept"].items()) == kept
        assert guest.ask("kept lesson") == "number two, with more"
        assert seen(guest, lambda: strip.read_strip(guest.picture()) is not None)
    above = tmp_path / "above"
    above.mkdir()
    with TinyGuest(tmp_path / "overlay.qcow2", above, bus=bus) as guest:
        guest.wait_for("LABVIRT GUEST READY")
        assert list(read_facts(guest)["kept"].items()) == kept
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    with TinyGuest(image, fresh, bus=bus) as guest:
        guest.wait_for("LABVIRT GUEST READY")
        assert read_facts(guest)["kept"] == {}, "the control: the image itself keeps nothing"


def seen(guest: TinyGuest, judge: Callable[[], bool]) -> bool:
    """Whether the picture comes to satisfy the judge; each look is bounded by a question to the guest."""
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        if judge():
            return True
        guest.ask("ping")
    return False


@pytest.mark.real
@pytest.mark.parametrize("name", ["pc-07", "room12-pc-07", "a-name-far-longer-than-most"])
def test_screen_shows_who_it_is(image: Path, tmp_path: Path, name: str) -> None:
    with TinyGuest(image, tmp_path, name=name) as guest:
        guest.wait_for("LABVIRT GUEST BOOTED")
        assert strip.read_strip(guest.picture()) is None, "the control: no address yet, no strip"
        assert f" name={name} " in guest.wait_for("LABVIRT GUEST READY")
        expected = strip.Strip(mac=MAC, address="10.0.2.15")
        assert seen(guest, lambda: strip.read_strip(guest.picture()) == expected)


@pytest.mark.real
def test_port_3389_holds_a_connection(image: Path, tmp_path: Path) -> None:
    with TinyGuest(image, tmp_path) as guest:
        guest.wait_for("LABVIRT GUEST READY")
        with guest.connect(3389) as first, guest.connect(3389) as second:
            for connection in (first, second):
                connection.sendall(b"still here\n")
                assert connection.makefile("rb").readline() == b"still here\n"


@pytest.mark.real
def test_network_card_may_come_late(image: Path, tmp_path: Path) -> None:
    """As with instant clones: booted without a card, which then appears with the seat's MAC."""
    with TinyGuest(image, tmp_path, nic=False) as guest:
        guest.wait_for("LABVIRT GUEST BOOTED")
        assert json.loads(guest.ask("facts"))["mac"] == ""
        guest.execute("device_add", driver="virtio-net-pci", netdev="net", mac="52:54:00:00:00:99", bus="spare")
        assert guest.wait_for("LABVIRT GUEST READY").endswith(" address=10.0.2.15 mac=52:54:00:00:00:99")


@pytest.mark.real
@pytest.mark.parametrize("how", ["reset", "reboot"])
def test_starts_again(image: Path, tmp_path: Path, how: str) -> None:
    with TinyGuest(image, tmp_path) as guest:
        guest.wait_for("LABVIRT GUEST READY")
        before = json.loads(guest.ask("facts"))["boot_id"]
        if how == "reset":
            guest.execute("system_reset")
        else:
            guest.serial.send("reboot")
        guest.wait_for("LABVIRT GUEST READY")
        assert json.loads(guest.ask("facts"))["boot_id"] != before
