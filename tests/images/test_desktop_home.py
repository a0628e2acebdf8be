# SPDX-License-Identifier: MIT
"""The desktop guest's home, without a guest: its script with stubs for mount and the like. `make home-test` does it with real servers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "images" / "debian-desktop" / "root" / "usr" / "lib" / "labvirt"
STUBS = {
    "mount": """echo "mount $*" >>"$STUBS/said"
        case $* in *credentials=*) cp "$LABVIRT_RUN/home-login" "$STUBS/login"; stat -c %a "$LABVIRT_RUN/home-login" >"$STUBS/mode" ;; esac
        case $* in *vers=4.0*) ;; *) [ ! -e "$STUBS/old-server" ] || { cat "$STUBS/old-server" >&2; exit 32; } ;; esac
        [ ! -e "$STUBS/refusal" ] || { cat "$STUBS/refusal" >&2; exit 32; }
        touch "$STUBS/mounted" """,
    "umount": 'echo "umount $*" >>"$STUBS/said"; rm -f "$STUBS/mounted"',
    "runuser": """echo "runuser $2" >>"$STUBS/said"
        [ ! -e "$STUBS/read-only" ] || exit 1
        shift 3; exec "$@" """,
    "sleep": ":",
    "stat": 'case $1 in -f) [ ! -e "$STUBS/dead" ] ;; *) exec /usr/bin/stat "$@" ;; esac',
    "paint": 'echo "paint $(cat "$LABVIRT_RUN/home-trouble" 2>/dev/null)" >>"$STUBS/said"',
}


class Desk:
    """A machine whose firmware, folders and servers are files here."""

    def __init__(self, folder: Path, address: str = "", login: str = "") -> None:
        self.run, self.home, self.stubs = folder / "run", folder / "home", folder / "stubs"
        for made in (self.run, self.home, self.stubs, folder / "fw/home", folder / "fw/home-login"):
            made.mkdir(parents=True)
        self._folder = folder
        if address:
            (folder / "fw/home/raw").write_text(address)
        if login:
            (folder / "fw/home-login/raw").write_text(login)
        for name, body in STUBS.items():
            (self.stubs / name).write_text(f"#!/bin/sh\n{body}\n")
            (self.stubs / name).chmod(0o755)

    def start(self, *words: str, **more: str) -> Desk:
        environment = {
            "PATH": f"{self.stubs}:/usr/bin:/bin",
            "STUBS": str(self.stubs),
            "LABVIRT_RUN": str(self.run),
            "LABVIRT_FW_CFG": f"{self._folder}/fw",
            "LABVIRT_HOME": str(self.home),
            "LABVIRT_PAINT": f"{self.stubs}/paint",
            "LABVIRT_SECONDS": "0",
            "LABVIRT_ONCE": "1",
            **more,
        }
        done = subprocess.run(["sh", SCRIPTS / "home", *words], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return self

    def said(self) -> str:
        file = self.stubs / "said"
        return file.read_text() if file.exists() else ""

    def trouble(self) -> str:
        file = self.run / "home-trouble"
        return file.read_text() if file.exists() else ""

    def promised(self) -> bool:
        return (self.run / "home-mounted").exists()


def test_nfs_is_mounted_before_anything_is_promised_and_the_folders_are_there(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "nfs://files.lab/homes/lab-a/7").start()
    (line,) = [line for line in desk.said().splitlines() if line.startswith("mount")]
    assert line.startswith("mount -t nfs4 -o nosuid,nodev,")
    assert ",soft," in line
    assert ",vers=4.1," in line, "4.2 reads by READ_PLUS, and one server answered it with zeros"
    assert line.endswith(f" files.lab:/homes/lab-a/7 {desk.home}")
    assert desk.promised()
    assert not desk.trouble()
    assert {"Desktop", "Documents", "Downloads", "Music", "Pictures", "Videos"} <= {path.name for path in desk.home.iterdir()}
    assert 'XDG_DOWNLOAD_DIR="$HOME/Downloads"\n' in (desk.home / ".config/user-dirs.dirs").read_text()
    assert not (desk.home / ".labvirt-writes").exists()


def test_a_server_that_speaks_nfs_4_0_only_serves_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "nfs://files.lab/homes/7")
    (desk.stubs / "old-server").write_text("mount.nfs4: Protocol not supported")
    desk.start()
    assert [word for line in desk.said().splitlines() for word in line.split(",") if word.startswith("vers=")] == ["vers=4.1", "vers=4.0"]
    assert desk.promised()
    assert not desk.trouble()


def test_what_a_home_has_already_stays(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "nfs://files.lab/homes/7")
    (desk.home / ".config").mkdir()
    (desk.home / ".config/user-dirs.dirs").write_text("mine")
    (desk.home / "Documents").mkdir()
    (desk.home / "Documents/essay.txt").write_text("words")
    (desk.home / ".bashrc").write_text("mine too")
    desk.start()
    assert (desk.home / ".config/user-dirs.dirs").read_text() == "mine"
    assert (desk.home / "Documents/essay.txt").read_text() == "words"
    assert (desk.home / ".bashrc").read_text() == "mine too"


def test_an_smb_login_goes_into_no_argument_and_is_gone_afterwards(tmp_path: Path) -> None:
    login = "username=lab\npassword=geheim\n"
    desk = Desk(tmp_path, "smb://files.lab/homes/7", login).start()
    assert "geheim" not in desk.said()
    assert ",seal " in desk.said()
    assert "guest" not in desk.said()
    assert (desk.stubs / "login").read_text() == login
    assert (desk.stubs / "mode").read_text() == "600\n"
    assert not (desk.run / "home-login").exists()
    assert f" //files.lab/homes/7 {desk.home}" in desk.said()


def test_an_smb_share_for_everybody_needs_no_login(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "smb://files.lab/homes/7").start()
    assert ",guest " in desk.said()
    assert "credentials" not in desk.said()
    assert desk.promised()


def test_a_machine_without_a_home_mounts_nothing_and_says_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path).start()
    assert desk.said() == ""
    assert not desk.promised()


@pytest.mark.parametrize(
    "refusal, words",
    [
        ("mount.nfs4: Connection timed out", "does not answer"),
        ("mount error(113): could not connect to 10.0.0.1: No route to host", "does not answer"),
        ("mount.nfs4: access denied by server while mounting files.lab:/x", "refuses this computer"),
        ("mount.nfs4: Protocol not supported", "does not speak NFS 4"),
        ("mount error(13): Permission denied", "refuses this computer"),
        ("mount.nfs4: mounting files.lab:/x failed, reason given by server: No such file or directory", "has no folder for this seat"),
    ],
)
def test_without_the_server_the_desktop_starts_and_says_so(tmp_path: Path, refusal: str, words: str) -> None:
    desk = Desk(tmp_path, "nfs://files.lab/homes/7")
    (desk.stubs / "refusal").write_text(refusal)
    desk.start()
    assert desk.trouble().startswith(f"Your work is NOT kept today: the file server files.lab {words}.")
    assert f"paint {desk.trouble()}" in desk.said()
    assert not desk.promised()
    assert list(desk.home.iterdir()) == []


def test_a_home_that_cannot_be_written_is_taken_away_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "nfs://files.lab/homes/7")
    (desk.stubs / "read-only").touch()
    desk.start()
    assert "lets nobody save there" in desk.trouble()
    assert not (desk.stubs / "mounted").exists()
    assert not desk.promised()


def test_a_server_that_goes_away_is_told_once_and_its_return_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "nfs://files.lab/homes/7").start()
    desk.start("watch")
    assert "paint" not in desk.said()
    (desk.stubs / "dead").touch()
    desk.start("watch").start("watch")
    assert "files.lab does not answer now" in desk.trouble()
    assert desk.said().count("paint The file server") == 1
    (desk.stubs / "dead").unlink()
    desk.start("watch").start("watch")
    assert desk.trouble() == ""
    assert desk.said().count("paint") == 2


def test_a_hostile_address_is_no_option_and_no_command(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "nfs://f,sec=none;$(touch x)/a -o suid\n").start()
    (line,) = [line for line in desk.said().splitlines() if line.startswith("mount")]
    assert line.split()[:3] == ["mount", "-t", "nfs4"]
    assert line.split()[5:] == ["fsecnonetouchx:/a-osuid", str(desk.home)]
