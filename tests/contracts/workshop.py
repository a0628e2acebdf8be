# SPDX-License-Identifier: MIT
"""A workshop per driver: how a test gets instances of it, something to start, and accidents that happen to runs.

A driver joins tests/contracts/test_hypervisor.py by a class here and a line in WORKSHOPS.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labvirt.contracts.hypervisor import DiskLayer, Drive, Hypervisor, LaunchSpec, MachineState, RunEvent
from labvirt.domain.guest import RunId, StopHow
from labvirt.domain.profile import Bus, Clock, Firmware, Machine, Sound, Video
from labvirt.errors import DriverError
from labvirt.hypervisors.fake import FakeHypervisor
from labvirt.hypervisors.libvirt.driver import LibvirtHypervisor
from labvirt.hypervisors.qemu.driver import QemuHypervisor
from tests.contracts.patience import Heard
from tests.contracts.private_libvirt import PROCESSES, private_libvirt

PREFIX = "lvt-guests-"
WRITER = bytes.fromhex(
    "31c0 8ed8 8ed0 bc007c"  # ds = ss = 0, a stack
    "be307c b80043 cd13"  # again: int 13h, 43h: write what the packet at 7c30h says to the disk we came from
    "66810638 7c80000000"  # 64 KiB further
    "ebed"  # again
).ljust(0x30, b"\x90") + bytes.fromhex("1000 4000 0000 0010 0008000000000000")
"""A boot sector that does nothing but write to its disk, one cluster after the other (BIOS Enhanced Disk Drive, packet of 16 bytes)."""

GUEST_UID = 0x20000000 + 4095 * 4096
"""Of the last block: no lab of a real controller on this machine is likely to have it."""


class Workshop:
    """Instances over one folder of runs. `close` ends every run and removes the folder."""

    real = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.runs.mkdir(mode=0o700)
        self.base = folder / "base.qcow2"
        self._drivers: list[Hypervisor] = []
        self._specs: dict[RunId, LaunchSpec] = {}

    def new(self) -> Hypervisor:
        """One more instance: another life of the controller over the same state."""
        driver = self._make()
        self._drivers.append(driver)
        return driver

    def heard(self, driver: Hypervisor) -> Heard:
        """Everything it tells from now on."""
        heard = Heard()
        driver.subscribe(heard)
        return heard

    def spec(self, guest: str = "lab-a-01", generation: int = 1, **changes: Any) -> LaunchSpec:
        """A small machine with one disk, its folder made, ready to be started."""
        run = RunId(guest, generation)
        folder = self.runs / str(run)
        folder.mkdir(mode=0o700)
        uid = GUEST_UID + len(self._specs) + 1 if os.geteuid() == 0 else None
        overlay = folder / "overlay-0.qcow2"
        self._make_overlay(overlay)
        for path in (overlay, folder):
            if uid is not None:
                os.chown(path, uid, uid)
        chain = (DiskLayer(path=overlay, format="qcow2"), DiskLayer(path=self.base, format="qcow2"))
        spec = LaunchSpec(
            run=run,
            folder=folder,
            uuid=uuid.uuid5(uuid.NAMESPACE_DNS, guest),
            serial=guest,
            memory_mib=64,
            cpus=1,
            firmware=Firmware.BIOS,
            machine=Machine.Q35,
            clock=Clock.UTC,
            drives=(Drive(bus=Bus.VIRTIO, index=0, chain=chain),),
            port=None,
            spice=None,
            video=Video.STD,
            sound=Sound.NONE,
            uid=uid,
        )
        self._specs[run] = replace(spec, **changes)
        return self._specs[run]

    def writer(self, guest: str = "lab-a-01", **changes: Any) -> LaunchSpec:
        """As `spec`: a machine that writes on its disk (of 64 MiB) from its first moment on."""
        if not self.base.exists():
            boot = self.folder / "boot.img"
            boot.write_bytes(WRITER.ljust(510, b"\0") + b"\x55\xaa" + bytes((64 << 20) - 512))
            _qemu_img("convert", "-f", "raw", "-O", "qcow2", str(boot), str(self.base))
            self.base.chmod(0o444)
        return self.spec(guest, **changes)

    def write(self, driver: Hypervisor, run: RunId, count: int) -> None:
        """A machine of `writer` writes so much; a real one does so by itself."""

    def crash(self, driver: Hypervisor, run: RunId) -> None:
        """Its process is killed by somebody else."""
        self._signal(driver, run, signal.SIGKILL)

    def silence(self, driver: Hypervisor, run: RunId) -> None:
        """Its process lives and does nothing."""
        self._signal(driver, run, signal.SIGSTOP)

    def speak(self, driver: Hypervisor, run: RunId) -> None:
        self._signal(driver, run, signal.SIGCONT)

    def close(self) -> None:
        last = self._make()
        try:
            for run in self._specs:
                with suppress(DriverError):
                    last.stop(run, StopHow.KILL)
        finally:
            for driver in (*self._drivers, last):
                driver.close()

    def _make(self) -> Hypervisor:
        raise NotImplementedError

    def _make_overlay(self, path: Path) -> None:
        if not self.base.exists():
            _qemu_img("create", "-q", "-f", "qcow2", str(self.base), "16M")
            self.base.chmod(0o444)
        _qemu_img("create", "-q", "-f", "qcow2", "-b", str(self.base), "-F", "qcow2", str(path))

    def _signal(self, driver: Hypervisor, run: RunId, number: signal.Signals) -> None:
        pid = next(status.pid for status in driver.running() if status.run == run)
        assert pid is not None
        os.kill(pid, number)


class QemuWorkshop(Workshop):
    def _make(self) -> Hypervisor:
        return QemuHypervisor(runs=self.runs, choice="tcg")


class LibvirtWorkshop(Workshop):
    """Over a libvirtd of the tests' own, each test with an owner of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for path in (self.folder, self.runs):
            path.chmod(0o711)  # libvirt binds nothing: guests' users walk to their own folder
        self.libvirt = private_libvirt()

    def _make(self) -> Hypervisor:
        return LibvirtHypervisor(
            self.libvirt.uri,
            owner=str(self.folder),
            accelerator="tcg",
            templates=self.folder / "templates",
            processes=PROCESSES,
        )


class FakeWorkshop(Workshop):
    real = False

    def _make(self) -> Hypervisor:
        return FakeHypervisor(self.folder / "fake" / "hypervisor.json")

    def _make_overlay(self, path: Path) -> None:
        for file in (self.base, path):
            file.touch()

    def write(self, driver: Hypervisor, run: RunId, count: int) -> None:
        assert isinstance(driver, FakeHypervisor)
        driver.happenings.write(run, count)

    def crash(self, driver: Hypervisor, run: RunId) -> None:
        assert isinstance(driver, FakeHypervisor)
        driver.happenings.crash(run)

    def silence(self, driver: Hypervisor, run: RunId) -> None:
        assert isinstance(driver, FakeHypervisor)
        driver.happenings.silence(run)

    def speak(self, driver: Hypervisor, run: RunId) -> None:
        assert isinstance(driver, FakeHypervisor)
        driver.happenings.speak(run)


WORKSHOPS: dict[str, Callable[[Path], Workshop]] = {"fake": FakeWorkshop, "qemu": QemuWorkshop, "libvirt": LibvirtWorkshop}


def parameters() -> list[Any]:
    """One parameter per driver; those that start processes are marked real."""
    return [
        pytest.param(name, id=name, marks=[pytest.mark.real] if getattr(make, "real", True) else []) for name, make in WORKSHOPS.items()
    ]


class Ground:
    """A folder for one test's runs, which says whether its test still lives: the lock on it is held by this process."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        shutil.rmtree(self.path)
        os.close(self._lock)


def clear_leftovers() -> None:
    """What killed test runs have left: guests in folders that nobody holds any more, and the folders."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            _kill_guests_of(path)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)


def _kill_guests_of(folder: Path) -> None:
    """bubblewrap names the folder in its argv, and QEMU is its child."""
    parents: dict[int, int] = {}
    waiting = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with suppress(OSError):
            stat = Path(f"/proc/{entry}/stat").read_text(errors="replace")
            parents[int(entry)] = int(stat.rpartition(")")[2].split()[1])
            argv = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            if argv[0].endswith((b"bwrap", b"setpriv")) and any(word.startswith(bytes(folder) + b"/") for word in argv):
                waiting.add(int(entry))
    for pid, parent in parents.items():
        if parent in waiting:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _qemu_img(*words: str) -> None:
    subprocess.run(("qemu-img", *words), check=True, timeout=60)


def states(driver: Hypervisor) -> dict[str, MachineState]:
    """Guest -> state, of all runs."""
    return {status.run.guest: status.state for status in driver.running()}


__all__ = ["GUEST_UID", "WRITER", "Ground", "Heard", "RunEvent", "Workshop", "clear_leftovers", "parameters", "states"]
