# SPDX-License-Identifier: MIT
"""The desktop guest's recipe, without building it: lists, key, first sector, and the guest's own scripts with stubs.

`make desktop-test` builds and boots it.
"""

from __future__ import annotations

import configparser
import os
import shutil
import struct
import subprocess
import uuid
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from desktop_recipe.choices import content_key, package_list, password_hash, recipe_files
from desktop_recipe.command import PROGRAMS, tidy
from desktop_recipe.disk import copy_data, first_sector
from desktop_recipe.seal import seal
from desktop_recipe.tree import OURS
from labvirt_recipe import RecipeError, program
from labvirt_recipe.content import FORK

from labvirt.domain.guest import RunId
from labvirt.domain.seat_note import seat_note

RECIPE = Path(__file__).parents[2] / "images" / "debian-desktop"
ROOT = RECIPE / "root"
SCRIPTS = sorted((ROOT / "usr/lib/labvirt").iterdir())
SVG = "{http://www.w3.org/2000/svg}"

# --- what goes in -----------------------------------------------------------------------------------------------------


def test_the_list_has_what_the_contract_needs_and_no_server_for_shells() -> None:
    listed = package_list([])
    assert {"xrdp", "xorgxrdp", "qemu-guest-agent", "spice-vdagent", "linux-image-amd64", "xfce4-session"} <= set(listed)
    assert not {"openssh-server", "light-locker", "xfce4-screensaver", "lightdm"} & set(listed)
    assert listed == list(dict.fromkeys(listed))


def test_more_packages_come_once_and_only_by_their_names() -> None:
    assert package_list(["firefox-esr", "xrdp", "g++"])[-2:] == ["firefox-esr", "g++"]
    for hostile in ("--variant=x", "a b", "a,b", "$(id)", "../x", "", "Upper"):
        with pytest.raises(RecipeError, match="is no name of a Debian package"):
            package_list([hostile])


def test_the_key_follows_packages_choices_and_files() -> None:
    plain = content_key(["a 1"], {"locale": "en_US"})
    assert content_key(["a 1"], {"locale": "en_US"}) == plain
    assert plain not in (content_key(["a 2"], {"locale": "en_US"}), content_key(["a 1"], {"locale": "cs_CZ"}))
    names = set(recipe_files())
    assert {"build.py", "packages", "root/usr/lib/labvirt/identity", "fork/labvirt-fork"} <= names
    assert "README.md" not in names


def test_a_root_password_comes_as_a_hash_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "hash"
    file.write_text("$6$salt$abc./DEF\n")
    assert password_hash(file) == "$6$salt$abc./DEF"
    assert password_hash(None) == ""
    for wrong in ("secret", "", "$6$a:b$c", "$6$a$b\nroot::0"):
        file.write_text(wrong)
        with pytest.raises(RecipeError, match="openssl passwd -6"):
            password_hash(file)


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program.shutil, "which", lambda name, path=None: "/usr/bin/x")
    program.check(PROGRAMS)
    monkeypatch.setattr(program.shutil, "which", lambda name, path=None: None)
    with pytest.raises(RecipeError, match=r"apt-get install --no-install-recommends .*mmdebstrap.*mtools"):
        program.check(PROGRAMS)


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_the_first_sector_names_two_partitions_that_meet() -> None:
    size = 8 << 30
    sector = first_sector(b"\xeb" * 512, size)
    assert len(sector) == 512
    assert sector[510:] == b"\x55\xaa"
    assert sector[:440] == b"\xeb" * 440
    parts = [struct.unpack("<B3sB3sII", sector[446 + 16 * number :][:16]) for number in range(2)]
    assert [(part[0], part[2]) for part in parts] == [(0x00, 0xEF), (0x80, 0x83)]
    assert parts[0][4] + parts[0][5] == parts[1][4]
    assert (parts[1][4] + parts[1][5]) * 512 == size


def test_data_is_copied_and_holes_stay_holes(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as stream:
        stream.seek(8 << 20)
        stream.write(b"middle")
        stream.truncate(64 << 20)
    with target.open("wb") as stream:
        stream.truncate(80 << 20)
    with source.open("rb") as reading, target.open("r+b") as writing:
        copy_data(reading, writing, 1 << 20)
    with target.open("rb") as stream:
        stream.seek(9 << 20)
        assert stream.read(6) == b"middle"
    assert target.stat().st_blocks * 512 < 16 << 20


def sealed_tree(folder: Path) -> Path:
    """As much of a Debian as sealing looks at."""
    tree = folder / "tree"
    for name in ("etc/ssl/private", "etc/ssl/certs", "etc/xrdp", "etc/ssh", "usr/share/backgrounds/xfce", "var/log", "var/lib/systemd"):
        (tree / name).mkdir(parents=True)
    for name in (
        *("etc/ssl/private/ssl-cert-snakeoil.key", "etc/xrdp/rsakeys.ini", "etc/ssh/ssh_host_rsa_key", "etc/hostname", "etc/machine-id"),
        *("var/lib/systemd/random-seed", "var/log/dpkg.log", "etc/ssl/certs/ssl-cert-snakeoil.pem", "etc/ssl/certs/Real_CA.pem"),
    ):
        (tree / name).write_text("something")
    (tree / "etc/xrdp/key.pem").symlink_to("/etc/ssl/private/ssl-cert-snakeoil.key")
    (tree / "etc/ssl/certs/abc.0").symlink_to("ssl-cert-snakeoil.pem")
    (tree / "etc/shadow").write_text("root:*:20000:0:99999:7:::\nstudent:$6$x$y:20000:0:99999:7:::\nxrdp:!:20000::::::\n")
    return tree


def test_a_sealed_tree_has_no_key_no_name_and_no_password(tmp_path: Path) -> None:
    tree = sealed_tree(tmp_path)
    seal(tree, "")
    left = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file() and not path.is_symlink()}
    assert left == {"etc/ssl/certs/Real_CA.pem", "etc/shadow", "etc/machine-id"}
    assert (tree / "etc/machine-id").read_text() == ""
    assert os.readlink(tree / "etc/xrdp/cert.pem") == "/run/labvirt/xrdp/cert.pem"
    assert not (tree / "etc/ssl/certs/abc.0").is_symlink()
    assert [line.split(":")[1] for line in (tree / "etc/shadow").read_text().splitlines()] == ["!", "!", "!"]
    seal(tree, "$6$salt$hash")
    assert (tree / "etc/shadow").read_text().startswith("root:$6$salt$hash:20000:")


def test_only_what_is_kept_stays_in_the_cache(tmp_path: Path) -> None:
    for name in ("desktop-" + "a" * 16, "desktop-" + "b" * 16, "desktop-base-" + "c" * 16, "desktop-notes", "kiosk-" + "d" * 16):
        (tmp_path / name).mkdir()
    tidy(tmp_path, [tmp_path / ("desktop-" + "b" * 16)])
    assert {path.name for path in tmp_path.iterdir()} == {"desktop-" + "b" * 16, "desktop-notes", "kiosk-" + "d" * 16}


# --- what is laid over Debian -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_scripts(script: Path) -> None:
    assert script.read_text().startswith("#!/bin/sh\n# SPDX-License-Identifier: MIT\n")
    subprocess.run(["sh", "-n", script], check=True)


def test_xrdp_speaks_tls_only_and_starts_nothing_but_the_desktop() -> None:
    xrdp, sesman = (configparser.ConfigParser(strict=False, allow_no_value=True) for _ in range(2))
    xrdp.read(ROOT / "etc/xrdp/xrdp.ini")
    sesman.read(ROOT / "etc/xrdp/sesman.ini")
    assert xrdp["Globals"]["security_layer"] == "tls"
    assert xrdp["Globals"]["certificate"] == "/etc/xrdp/cert.pem"
    assert [name for name in xrdp.sections() if "lib" in xrdp[name]] == ["Xorg"]
    assert sesman["Security"]["AllowRootLogin"] == "false"
    assert sesman["Globals"]["EnableUserWindowManager"] == "false"
    assert (ROOT / sesman["Globals"]["DefaultWindowManager"].lstrip("/")).is_file()


def test_units_run_programs_that_are_there() -> None:
    units = ROOT / "usr/lib/systemd/system"
    assert set(OURS) <= {unit.name for unit in units.iterdir()}
    for unit in units.rglob("*"):
        for line in unit.read_text().splitlines() if unit.is_file() else []:
            for word in line.partition("=")[2].split() if line.startswith("ExecStart=") else []:
                there = (ROOT / word.lstrip("/")).is_file() or Path(word).name == FORK.name
                assert not word.startswith("/usr/lib/labvirt") or there, (unit.name, word)


def test_the_loader_never_needs_to_know_the_kernels_name() -> None:
    menu = (ROOT / "boot/grub/grub.cfg").read_text()
    assert "linux /vmlinuz root=LABEL=labvirt ro " in menu
    assert "initrd /initrd.img" in menu


STUBS = {
    "usermod": 'echo "usermod $*" >>"$STUBS/said"',
    "chgrp": ":",
    "xrdp-keygen": 'echo "[keys]" >"$2"',
    "openssl": """while [ $# -gt 0 ]; do
        case $1 in -keyout | -out) echo "$1 $$" >"$2" ;; -subj) echo "subject $2" >>"$STUBS/said" ;; esac
        shift
    done""",
    "ssh-keygen": 'while [ $# -gt 0 ]; do [ "$1" != -f ] || echo key >"$2"; shift; done',
    "rsvg-convert": 'for word; do case $word in --output=*) cp "$STUBS/../run/background.svg" "${word#--output=}" ;; esac; done',
}


class Seat:
    """The guest's scripts, run here: the machine's files are a folder, and programs that would change this computer are stubs."""

    def __init__(self, folder: Path, serial: str | None) -> None:
        self.folder, self.run = folder, folder / "run"
        for name in ("dmi", "stubs", "fw/forgets"):
            (folder / name).mkdir(parents=True)
        if serial is not None:
            (folder / "dmi/product_serial").write_text(serial)
        for name, body in STUBS.items():
            (folder / "stubs" / name).write_text(f"#!/bin/sh\n{body}\n")
            (folder / "stubs" / name).chmod(0o755)

    def start(self, script: str, *words: str, **more: str) -> None:
        environment = {
            "PATH": f"{self.folder}/stubs:/usr/bin:/bin",
            "STUBS": f"{self.folder}/stubs",
            "LABVIRT_DMI": f"{self.folder}/dmi",
            "LABVIRT_RUN": str(self.run),
            "LABVIRT_HOSTNAME": f"{self.folder}/hostname",
            "LABVIRT_SSHD": f"{self.folder}/no-sshd",
            "LABVIRT_FORGETS": f"{self.folder}/forgets",
            "LABVIRT_FW_CFG": f"{self.folder}/fw",
            "LABVIRT_TEMPLATE": str(ROOT / "usr/share/labvirt/background.svg"),
            **more,
        }
        done = subprocess.run(["sh", ROOT / "usr/lib/labvirt" / script, *words], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def said(self) -> str:
        return (self.folder / "stubs/said").read_text()


@pytest.mark.parametrize(
    "serial,name",
    [
        ("lab-a-07\n", "lab-a-07"),
        ("LAB_A 07", "laba07"),
        ("--x--\n", "x"),
        ("$(reboot); `x`\n", "rebootx"),
        ("a" * 80, "a" * 63),
        ("\n", "desktop"),
        ("Not Specified\n", "desktop"),
        ("\x00\xff/../", "desktop"),
        (None, "desktop"),
    ],
)
def test_a_seat_is_called_what_its_firmware_says(tmp_path: Path, serial: str | None, name: str) -> None:
    seat = Seat(tmp_path, serial)
    seat.start("identity")
    assert (tmp_path / "hostname").read_text() == f"{name}\n" == (seat.run / "name").read_text()
    assert f"subject /CN={name}\n" in seat.said()


def test_a_clone_is_called_what_the_host_tells_it_and_makes_its_keys_anew(tmp_path: Path) -> None:
    """SMBIOS is its template's: Linux has read it there."""
    seat = Seat(tmp_path, "lab-a-s15")
    seat.start("identity")
    made = (seat.run / "xrdp/cert.pem").read_text()
    (tmp_path / "fw/seat").mkdir()
    (tmp_path / "fw/seat/raw").write_text(seat_note(RunId("lab-a-07", 3), name="lab-a-07", uuid=uuid.UUID(int=7)))
    seat.start("identity")
    assert (seat.run / "name").read_text() == "lab-a-07\n"
    assert (seat.run / "xrdp/cert.pem").read_text() == made
    seat.start("identity", "anew")
    assert (seat.run / "xrdp/cert.pem").read_text() != made
    assert "subject /CN=lab-a-07\n" in seat.said()


def test_an_identity_is_whole_private_and_made_once_in_a_start(tmp_path: Path) -> None:
    seat = Seat(tmp_path, "lab-a-07")
    (seat.run / "xrdp.new").mkdir(parents=True)
    (seat.run / "xrdp.new/key.pem").write_text("half of one, by a start that was killed")
    seat.start("identity")
    made = (seat.run / "xrdp/cert.pem").read_text()
    assert {file.name for file in (seat.run / "xrdp").iterdir()} == {"cert.pem", "key.pem", "rsakeys.ini"}
    assert (seat.run / "xrdp/cert.pem").stat().st_mode & 0o777 == 0o644
    assert (seat.run / "xrdp/key.pem").stat().st_mode & 0o777 == 0o640
    assert "usermod -p ! student" in seat.said()
    assert not (seat.run / "ssh").exists()
    shutil.copy(shutil.which("true") or "/bin/true", tmp_path / "sshd")
    seat.start("identity", LABVIRT_SSHD=str(tmp_path / "sshd"))
    assert (seat.run / "xrdp/cert.pem").read_text() == made
    assert (seat.run / "ssh/ssh_host_ed25519_key").read_text() == "key\n"


def painted(seat: Seat) -> tuple[str, str]:
    """(name, sentence) of the picture; it is well-formed whatever was written there."""
    seat.start("background")
    texts = ElementTree.fromstring((seat.run / "background.png").read_bytes()).iter(f"{SVG}text")  # noqa: S314 - made here
    name, sentence = ("|".join(part.strip() for part in text.itertext() if part.strip()) for text in texts)
    return name, sentence


def test_the_picture_says_who_and_what_is_forgotten(tmp_path: Path) -> None:
    seat = Seat(tmp_path, "lab-a-07")
    seat.start("identity")
    name, sentence = painted(seat)
    assert name == "lab-a-07"
    assert sentence.replace("|", " ").startswith("This computer forgets everything when it is restarted. Keep your work on ")
    (tmp_path / "forgets").write_text("Vše se smaže & <nic> nezůstane.\n")
    assert painted(seat)[1] == "Vše se smaže & <nic> nezůstane."
    (tmp_path / "fw/forgets/raw").write_text("Told by the host.")
    assert painted(seat)[1] == "Told by the host."


@pytest.mark.parametrize("text", [b"a\\1|&/s;w x\n", b"\xff\xfe\x00\x01<script>", b"x" * 5000, "Всё забыто. ".encode() * 90, b"</text>]]>"])
def test_a_hostile_sentence_is_only_text(tmp_path: Path, text: bytes) -> None:
    seat = Seat(tmp_path, "lab-a-07")
    seat.start("identity")
    (tmp_path / "forgets").write_bytes(text)
    name, sentence = painted(seat)
    assert name == "lab-a-07"
    assert 0 < len(sentence) <= 620
