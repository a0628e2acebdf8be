# SPDX-License-Identifier: MIT
"""What a running QEMU may do and see, read from /proc: reliability rules of the launch, and whose process gets a
signal.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import HOME_LOGIN
from labvirt.errors import HypervisorError
from labvirt.hypervisors.qemu import identity
from labvirt.system import process
from labvirt.system.files import write_atomic
from tests.contracts.workshop import Workshop

pytestmark = pytest.mark.real


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_a_guest_has_no_rights(qemu: Workshop) -> None:
    spec = qemu.spec()
    pid = qemu.new().start(spec).pid
    assert pid is not None
    status = _status(pid)
    assert set(status["Uid"].split()) == {str(spec.uid)}
    assert set(status["Gid"].split()) == {str(spec.uid)}
    assert status["Groups"] == ""
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0, capabilities
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert _status(os.getpid())["CapEff"] != status["CapEff"]


def test_a_guest_sees_its_own_files_and_nothing_else(qemu: Workshop) -> None:
    driver = qemu.new()
    spec, other = qemu.spec(), qemu.spec("lab-a-02")
    pid = driver.start(spec).pid
    driver.start(other)
    root = Path(f"/proc/{pid}/root")
    assert sorted(path.name for path in root.iterdir()) == sorted(
        ("bin", "dev", "etc", "images", "lib", "lib64", "proc", "run", "sbin", "usr")
    )
    assert {path.name for path in (root / "etc").iterdir()} <= {"localtime"}
    assert [path.name for path in (root / "images").iterdir()] == ["drive0-1.qcow2"]
    for hidden in (Path("/etc/shadow"), spec.folder, other.folder):
        assert hidden.exists()
        assert not (root / str(hidden).lstrip("/")).exists()
    assert (root / "run/guest/overlay-0.qcow2").samefile(spec.folder / "overlay-0.qcow2")
    assert not (root / "run/guest/overlay-0.qcow2").samefile(other.folder / "overlay-0.qcow2")
    assert not (root / "dev/kvm").exists()
    assert not (root / "dev/net").exists()
    for namespace in ("mnt", "pid", "ipc", "uts"):
        assert os.readlink(f"/proc/{pid}/ns/{namespace}") != os.readlink(f"/proc/self/ns/{namespace}")
    assert os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net")


def test_only_the_overlay_can_be_written(qemu: Workshop) -> None:
    spec = qemu.spec()
    pid = qemu.new().start(spec).pid
    root = Path(f"/proc/{pid}/root")
    os.close(os.open(root / "run/guest/overlay-0.qcow2", os.O_RDWR))
    for shared in ("images/drive0-1.qcow2", "run/guest/launch.json", "usr/bin/env"):
        with pytest.raises(OSError, match="Read-only") as refused:
            os.open(root / shared, os.O_RDWR)
        assert refused.value.errno == errno.EROFS
    with pytest.raises(OSError, match="Read-only"):
        (root / "file").touch()


def test_it_sees_no_process_and_holds_no_descriptor_of_ours(qemu: Workshop) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    try:
        pid = qemu.new().start(qemu.spec()).pid
        pipe = os.readlink(f"/proc/self/fd/{writing}")
        assert pipe not in {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}
        assert [path.name for path in Path(f"/proc/{pid}/root/proc").iterdir() if path.name.isdigit()] == ["1"]
    finally:
        os.close(reading)
        os.close(writing)


def test_a_failed_start_says_why_and_leaves_no_process(qemu: Workshop) -> None:
    driver = qemu.new()
    spec = qemu.spec()
    good = (spec.folder / "overlay-0.qcow2").read_bytes()
    (spec.folder / "overlay-0.qcow2").write_bytes(b"this is no image" * 64)
    with pytest.raises(HypervisorError, match="qcow2") as refused:
        driver.start(spec)
    assert "qemu.log" in refused.value.hint
    assert identity.find(spec.folder) == ()
    assert driver.running() == ()
    (spec.folder / "overlay-0.qcow2").write_bytes(good)
    driver.start(spec)
    assert identity.find(spec.folder)


def test_a_run_cannot_write_the_overlay_of_another(qemu: Workshop) -> None:
    driver = qemu.new()
    spec = qemu.spec()
    driver.start(spec)
    thief = qemu.spec("lab-a-02")
    with pytest.raises(HypervisorError, match=r"Read-only|Permission"):
        driver.start(replace(thief, drives=spec.drives))
    assert [status.run for status in driver.running()] == [spec.run]


def test_a_recycled_pid_is_neither_adopted_nor_signalled(qemu: Workshop) -> None:
    spec = qemu.spec()
    pid = qemu.new().start(spec).pid
    assert pid is not None
    with subprocess.Popen(("sleep", "60")) as innocent:
        try:
            known = process.identify(innocent.pid)
            assert known is not None
            assert identity.prove(spec.folder, innocent.pid) is None
            assert identity.prove(spec.folder, pid) == process.identify(pid)
            for stale in (replace(known, start_ticks=known.start_ticks - 1), replace(known, boot_id="another")):
                assert not process.send_signal(stale, signal.SIGKILL)
                assert process.wait_end(stale, 0)
            assert innocent.poll() is None
            assert not process.wait_end(known, 0)
            assert process.send_signal(known, signal.SIGKILL)
            assert innocent.wait(30) == -signal.SIGKILL
        finally:
            innocent.kill()


def test_a_link_in_place_of_a_socket_is_not_followed(qemu: Workshop) -> None:
    """QEMU may write in its folder: what lies there must not lead the engine elsewhere."""
    driver = qemu.new()
    spec, other = qemu.spec(), qemu.spec("lab-a-02")
    driver.start(spec)
    (other.folder / "qmp.sock").symlink_to(spec.folder / "qmp.sock")
    assert [status.run for status in driver.running()] == [spec.run]
    (other.folder / "qmp.sock").unlink()
    driver.start(other)
    assert len(driver.running()) == 2


def test_a_login_reaches_the_firmware_and_stays_in_no_file_and_no_argument(qemu: Workshop) -> None:
    spec = replace(qemu.spec(), told=(("home", "smb://files.lab/homes/7"), ("forgets", "All, but your home; 100 %.")), home_login=True)
    write_atomic(spec.folder / HOME_LOGIN, "username=lab\npassword=geheim\n", owner=spec.uid)
    pid = qemu.new().start(spec).pid
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    assert b"name=opt/labvirt/home,string=smb://files.lab/homes/7" in arguments
    assert b"name=opt/labvirt/home-login,file=/run/guest/home-login" in arguments
    assert b"geheim" not in arguments
    assert b"geheim" in b"".join(_memory(pid or 0))
    assert not (spec.folder / HOME_LOGIN).exists()
    assert not any(b"geheim" in file.read_bytes() for file in spec.folder.iterdir() if file.is_file())
    without = replace(qemu.spec("lab-a-02"), home_login=True)
    with pytest.raises(HypervisorError, match="lab-a-02"):
        qemu.new().start(without)


def _memory(pid: int) -> Iterator[bytes]:
    """Of its heap: what QEMU has read is there."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            if line.endswith("[heap]"):
                first, last = (int(word, 16) for word in line.split()[0].split("-"))
                memory.seek(first)
                yield memory.read(last - first)
