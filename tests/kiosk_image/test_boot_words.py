# SPDX-License-Identifier: MIT
"""The script of the initial file system, run by busybox: what it takes from the kernel's command line, and what it refuses."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

IMAGE = Path(__file__).resolve().parents[2] / "kiosk" / "image"
SHA256 = "0123456789abcdef" * 4
GOOD = f"labvirt.url=http://10.0.0.1/ labvirt.image=http://10.0.0.1:8080/boot/kiosk.squashfs labvirt.sha256={SHA256} ip=dhcp quiet"
BUSYBOX = shutil.which("busybox")

pytestmark = pytest.mark.skipif(BUSYBOX is None, reason="busybox is not installed")


def shell(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    assert BUSYBOX is not None
    text = f". {IMAGE / 'initrd' / 'lib' / 'boot.sh'}\n{script}"
    return subprocess.run([BUSYBOX, "sh", "-u", "-c", text, "sh", *words], capture_output=True, text=True, timeout=60)


def judge(line: str) -> tuple[str, str, str]:
    """(image, sha256, trouble) of a command line."""
    done = shell('read_words "$1"; wanted_is_whole; printf "%s\\n%s\\n%s\\n" "$image" "$sha256" "$trouble"', line)
    assert done.stderr == ""
    image, sha256, trouble = done.stdout.splitlines()
    return image, sha256, trouble


def test_a_good_command_line_is_understood() -> None:
    assert judge(GOOD) == ("http://10.0.0.1:8080/boot/kiosk.squashfs", SHA256, "")


def test_the_last_of_two_equal_words_counts() -> None:
    assert judge(GOOD + " labvirt.image=http://other/boot/x")[0] == "http://other/boot/x"


@pytest.mark.parametrize(
    "line,about",
    [
        ("quiet", "labvirt.sha256="),
        (f"labvirt.sha256={SHA256}", "labvirt.image="),
        (GOOD.replace("http:", "file:"), "http://"),
        (GOOD.replace(SHA256, SHA256[:-1]), "64 digits"),
        (GOOD.replace(SHA256, SHA256[:-1] + "G"), "checksum"),
        (GOOD.replace(SHA256, "$(reboot)"), "checksum"),
        (GOOD.replace("ip=dhcp", "ip=10.0.0.7"), "ip=dhcp"),
    ],
)
def test_a_bad_one_is_a_sentence(line: str, about: str) -> None:
    assert judge(GOOD)[2] == ""
    trouble = judge(line)[2]
    assert about in trouble
    assert trouble.endswith("tell your administrator.")


def test_words_are_not_expanded(tmp_path: Path) -> None:
    image, _, trouble = judge(GOOD.replace("kiosk.squashfs", "*;$(touch${IFS}" + str(tmp_path / "x") + ")"))
    assert trouble == ""
    assert image.startswith("http://10.0.0.1:8080/boot/*;$(touch")
    assert list(tmp_path.iterdir()) == []


def test_only_the_wanted_file_is_the_wanted_file(tmp_path: Path) -> None:
    file = tmp_path / "kiosk.squashfs"
    file.write_bytes(b"kiosk")
    told = subprocess.run(["sha256sum", str(file)], capture_output=True, text=True, check=True).stdout.split()[0]
    assert shell(f'sha256={told}; is_wanted "$1"', str(file)).returncode == 0
    file.write_bytes(b"kiosk!")
    assert shell(f'sha256={told}; is_wanted "$1"', str(file)).returncode != 0
    assert shell(f'sha256={told}; is_wanted "$1"', str(tmp_path / "none")).returncode != 0


@pytest.mark.parametrize(
    "script", sorted(str(path.relative_to(IMAGE)) for tree in ("initrd", "root") for path in (IMAGE / tree).rglob("*"))
)
def test_every_script_is_one(script: str) -> None:
    path = IMAGE / script
    if path.is_dir() or not (path.suffix == ".sh" or path.read_bytes().startswith(b"#!/bin/sh")):
        return
    assert BUSYBOX is not None
    done = subprocess.run([BUSYBOX, "sh", "-n", str(path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_on_a_terminal_asks_for_a_shell() -> None:
    lines = [line for line in (IMAGE / "root" / "etc" / "inittab").read_text().splitlines() if not line.startswith("#")]
    assert lines
    for line in lines:
        assert not any(word in line for word in ("askfirst", "getty", "/bin/sh", "login")), line
    openbox = (IMAGE / "root" / "etc" / "labvirt" / "openbox.xml").read_text()
    assert "<keybind" not in openbox
    assert "ShowMenu" not in openbox
    assert "Execute" not in openbox


def test_the_second_round_of_modules_tries_only_what_is_new(tmp_path: Path) -> None:
    """The real function, with busybox's own grep, on a /sys that grows in between."""
    text = (IMAGE / "initrd" / "lib" / "boot.sh").read_text()
    function = text[text.index("load_modules() {") : text.index("\n}\n", text.index("load_modules() {")) + 3]
    devices = tmp_path / "devices"
    for name in ("pci:a", "usb:b"):
        (devices / name[4:]).mkdir(parents=True)
        (devices / name[4:] / "modalias").write_text(name + "\n")
    function = function.replace("/sys/devices", str(devices)).replace("/run/labvirt", str(tmp_path))
    brings = f"mkdir -p {devices}/c; echo hid:c > {devices}/c/modalias"
    stub = f'modprobe() {{ shift; echo "$1" >> {tmp_path}/asked; if [ "$1" = usb:b ]; then {brings}; fi; }}\n'
    greps = "".join(f'{name}() {{ busybox {name} "$@"; }}\n' for name in ("grep", "sort", "cp"))
    subprocess.run(["busybox", "sh", "-c", stub + greps + function + "load_modules"], check=True, timeout=30)
    asked = (tmp_path / "asked").read_text().split()
    assert asked[:3] == ["pci:a", "usb:b", "hid:c"]
    assert "loop" in asked[3:]


STICK = "labvirt.url=http://10.0.0.1:8080/ labvirt.disk=UUID=1234 ip=dhcp quiet"


def test_a_stick_leaves_image_and_checksum_to_the_controller() -> None:
    done = shell('read_words "$1"; wanted_is_whole && printf "%s %s %s\\n" "$asks" "$url" "$disk"', STICK)
    assert (done.returncode, done.stdout) == (0, "yes http://10.0.0.1:8080/ UUID=1234\n")
    # with either of them nothing is asked, and the other must be there
    for line in (
        f"{STICK} labvirt.sha256={SHA256}",
        f"{STICK} labvirt.image=http://10.0.0.1/boot/x",
        "labvirt.url=file:///x/",
        STICK + " ip=10.0.0.7",
    ):
        assert judge(line)[2].endswith("tell your administrator."), line


@pytest.mark.parametrize(
    "manifest,told",
    [
        (
            '{"version": "v",\n "files": {"kiosk.squashfs": {"size": 5, "sha256": "SHA"}, "vmlinuz": {"size": 1, "sha256": "OTHER"}}}',
            SHA256,
        ),
        ('{"files":{"vmlinuz":{"sha256":"OTHER","size":1},"kiosk.squashfs":{"sha256":"SHA","size":5}}}', SHA256),
        ('{"files": {"vmlinuz": {"size": 1, "sha256": "OTHER"}}}', ""),
        ('{"files": {"kiosk.squashfs": {"size": 5}, "vmlinuz": {"size": 1, "sha256": "OTHER"}}}', ""),
        ('{"files": {"kiosk.squashfs": {"size": 5, "sha256": "$(reboot)"}}}', ""),
        ("<html>not found</html>", ""),
        ("", ""),
    ],
)
def test_the_checksum_is_read_from_the_manifest(tmp_path: Path, manifest: str, told: str) -> None:
    text = manifest.replace("OTHER", "f" * 64).replace('"SHA"', f'"{SHA256}"')
    (tmp_path / "manifest.json").write_text(text)
    done = shell("manifest=$1; listed_sha256 kiosk.squashfs", str(tmp_path / "manifest.json"))
    assert (done.stdout.strip(), done.stderr) == (told, "")


def test_phases_are_lines_that_the_kiosk_reads(tmp_path: Path) -> None:
    """Written by busybox with the scripts' own words, in the initial file system and in the image; read by the kiosk's own reader."""
    sys.path.insert(0, str(IMAGE.parent))
    from labvirt_kiosk.timeline import TimeLine

    (tmp_path / "uptime").write_text("7.05 9.99\n")
    (tmp_path / "boot_id").write_text("11111111-2222-4333-8444-555555555555\n")
    scripts = ((IMAGE / "initrd" / "lib" / "boot.sh", "kernel"), (IMAGE / "root" / "usr" / "lib" / "labvirt" / "boot", "devices"))
    for script, name in scripts:
        text = script.read_text()
        begin = text.index("phase() {")
        function = text[begin : text.index("\n}\n", begin) + 3].replace("/proc/uptime", str(tmp_path / "uptime"))
        function = function.replace("/run/labvirt", str(tmp_path))
        subprocess.run(["busybox", "sh", "-c", f"{function}phase {name}"], check=True, timeout=30)
    line = TimeLine(lambda fields: None, tmp_path, files=(tmp_path / "timeline",), boot_id=tmp_path / "boot_id")
    fields = line.fields(complete=False)
    assert (fields["phase_kernel"], fields["phase_devices"]) == ("7050", "7050")
