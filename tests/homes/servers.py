# SPDX-License-Identifier: MIT
"""Real file servers as plain processes with files of their own: Debian's smbd, and nfs-ganesha (NFS 4 in user space, no kernel module).

They serve the network namespace they are started in, on its loopback interface; guests of QEMU's user network reach that as 10.0.2.2.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

FROM_GUESTS = "10.0.2.2"
STUDENT_UID = 1000
LOGIN_USER = "nobody"
"""A share's user must be one of Unix: this one is everywhere."""


class FileServer:
    """Answers at `port` when it is made, and is gone after close(). `folder` is what its guests see as their home."""

    def __init__(self, argv: list[str], work: Path, folder: Path, port: int) -> None:
        self.folder = folder
        self._log = (work / "server.log").open("wb")
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True)
        deadline = time.monotonic() + 60
        while not _answers(port):
            assert self._process.poll() is None, f"{argv[0]} has ended: {self.said()}"
            assert time.monotonic() < deadline, f"{argv[0]} does not listen: {self.said()}"
            time.sleep(0.2)

    def said(self) -> str:
        return Path(self._log.name).read_text(errors="replace")[-2000:]

    def close(self) -> None:
        """As a power cut: nothing is said to its clients."""
        with_children = subprocess.run(["pgrep", "-s", str(self._process.pid)], capture_output=True, text=True).stdout.split()
        for pid in with_children:
            os.kill(int(pid), 9)
        self._process.wait()
        self._log.close()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def smb(work: Path, *, login: str) -> FileServer:
    """smb://SERVER/homes/lab-a/7 is its folder, for LOGIN_USER with the password `login` only; every connection is encrypted."""
    work.mkdir(exist_ok=True)
    share = work / "share"
    home = share / "lab-a" / "7"
    home.mkdir(parents=True, exist_ok=True)
    for folder in (share, share / "lab-a", home):
        shutil.chown(folder, LOGIN_USER)
    own = {f"{name} directory": work / name for name in ("lock", "state", "cache", "pid")} | {"private dir": work / "private"}
    for folder in own.values():
        folder.mkdir(exist_ok=True)
    lines = [
        *("[global]", "server role = standalone server", "interfaces = lo", "bind interfaces only = yes", "smb ports = 445"),
        *("disable netbios = yes", "load printers = no", "map to guest = never", "server smb encrypt = required"),
        *(f"passdb backend = tdbsam:{work}/passdb.tdb", f"ncalrpc dir = {work}/ncalrpc", f"log file = {work}/smbd.log", "log level = 1"),
        *(f"{name} = {folder}" for name, folder in own.items()),
        *("[homes-of-labs]", f"path = {share}", "read only = no", f"valid users = {LOGIN_USER}"),
    ]
    conf = work / "smb.conf"
    conf.write_text("\n".join(lines) + "\n")
    words = f"{login}\n{login}\n"
    subprocess.run(["smbpasswd", "-c", conf, "-a", "-s", LOGIN_USER], input=words, text=True, check=True, capture_output=True)
    return FileServer(["smbd", "-F", "--no-process-group", "-s", str(conf)], work, home, 445)


def nfs(work: Path) -> FileServer:
    """nfs://SERVER/homes/lab-a/7 is its folder; the guests' root is nobody (root_squash)."""
    work.mkdir(exist_ok=True)
    work.chmod(0o755)
    export = work / "export"
    home = export / "lab-a" / "7"
    home.mkdir(parents=True, exist_ok=True)
    (work / "recovery").mkdir(exist_ok=True)
    os.chown(home, STUDENT_UID, STUDENT_UID)
    home.chmod(0o700)
    conf = work / "ganesha.conf"
    conf.write_text(
        f"""
        NFS_CORE_PARAM {{ NFS_Port = 2049; Protocols = 4; Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false; }}
        NFSv4 {{
            Graceless = true; RecoveryBackend = fs; RecoveryRoot = {work}/recovery;
            Allow_Numeric_Owners = true; Only_Numeric_Owners = true;
        }}
        EXPORT {{
            Export_Id = 1; Path = {export}; Pseudo = /homes; Access_Type = RW; Squash = Root_Squash; SecType = sys; Transports = TCP;
            FSAL {{ Name = VFS; }}
        }}
        """
    )
    argv = ["ganesha.nfsd", "-F", "-f", str(conf), "-L", str(work / "ganesha.log"), "-p", str(work / "ganesha.pid"), "-N", "EVENT"]
    return FileServer(argv, work, home, 2049)
