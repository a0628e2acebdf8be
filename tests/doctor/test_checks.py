# SPDX-License-Identifier: MIT
"""Every check finds what is wrong, and finds nothing when it is mended."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import HypervisorInfo
from labvirt.doctor import checks, machine, programs, site
from labvirt.domain.findings import Severity
from labvirt.domain.host import HostLoad
from labvirt.errors import HostNotReady
from labvirt.system import privileges


class Machine:
    def __init__(self, memory: int, disk: int) -> None:
        self.memory, self.disk = memory, disk

    def load(self) -> HostLoad:
        return HostLoad(memory_total_mib=65536, memory_available_mib=self.memory, cpus=4, disk_free_mib=self.disk)

    def boot_id(self) -> str:
        return "boot"


class Driver:
    def __init__(self, notice: str = "", problem: HostNotReady | None = None) -> None:
        self.notice, self.problem = notice, problem

    def capabilities(self) -> HypervisorInfo:
        if self.problem:
            raise self.problem
        return HypervisorInfo(driver="qemu", version="9", accelerator="kvm", capabilities=frozenset(), notice=self.notice)


def codes(findings) -> set[str]:
    return {finding.code for finding in findings if finding.severity is not Severity.OK}


NEEDED = ("qemu-system-x86_64", "qemu-img", "bwrap", "setpriv", "prlimit", "dnsmasq", "nft")
USEFUL = ("7zz", "e2fsck", "blkid", "qemu-storage-daemon", "swtpm")


def test_missing_programs_are_named_with_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "SEARCH_PATH", str(tmp_path))
    found = {finding.subject: finding for finding in programs.programs("qemu")}
    assert {name for name, finding in found.items() if finding.code == "program-missing"} == {*NEEDED, *USEFUL}
    assert found["bwrap"].fix == "apt-get install bubblewrap"
    assert {found[name].severity for name in NEEDED} == {Severity.ERROR}
    assert {found[name].severity for name in USEFUL} == {Severity.WARNING}
    assert "swtpm" not in {finding.subject for finding in programs.programs("fake")}
    for name in (*NEEDED, *USEFUL):
        (tmp_path / name).touch(mode=0o755)
    assert codes(programs.programs("qemu")) <= {"module-missing"}
    assert codes(programs.programs("fake")) == set()


def test_what_only_a_part_needs_says_which_part_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "SEARCH_PATH", str(tmp_path))
    found = {finding.subject: finding for finding in programs.programs("qemu")}
    assert found["7zz"].fix.endswith(" 7zip")
    assert all("labvirt rescue files" in found[name].sentence for name in ("7zz", "e2fsck", "blkid", "qemu-storage-daemon"))
    assert "TPM" in found["swtpm"].sentence
    assert "pytest" not in found
    found_anew = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pytest" else found_anew(name))
    found = {finding.subject: finding for finding in programs.programs("qemu")}
    assert found["pytest"].severity is Severity.WARNING
    assert "pip install" in found["pytest"].fix


def test_little_memory_and_disk_are_warned_of() -> None:
    assert codes(machine.capacity(Machine(100, 100))) == {"memory", "disk"}
    assert codes(machine.capacity(Machine(8000, 80000))) == set()


def test_lacking_rights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "held_capabilities", lambda: frozenset({"net_bind_service"}))
    found = next(finding for finding in machine.rights("qemu") if finding.code == "rights")
    assert "CAP_NET_ADMIN" in found.sentence
    assert "CAP_NET_BIND_SERVICE" not in found.sentence
    assert codes(machine.rights("fake")) == set()
    monkeypatch.setattr(privileges, "held_capabilities", lambda: frozenset({"net_bind_service", "net_admin"}))
    assert "rights" not in codes(machine.rights("qemu"))


def test_the_state_folder_must_be_there_private_and_for_libvirt_passable(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert codes(site.state_folder(state, "qemu")) == {"state"}
    state.mkdir(mode=0o700)
    assert codes(site.state_folder(state, "qemu")) == set()
    assert codes(site.state_folder(state, "libvirt")) == {"state-closed"}
    state.chmod(0o755)
    assert codes(site.state_folder(state, "qemu")) == {"state-open"}


def test_a_driver_that_cannot_start_guests_is_a_finding_with_its_fix() -> None:
    found = checks.accelerator(lambda: Driver(problem=HostNotReady("QEMU is not installed.", hint="apt-get install qemu-system-x86")))
    assert (found[0].severity, found[0].fix) == (Severity.ERROR, "apt-get install qemu-system-x86")
    assert checks.accelerator(lambda: Driver(notice="slow"))[0].severity is Severity.WARNING
    assert checks.accelerator(Driver)[0].severity is Severity.OK


def test_the_worst_finding_decides() -> None:
    good = machine.capacity(Machine(8000, 80000))
    assert checks.worst(good) is Severity.OK
    assert checks.worst((*good, *machine.capacity(Machine(1, 80000)))) is Severity.WARNING
    assert checks.worst(()) is Severity.OK
