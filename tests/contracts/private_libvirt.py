# SPDX-License-Identifier: MIT
"""A libvirtd that only the tests see: mount, pid and network namespaces of its own, ended with the test process whatever happens.

The host's libvirt, if it has one, is neither used nor changed: /run, /var and /etc/libvirt are the namespace's own.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path

PREFIX = "lvt-libvirt-"
GATEWAY = "10.77.0.1"
"""SPICE asks getaddrinfo with AI_ADDRCONFIG: it does not even find 127.0.0.1 where loopback is the only interface."""

PROCESSES = Path("/run/processes")
"""Where its machines see our /proc."""

_CLONE_NEWNET = 0x40000000
"""linux/sched.h"""

_LIBVIRTD = """
listen_tls = 0
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_rw_perms = "0700"
log_outputs = "2:stderr"
"""

_QEMU = """
security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = []
stdio_handler = "file"
"""
"""Guests run as the user in their own DAC label, so `user` is never used. Everything else is libvirt's default, its sandbox too."""

_BEGIN = r"""
set -e
place=$1
mount --make-rprivate /
umount --recursive --lazy /run/netns 2>/dev/null || true  # or other tests' namespaces would live as long as we do
ip link set lo up
ip link add lvb000 type bridge; ip addr add 10.77.0.1/24 dev lvb000; ip link set lvb000 up
mkdir "$place/tmp"; mount --bind /var/tmp "$place/tmp"
mount -t tmpfs tmpfs /var
mkdir -p /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /var/tmp
mount --bind "$place/tmp" /var/tmp
mount -t tmpfs tmpfs /run; mkdir /run/libvirt /run/processes
# Processes of ours are not in its pid namespace, and clones find their memory at one of them.
mount --bind /proc /run/processes; mount -t proc proc /proc
mount --bind "$place/run" /run/libvirt
mount --bind "$place/etc" /etc/libvirt
# libvirtd looks for its compiled-in user before it reads that it should use another.
for name in passwd group; do
    cp /etc/$name "$place/$name"
    mount --bind "$place/$name" /etc/$name
done
grep -q ^kvm: /etc/group || echo "kvm:x:64054:" >>/etc/group
grep -q ^libvirt-qemu: /etc/passwd || echo "libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin" >>/etc/passwd
grep -q ^libvirt-qemu: /etc/group || echo "libvirt-qemu:x:64055:" >>/etc/group
# Process 1 reaps what is orphaned: QEMU's ended processes would stay, and libvirt would try to kill them for a minute.
while :; do
    /usr/sbin/libvirtd -f /etc/libvirt/libvirtd.conf & echo $! >"$place/libvirtd.pid"
    wait $! || true
done
"""


class PrivateLibvirt:
    """Running from the beginning. A libvirtd that ends is started again."""

    def __init__(self) -> None:
        _clear_leftovers()
        self._place = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = os.open(self._place, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        for name, text in (("libvirtd.conf", _LIBVIRTD), ("qemu.conf", _QEMU)):
            (self._place / "etc").mkdir(exist_ok=True)
            (self._place / "etc" / name).write_text(text)
        (self._place / "run").mkdir()
        self._log = (self._place / "log").open("wb")
        words = ("setpriv", "--pdeathsig=KILL", "--", "unshare", "--mount", "--pid", "--net", "--fork", "--kill-child=KILL")
        self._process = subprocess.Popen(
            (*words, "bash", "-c", _BEGIN, "libvirt", str(self._place)), stdout=self._log, stderr=self._log, start_new_session=True
        )
        self.uri = f"qemu+unix:///system?socket={self._place}/run/libvirt-sock"
        atexit.register(self.close)
        self.wait()

    @property
    def init(self) -> int:
        """Process 1 of the namespace, as we see it."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0])

    def wait(self) -> None:
        """It answers."""
        deadline = time.monotonic() + 30
        pause = threading.Event()
        while self._virsh("version").returncode != 0:
            assert time.monotonic() < deadline, f"libvirtd does not answer: {self.log()}"
            pause.wait(0.05)

    def virsh(self, *words: str) -> str:
        done = self._virsh(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def inside(self, *argv: str, mounts: bool = False) -> str:
        """Runs a program in its network namespace (with `mounts` in all of its namespaces)."""
        enter = ("nsenter", f"--target={self.init}", "--net", *(("--mount", "--pid") if mounts else ()), "--")
        done = subprocess.run((*enter, *argv), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def connect(self, address: str, port: int) -> socket.socket:
        """A TCP connection out of its network namespace. Raises OSError."""

        def work() -> socket.socket:
            with open(f"/proc/{self.init}/ns/net", "rb") as handle:
                if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            return socket.create_connection((address, port), timeout=5)

        with ThreadPoolExecutor(1) as there:  # the thread stays in that namespace, so it is used once
            return there.submit(work).result()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is in its network namespace; sockets and processes made now stay inside."""
        setns = ctypes.CDLL(None, use_errno=True).setns
        with open("/proc/thread-self/ns/net", "rb") as before, open(f"/proc/{self.init}/ns/net", "rb") as there:
            assert setns(there.fileno(), _CLONE_NEWNET) == 0
            try:
                yield
            finally:
                assert setns(before.fileno(), _CLONE_NEWNET) == 0

    def kill_daemon(self) -> None:
        """kill -9 of libvirtd; another one comes."""
        pid = (self._place / "libvirtd.pid").read_text().strip()
        self.inside("kill", "-9", pid, mounts=True)

    def log(self) -> str:
        return (self._place / "log").read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """All of it is gone: the namespace's processes with its first one."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)
        self._log.close()
        shutil.rmtree(self._place, ignore_errors=True)
        os.close(self._lock)
        atexit.unregister(self.close)

    def _virsh(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(("virsh", "-q", "-c", self.uri, *words), capture_output=True, text=True, timeout=60, check=False)


@cache
def private_libvirt() -> PrivateLibvirt:
    """One for the whole test session; it begins when it is first needed."""
    return PrivateLibvirt()


def _clear_leftovers() -> None:
    """Folders of killed test runs; their processes ended with them."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)
