# SPDX-License-Identifier: MIT
"""The TPM of a run: a guest's kernel uses it, its state outlives the machine, and its process never outlives QEMU."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import TPM_STATE, EventKind, LaunchSpec, MachineState
from labvirt.domain.guest import StopHow
from labvirt.errors import HypervisorError
from labvirt.hypervisors.qemu import identity, launch, layout, tpm
from labvirt.system.process import ProcessIdentity, is_alive, wait_end, writers_of
from labvirt.system.sockets import connect_unix
from tests.contracts.patience import DEADLINE_SECONDS, until
from tests.contracts.test_qemu_tiny import SerialLine, TinyWorkshop, lab, tiny
from tests.contracts.workshop import Workshop

__all__ = ["lab", "tiny"]

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

SET_OWNER = r"\200\002\000\000\000\041\000\000\001\051\100\000\000\001\000\000\000\011\100\000\000\011\000\000\000\000\000\000\004LabV"
"""TPM2_HierarchyChangeAuth of the owner, whose password is empty, to 'LabV' (TPM 2.0 Library, part 3, 24.8): it is kept for ever."""
SUCCESS = b"00000000"


def emulators(folder: Path) -> tuple[ProcessIdentity, ...]:
    return writers_of(folder / layout.TPM_LOG)


def set_owner(line: SerialLine) -> bytes:
    """The TPM's answer, in hexadecimal."""
    read = "dd bs=4096 count=1 <&3 2>/dev/null | hexdump -v -e '1/1 \"%02x\"'"
    line.say(f"exec exec 3<>/dev/tpm0; printf '{SET_OWNER}' >&3; echo answer $({read}).")
    line.hear(b"answer ")
    return line.until(b".")


def booted(lab: TinyWorkshop, spec: LaunchSpec) -> SerialLine:
    line = SerialLine(spec.folder)
    line.hear(b"LABVIRT GUEST BOOTED")
    line.wake()
    return line


def test_a_guest_has_a_tpm_whose_state_outlives_the_machine(lab: TinyWorkshop) -> None:
    driver = lab.new()
    spec, other = lab.spec(memory_mib=128, tpm=True), lab.spec("lab-a-02", memory_mib=128, tpm=True)
    driver.start(spec)
    with booted(lab, spec) as line:
        line.say("exec cat /sys/class/tpm/tpm0/tpm_version_major; echo .")
        line.hear(b"2\n.")
        assert set_owner(line)[12:20] == SUCCESS
    driver.stop(spec.run, StopHow.STOP)
    assert emulators(spec.folder) == ()
    kept = (spec.folder / TPM_STATE).read_bytes()
    assert b"LabV" in kept
    (other.folder / TPM_STATE).write_bytes(kept)  # as a draft's companion is copied into a run
    driver.start(other)
    with booted(lab, other) as line:
        assert set_owner(line)[12:20] != SUCCESS, "the owner's password is forgotten"


def test_the_emulator_has_no_rights_and_sees_its_state_alone(qemu: Workshop) -> None:
    spec = qemu.spec(tpm=True)
    qemu.new().start(spec)
    waiting, inside = sorted(emulators(spec.folder), key=lambda each: each.pid)
    assert Path(f"/proc/{waiting.pid}/comm").read_text() == "bwrap\n"
    pid = inside.pid
    assert Path(f"/proc/{pid}/comm").read_text() == "swtpm\n"
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(spec.uid)}
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2")
    root = Path(f"/proc/{pid}/root")
    assert [path.name for path in (root / "run").iterdir()] == [TPM_STATE]
    assert (root / "run" / TPM_STATE).samefile(spec.folder / TPM_STATE)
    assert spec.folder.exists()
    assert not (root / str(spec.folder).lstrip("/")).exists()
    for namespace in ("mnt", "pid", "ipc", "uts", "net"):
        assert os.readlink(f"/proc/{pid}/ns/{namespace}") != os.readlink(f"/proc/self/ns/{namespace}")


@pytest.mark.parametrize("how", [StopHow.STOP, StopHow.KILL])
def test_it_ends_with_its_machine(qemu: Workshop, how: StopHow) -> None:
    first = qemu.new()
    spec, other = qemu.spec(tpm=True), qemu.spec("lab-a-02", tpm=True)
    first.start(spec)
    first.start(other)
    first.close()
    driver = qemu.new()  # it outlives the controller
    assert len(emulators(spec.folder)) == 2
    driver.stop(spec.run, how)
    assert emulators(spec.folder) == ()
    assert len(emulators(other.folder)) == 2
    assert driver.start(spec).state is MachineState.RUNNING


def test_it_ends_when_somebody_kills_the_machine_and_before_that_is_told(qemu: Workshop) -> None:
    driver = qemu.new()
    heard = qemu.heard(driver)
    spec = qemu.spec(tpm=True)
    driver.start(spec)
    known = emulators(spec.folder)
    qemu.crash(driver, spec.run)
    heard.wait(spec.run, EventKind.ENDED)
    assert not any(is_alive(process) for process in known)


def test_a_machine_ends_when_its_emulator_never_comes(qemu: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine dies after QEMU's start and before the emulator's: the kernel closes its ends of the line."""

    class EngineDied(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise EngineDied

    driver = qemu.new()
    spec = qemu.spec(tpm=True)
    with monkeypatch.context() as patch:
        patch.setattr(tpm, "begin", die)
        patch.setattr(launch, "end_all", lambda folder: None)  # nobody is left who would clear up
        with pytest.raises(EngineDied):
            driver.start(spec)
    assert all(wait_end(process, DEADLINE_SECONDS) for process in identity.find(spec.folder))
    assert driver.running() == ()
    assert driver.start(spec).state is MachineState.RUNNING


@pytest.mark.parametrize("how", ["start", "stop", "kill", "look"])
def test_an_orphan_is_cleared(qemu: Workshop, how: str) -> None:
    """QEMU failed before it spoke to its emulator, and the engine was dead by then."""
    spec = qemu.spec(tpm=True)
    ours, its = tpm.prepare(spec)
    with its:
        tpm.begin(spec, its, root=os.geteuid() == 0)
    ours.close()
    old = emulators(spec.folder)
    assert old
    assert not wait_end(old[-1], 0.5), "the control: it would wait for ever"
    driver = qemu.new()
    if how == "start":
        driver.start(spec)
        assert len(emulators(spec.folder)) == 2
    elif how == "look":
        assert driver.running() == ()
    else:
        driver.stop(spec.run, StopHow(how))
    assert not any(is_alive(process) for process in old)


def test_a_damaged_state_is_said_and_nothing_is_left(qemu: Workshop) -> None:
    driver = qemu.new()
    spec = qemu.spec(tpm=True)
    state = spec.folder / TPM_STATE
    state.write_bytes(b"this is no state of a TPM" * 100)
    with pytest.raises(HypervisorError, match="TPM") as refused:
        driver.start(spec)
    assert refused.value.hint
    assert state.read_bytes() == b"this is no state of a TPM" * 100
    assert driver.running() == ()
    assert emulators(spec.folder) == ()
    state.unlink()
    state.symlink_to("/etc/hostname")
    with pytest.raises(HypervisorError):
        driver.start(spec)
    assert Path("/etc/hostname").stat().st_uid == 0
    state.unlink()
    assert driver.start(spec).state is MachineState.RUNNING


def test_when_the_emulator_dies_the_machine_goes_on(qemu: Workshop) -> None:
    driver = qemu.new()
    spec = qemu.spec(tpm=True)
    driver.start(spec)
    for process in emulators(spec.folder):
        os.kill(process.pid, signal.SIGKILL)
    until(lambda: not emulators(spec.folder), "it lives")
    assert driver.running()[0].state is MachineState.RUNNING
    driver.stop(spec.run, StopHow.STOP)


def test_the_record_says_what_was_started(qemu: Workshop) -> None:
    spec = qemu.spec(tpm=True, overlay_cap_bytes=1 << 30)
    qemu.new().start(spec)
    found = json.loads((spec.folder / layout.RECORD).read_text())
    assert found["overlays"] == [["drive0-0-file", "overlay-0.qcow2"]]
    assert "emulator,id=tpm0,chardev=tpm" in found["argv"]
    connect_unix(spec.folder / layout.SERIAL_SOCKET, timeout=10).close()
