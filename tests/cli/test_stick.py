# SPDX-License-Identifier: MIT
"""labvirt kiosk stick: the image's bytes, read back by the programs of the file systems; what is refused leaves nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from labvirt.disks import boot_folder, stick
from labvirt.domain.stick import CORE, MIB, STICK_BYTES
from tests.cli.conftest import Line
from tests.cli.test_kiosk import make

URL = "http://10.77.0.1:8080/"
CORE_BYTES = bytes(range(256)) * 8 + b"core"
EFI = "@@2097152"
PATH = "/usr/bin:/bin:/usr/sbin:/sbin"

pytestmark = pytest.mark.skipif(
    any(shutil.which(name, path=PATH) is None for name in (*stick.PROGRAMS, "debugfs", "mtype")), reason="needs fdisk dosfstools mtools"
)


@pytest.fixture
def site(bare: Line, tmp_path: Path) -> Path:
    """STATE/kiosk with a kiosk that a stick can be made of."""
    folder = tmp_path / "made"
    make(folder, "v1")
    (folder / CORE).write_bytes(CORE_BYTES)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][CORE] = {"size": len(CORE_BYTES), "sha256": hashlib.sha256(CORE_BYTES).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    boot_folder.install(folder, bare.state / "kiosk")
    return bare.state / "kiosk"


def said(*argv: str | Path) -> str:
    done = subprocess.run([str(word) for word in argv], env={"PATH": PATH, "MTOOLSRC": "/dev/null"}, capture_output=True, check=True)
    return done.stdout.decode()


def test_a_stick_has_the_loaders_the_kernel_and_the_kiosk(bare: Line, site: Path, tmp_path: Path) -> None:
    out = tmp_path / "stick.img"
    told = bare.json("kiosk", "stick", "--url", "http://10.77.0.1:8080", "--out", str(out), "--words", "nomodeset")
    assert told == {"version": "v1", "url": URL, "file": str(out), "size_bytes": STICK_BYTES}
    assert out.stat().st_size == STICK_BYTES
    table = json.loads(said("sfdisk", "--json", out))["partitiontable"]
    assert [each["name"] for each in table["partitions"]] == ["bios", "efi", "labvirt"]
    assert said("mtype", "-i", f"{out}{EFI}", "::/EFI/BOOT/BOOTX64.EFI") == "shimx64.efi of v1"
    assert said("mtype", "-i", f"{out}{EFI}", "::/EFI/BOOT/grubx64.efi") == "grubx64.efi of v1"
    menu = said("mtype", "-i", f"{out}{EFI}", "::/grub/grub.cfg")
    assert f"labvirt.url={URL} labvirt.disk=UUID=" in menu
    assert "quiet nomodeset;" in menu
    uuid = menu.split("UUID=")[1].split()[0]
    inside = tmp_path / "third"
    with out.open("rb") as stream:
        head = stream.read(2 * MIB)
        stream.seek(66 * MIB)
        inside.write_bytes(stream.read(448 * MIB))
    assert f"Filesystem UUID:          {uuid}" in said("debugfs", "-R", "stats", inside)
    for name, place in (("kiosk.squashfs", "/kiosk.squashfs"), ("vmlinuz", "/boot/vmlinuz"), ("initrd.img", "/boot/initrd.img")):
        assert said("debugfs", "-R", f"cat {place}", inside) == f"{name} of v1"
    # the first sector's program loads sector 2048, that one the next; the table of partitions is not part of the program
    assert struct.unpack_from("<Q", head, 0x5C) == (2048,)
    assert struct.unpack_from("<Q", head, MIB + 500) == (2049,)
    assert head[MIB + 512 : MIB + len(CORE_BYTES) - 512] == CORE_BYTES[1024:]
    assert head[510:512] == b"\x55\xaa"
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == set()


def test_a_refusal_leaves_nothing(bare: Line, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "there.img"
    out.write_text("mine")
    words = ("kiosk", "stick", "--url", URL, "--out")
    assert bare.json(*words, str(out), code=2)["error"]["code"] == "invalid-input"
    assert out.read_text() == "mine"
    out.unlink()
    assert bare.json(*words, str(tmp_path / "no" / "x.img"), code=2)["error"]["code"] == "invalid-input"
    assert bare.json("kiosk", "stick", "--url", "https://a/", "--out", str(out), code=2)["error"]["code"] == "invalid-input"
    with monkeypatch.context() as broken:
        broken.setitem(stick.PROGRAMS, "no-such-program", "no-such-package")
        told = bare.json(*words, str(out), code=3)
        assert "no-such-package" in told["error"]["hint"]
    assert not out.exists()
    assert not list(tmp_path.glob(".there*"))
    assert bare.json(*words, str(out))["version"] == "v1"


def test_a_kiosk_from_before_there_were_sticks_is_told(bare: Line, tmp_path: Path) -> None:
    words = ("kiosk", "stick", "--url", URL, "--out", str(tmp_path / "x.img"))
    assert bare.json(*words, code=1)["error"]["code"] == "not-found"
    make(tmp_path / "made", "v1")
    boot_folder.install(tmp_path / "made", bare.state / "kiosk")
    told = bare.json(*words, code=1)
    assert told["error"]["hint"] == "labvirt kiosk build"
