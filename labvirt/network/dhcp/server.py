# SPDX-License-Identifier: MIT
"""One dnsmasq process: its command line, how it is started, found again and stopped. What it serves is not known here.

1. It is found by what it is: a process with exactly our --conf-file in its arguments, of a user we start it as, in our
   network namespace. There is no pid file.
2. As root it gets a view of the file system with nothing but /usr and its own folder (bubblewrap), and a user of its own
   with two capabilities (setpriv), whatever folder the state lies in.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import time
from ipaddress import IPv4Address
from pathlib import Path

from labvirt.errors import DhcpError, HostNotReady
from labvirt.system import files, privileges, process
from labvirt.system.process import ProcessIdentity

START_SECONDS = 10.0
STOP_SECONDS = 3.0
_STEP_SECONDS = 0.02

CONFIG, HOSTS, NAMES, LEASES, LOG, TFTP = "dnsmasq.conf", "hosts", "names", "leases", "server.log", "tftp"

_RIGHTS = ("net_admin", "net_bind_service")
"""net_admin: to answer a client that has no address yet (ARP entry); net_bind_service: ports 53 and 67. dnsmasq refuses to
start without them; with no-ping it needs no net_raw."""


def user() -> tuple[int, int] | None:
    """User and group a server of root's runs as: dnsmasq's own (package dnsmasq-base), else nobody. None: we are not root."""
    if not privileges.is_root():
        return None
    for name in ("dnsmasq", "nobody"):
        try:
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
        except KeyError:
            continue
    return 65534, 65534  # nobody and nogroup


def command(folder: Path, owner: tuple[int, int] | None, program: str = "/usr/sbin/dnsmasq") -> tuple[str, ...]:
    """The argv of a server that is given `folder`. Pure."""
    server = (
        program,
        "--keep-in-foreground",
        f"--conf-file={folder / CONFIG}",
        f"--dhcp-hostsfile={folder / HOSTS}",
        f"--addn-hosts={folder / NAMES}",
        f"--dhcp-leasefile={folder / LEASES}",
        f"--tftp-root={folder / TFTP}",
        "--pid-file=",
        "--user=",
    )
    if owner is None:
        return server
    uid, gid = owner
    capabilities = [part for right in ("setuid", "setgid", "setpcap", *_RIGHTS) for part in ("--cap-add", f"CAP_{right.upper()}")]
    rights = ",".join(f"+{right}" for right in _RIGHTS)
    return (
        # PRIVILEGE: root, for the mounts and to become `uid`; `folder` is the lab's own, its name was checked.
        *("bwrap", "--ro-bind", "/usr", "/usr"),
        *("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin"),
        *("--dev", "/dev", "--ro-bind-try", "/dev/log", "/dev/log", "--dir", "/run", "--dir", "/var/run"),
        # The way to the folder is made anew inside, open; outside it may be closed to everybody but root.
        *(part for parent in reversed(folder.parents[:-1]) for part in ("--perms", "0755", "--dir", str(parent))),
        *("--ro-bind", str(folder), str(folder), "--bind", str(folder / LEASES), str(folder / LEASES)),
        *capabilities,
        "--",
        *("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs"),
        *(f"--inh-caps=-all,{rights}", f"--ambient-caps=-all,{rights}", f"--bounding-set=-all,{rights}"),
        "--",
        *server,
    )


def find(folder: Path) -> tuple[ProcessIdentity, ...]:
    """Every server of this folder that lives in our network namespace or in another, oldest first."""
    mark = f"--conf-file={folder / CONFIG}".encode()
    owner = user()
    users = {os.geteuid(), 0, *(owner[:1] if owner else ())}
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            # bubblewrap's own process has the same words further back, and ends with its child.
            if Path(os.fsdecode(arguments[0])).name != "dnsmasq" or mark not in arguments:
                continue
            if entry.stat().st_uid not in users:
                continue
        except OSError:  # it ended while we looked
            continue
        identity = process.identify(int(entry.name))
        if identity is not None:
            found.append(identity)
    return tuple(sorted(found, key=lambda one: (one.start_ticks, one.pid)))


def is_here(server: ProcessIdentity) -> bool:
    """It is in the network namespace of this process (a server of an earlier demo may live on in another)."""
    try:
        there = os.stat(f"/proc/{server.pid}/ns/net")
    except OSError:  # gone, or not ours to look at: then it is not the one we started
        return False
    here = os.stat("/proc/thread-self/ns/net")
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def start(folder: Path, gateway: IPv4Address, lab: str) -> ProcessIdentity:
    """A server runs and answers on the gateway's port 53. After a failure none runs.

    Raises DhcpError with its last words, HostNotReady when the program is missing.
    """
    program = shutil.which("dnsmasq", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise HostNotReady("dnsmasq is not installed on this host.", hint="apt-get install dnsmasq-base")
    owner = user()
    files.write_atomic(folder / LOG, "")
    if not (folder / LEASES).exists():
        files.write_atomic(folder / LEASES, "")
    if owner is not None:
        # PRIVILEGE: CAP_CHOWN, root only. The lease file is our own, in a folder that only we can write.
        os.chown(folder / LEASES, *owner, follow_symlinks=False)
    try:
        first = process.spawn_detached(command(folder, owner, program), log=folder / LOG)
    except OSError as error:
        raise HostNotReady(
            f"dnsmasq cannot be started: {error.strerror}.", hint="apt-get install dnsmasq-base bubblewrap util-linux"
        ) from error
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.wait_end(first, _STEP_SECONDS):
            words = files.read_tail(folder / LOG).strip().splitlines()
            raise DhcpError(
                f"The DHCP server of {lab} ended at once: {words[-1] if words else 'it said nothing'}",
                operation="start",
                subject=lab,
                hint="If another DHCP or DNS server holds the port, stop it: ss -lunp",
            )
        if _answers(gateway) and (found := find(folder)):
            return found[-1]
    stop([*find(folder), first])
    raise DhcpError(
        f"The DHCP server of {lab} does not answer on {gateway} after {START_SECONDS:.0f} s.",
        operation="start",
        subject=lab,
        hint="Is the lab's bridge there? ip addr show; then labvirt verify",
    )


def stop(servers: list[ProcessIdentity] | tuple[ProcessIdentity, ...]) -> None:
    """These processes are gone. Raises DhcpError when one cannot be ended."""
    try:
        for server in servers:
            process.send_signal(server, signal.SIGTERM)
        for server in servers:
            if not process.wait_end(server, STOP_SECONDS):
                process.send_signal(server, signal.SIGKILL)
                process.wait_end(server, STOP_SECONDS)
    except PermissionError as error:
        raise DhcpError(
            "A DHCP server of another user may not be stopped by us.", operation="stop", hint="Stop it as root: ps -C dnsmasq"
        ) from error


def _answers(gateway: IPv4Address) -> bool:
    """Somebody answers DNS there: any answer to a question for the root's address will do (RFC 1035, 4.1)."""
    question = b"\x4c\x56\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ask:
        ask.settimeout(_STEP_SECONDS * 5)
        try:
            ask.connect((str(gateway), 53))
            ask.send(question)
            return ask.recv(512)[:2] == question[:2]
        except OSError:
            return False
