# SPDX-License-Identifier: MIT
"""What every hypervisor promises (contracts.hypervisor), over each of them."""

from __future__ import annotations

import io
import os
import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from labvirt.contracts.hypervisor import (
    AGENT_SOCKET,
    OVERLAY_CAP_REASON,
    SERIAL_SOCKET,
    TPM_STATE,
    UEFI_VARIABLES,
    Capability,
    DiskLayer,
    Drive,
    EventKind,
    LaunchSpec,
    MachineState,
)
from labvirt.domain.console import ConsoleKind
from labvirt.domain.guest import RunId, StopHow
from labvirt.domain.profile import Bus, Firmware
from labvirt.errors import Conflict, DriverTimeout, HypervisorError, Unsupported
from labvirt.hypervisors.qemu.layout import UEFI_VARIABLES_TEMPLATE
from labvirt.system.sockets import connect_unix
from tests.contracts.patience import until
from tests.contracts.workshop import Workshop, states


def test_a_started_run_runs_and_is_found(workshop: Workshop) -> None:
    driver = workshop.new()
    spec = workshop.spec()
    assert driver.running() == ()
    started = driver.start(spec)
    assert (started.run, started.uuid, started.state) == (spec.run, spec.uuid, MachineState.RUNNING)
    assert started.memory_mib == spec.memory_mib
    assert started.viewers == 0
    (found,) = driver.running()
    assert (found.pid, found.started_at) == (started.pid, started.started_at)


def test_starting_twice_gives_the_same_machine(workshop: Workshop) -> None:
    driver = workshop.new()
    spec = workshop.spec()
    assert driver.start(spec).pid == driver.start(spec).pid
    assert len(driver.running()) == 1


def test_the_command_line_is_said_without_doing_anything(workshop: Workshop) -> None:
    driver = workshop.new()
    spec = workshop.spec()
    before = sorted(path.name for path in spec.folder.iterdir())
    assert driver.command_line(spec) == driver.command_line(spec)
    assert any(str(spec.uuid) in word for word in driver.command_line(spec))
    assert sorted(path.name for path in spec.folder.iterdir()) == before
    assert driver.running() == ()


def test_a_missing_disk_is_named_and_nothing_runs(workshop: Workshop) -> None:
    driver = workshop.new()
    spec = workshop.spec()
    drive = spec.drives[0]
    gone = replace(drive.chain[1], path=workshop.folder / "vanished.qcow2")
    broken = replace(spec, drives=(replace(drive, chain=(drive.chain[0], gone)),))
    with pytest.raises(HypervisorError, match=r"vanished\.qcow2"):
        driver.start(broken)
    assert driver.running() == ()
    assert driver.start(spec).state is MachineState.RUNNING


def test_a_new_life_of_the_controller_adopts_what_runs(workshop: Workshop) -> None:
    first = workshop.new()
    spec = workshop.spec()
    pid = first.start(spec).pid
    first.close()
    second = workshop.new()
    heard = workshop.heard(second)
    (found,) = second.running()
    assert (found.run, found.uuid, found.pid, found.state) == (spec.run, spec.uuid, pid, MachineState.RUNNING)
    second.stop(spec.run, StopHow.STOP)
    heard.wait(spec.run, EventKind.ENDED)


@pytest.mark.parametrize("how", [StopHow.STOP, StopHow.KILL])
def test_a_stopped_run_is_gone_and_its_end_is_told_once(workshop: Workshop, how: StopHow) -> None:
    driver = workshop.new()
    heard = workshop.heard(driver)
    spec, other = workshop.spec(), workshop.spec("lab-a-02")
    driver.start(spec)
    driver.start(other)
    driver.stop(spec.run, how)
    assert states(driver) == {"lab-a-02": MachineState.RUNNING}
    heard.wait(spec.run, EventKind.ENDED)
    driver.stop(spec.run, how)
    driver.stop(other.run, how)
    heard.wait(other.run, EventKind.ENDED)
    assert len(heard.of(spec.run, EventKind.ENDED)) == 1


def test_a_run_that_was_never_started_may_be_stopped(workshop: Workshop) -> None:
    driver = workshop.new()
    for how in StopHow:
        driver.stop(RunId("nobody", 1), how)


def test_a_stopped_run_can_be_started_again(workshop: Workshop) -> None:
    driver = workshop.new()
    spec = workshop.spec()
    first = driver.start(spec)
    driver.stop(spec.run, StopHow.STOP)
    second = driver.start(spec)
    assert second.state is MachineState.RUNNING
    assert second.pid != first.pid


def test_a_process_that_is_killed_by_somebody_is_told_as_ended(workshop: Workshop) -> None:
    driver = workshop.new()
    heard = workshop.heard(driver)
    spec, other = workshop.spec(), workshop.spec("lab-a-02")
    driver.start(spec)
    driver.start(other)
    workshop.crash(driver, spec.run)
    assert heard.wait(spec.run, EventKind.ENDED).detail
    assert states(driver) == {"lab-a-02": MachineState.RUNNING}
    assert len(heard.of(spec.run, EventKind.ENDED)) == 1
    assert not heard.of(other.run, EventKind.ENDED)


def test_a_run_that_does_not_answer_is_silent_and_the_others_are_not(workshop: Workshop) -> None:
    driver = workshop.new()
    specs = [workshop.spec(f"lab-a-0{number}") for number in (1, 2, 3)]
    for spec in specs:
        driver.start(spec)
    pid = next(status.pid for status in driver.running() if status.run == specs[1].run)
    workshop.silence(driver, specs[1].run)
    found = {status.run.guest: status for status in driver.running()}
    assert found["lab-a-02"].state is MachineState.SILENT
    assert found["lab-a-02"].reason
    assert found["lab-a-02"].pid == pid
    assert found["lab-a-01"].state is found["lab-a-03"].state is MachineState.RUNNING
    assert driver.screenshot(specs[0].run)
    adopting = workshop.new()
    assert states(adopting)["lab-a-02"] is MachineState.SILENT
    adopting.close()
    workshop.speak(driver, specs[1].run)
    until(lambda: states(driver)["lab-a-02"] is MachineState.RUNNING, "it never spoke again")


def test_a_silent_run_can_be_killed(workshop: Workshop) -> None:
    driver = workshop.new()
    heard = workshop.heard(driver)
    spec = workshop.spec()
    driver.start(spec)
    workshop.silence(driver, spec.run)
    with pytest.raises(DriverTimeout):
        driver.stop(spec.run, StopHow.SHUTDOWN)
    driver.stop(spec.run, StopHow.KILL)
    heard.wait(spec.run, EventKind.ENDED)
    assert driver.running() == ()


def test_the_reset_button_is_told_and_keeps_the_process(workshop: Workshop) -> None:
    driver = workshop.new()
    heard = workshop.heard(driver)
    spec = workshop.spec()
    pid = driver.start(spec).pid
    driver.reset(spec.run)
    heard.wait(spec.run, EventKind.RESET)
    assert driver.running()[0].pid == pid


def test_the_screen_is_a_picture(workshop: Workshop) -> None:
    driver = workshop.new()
    assert Capability.SCREENSHOT in driver.capabilities().capabilities
    spec = workshop.spec()
    driver.start(spec)
    before = sorted(path.name for path in spec.folder.iterdir())
    with Image.open(io.BytesIO(driver.screenshot(spec.run))) as picture:
        assert picture.format == "PNG"
        assert picture.width > 100
        assert picture.height > 100
    assert sorted(path.name for path in spec.folder.iterdir()) == before


def test_verbs_for_a_run_that_does_not_run_are_refused(workshop: Workshop) -> None:
    driver = workshop.new()
    spec = workshop.spec()
    for verb in (driver.reset, driver.pause, driver.resume, driver.screenshot):
        with pytest.raises(HypervisorError, match="does not run"):
            verb(spec.run)
    driver.start(spec)
    driver.reset(spec.run)
    assert driver.screenshot(spec.run)


def test_folders_that_are_no_runs_are_passed_over(workshop: Workshop) -> None:
    driver = workshop.new()
    (workshop.runs / "lost+found").mkdir()
    (workshop.runs / "lab-a-09.g1").mkdir()
    (workshop.runs / "lab-a-10.g1").touch()
    assert driver.running() == ()
    driver.start(workshop.spec())
    assert set(states(driver)) == {"lab-a-01"}


def test_a_paused_run_stands_still_until_it_is_resumed(workshop: Workshop) -> None:
    driver = workshop.new()
    heard = workshop.heard(driver)
    spec, other = workshop.spec(), workshop.spec("lab-a-02")
    pid = driver.start(spec).pid
    driver.start(other)
    driver.pause(spec.run)
    assert heard.wait(spec.run, EventKind.PAUSED).detail == "it was stopped"
    driver.pause(spec.run)
    assert states(driver) == {"lab-a-01": MachineState.PAUSED, "lab-a-02": MachineState.RUNNING}
    assert driver.running()[0].reason == "it was stopped"
    driver.close()
    adopting = workshop.new()
    heard = workshop.heard(adopting)
    assert states(adopting)["lab-a-01"] is MachineState.PAUSED
    adopting.resume(spec.run)
    heard.wait(spec.run, EventKind.RESUMED)
    (found, _) = adopting.running()
    assert (found.state, found.reason, found.pid) == (MachineState.RUNNING, "", pid)


def test_a_silent_run_cannot_be_paused(workshop: Workshop) -> None:
    driver = workshop.new()
    spec = workshop.spec()
    driver.start(spec)
    workshop.silence(driver, spec.run)
    with pytest.raises(DriverTimeout):
        driver.pause(spec.run)
    workshop.speak(driver, spec.run)
    until(lambda: states(driver)["lab-a-01"] is not MachineState.SILENT, "it never spoke again")
    driver.pause(spec.run)
    assert states(driver)["lab-a-01"] is MachineState.PAUSED


def test_a_run_that_writes_more_than_it_may_is_paused_and_cannot_go_on(workshop: Workshop) -> None:
    driver = workshop.new()
    assert Capability.OVERLAY_CAP in driver.capabilities().capabilities
    heard = workshop.heard(driver)
    spec, other = workshop.writer(overlay_cap_bytes=4 << 20), workshop.writer("lab-a-02")
    driver.start(spec)
    driver.start(other)
    for run in (spec.run, other.run):
        workshop.write(driver, run, 8 << 20)
    assert heard.wait(spec.run, EventKind.PAUSED).detail == OVERLAY_CAP_REASON
    (found, free) = driver.running()
    assert (found.state, found.reason) == (MachineState.PAUSED, OVERLAY_CAP_REASON)
    assert free.state is MachineState.RUNNING
    until(lambda: (other.folder / "overlay-0.qcow2").stat().st_size > 6 << 20, "the other one, which may, does not write")
    driver.close()
    adopting = workshop.new()
    (found, free) = adopting.running()
    assert (found.state, found.reason) == (MachineState.PAUSED, OVERLAY_CAP_REASON)
    assert free.state is MachineState.RUNNING
    with pytest.raises(HypervisorError, match=OVERLAY_CAP_REASON) as refused:
        adopting.resume(spec.run)
    assert refused.value.hint
    assert states(adopting)["lab-a-01"] is MachineState.PAUSED
    assert (spec.folder / "overlay-0.qcow2").stat().st_size < 64 << 20


def test_a_cap_is_kept_by_the_next_life_of_the_controller(workshop: Workshop) -> None:
    first = workshop.new()
    spec, grown = workshop.writer(overlay_cap_bytes=24 << 20), workshop.writer("lab-a-02", overlay_cap_bytes=1 << 20)
    first.start(grown)
    if not workshop.real:
        workshop.write(first, grown.run, 4 << 20)
    first.close()  # nobody listens while this one grows
    until(lambda: (grown.folder / "overlay-0.qcow2").stat().st_size > 2 << 20, "it does not write")
    between = workshop.new()
    assert between.running()[0].reason == OVERLAY_CAP_REASON
    between.start(spec)
    between.close()
    second = workshop.new()
    heard = workshop.heard(second)
    assert {status.run for status in second.running()} == {spec.run, grown.run}
    workshop.write(second, spec.run, 32 << 20)
    until(lambda: states(second)["lab-a-01"] is MachineState.PAUSED, "it was never paused")
    assert [status.reason for status in second.running()] == [OVERLAY_CAP_REASON] * 2
    heard.wait(spec.run, EventKind.PAUSED)  # it is told a moment after it can be seen
    assert [event.detail for event in heard.of(spec.run, EventKind.PAUSED)] == [OVERLAY_CAP_REASON]


def test_a_disc_lies_in_its_drive_or_the_start_says_why_not(workshop: Workshop) -> None:
    driver = workshop.new()
    spec = workshop.spec()
    disc = workshop.folder / "disc, one.iso"
    disc.write_bytes(bytes(1 << 20))
    disc.chmod(0o644)

    def with_disc(path: Path) -> LaunchSpec:
        drive = Drive(bus=Bus.SATA, index=0, cdrom=True, chain=(DiskLayer(path=path, format="raw"),))
        return replace(spec, drives=(*spec.drives, drive), boot_cdrom=True)

    with pytest.raises(HypervisorError, match=r"nothing\.iso is missing") as refused:
        driver.start(with_disc(workshop.folder / "nothing.iso"))
    assert refused.value.hint
    with pytest.raises(HypervisorError, match="not an ordinary file"):
        driver.start(with_disc(workshop.folder))
    if spec.uid is not None:
        disc.chmod(0o600)
        with pytest.raises(HypervisorError, match="may not read"):
            driver.start(with_disc(disc))
        disc.chmod(0o644)
    assert driver.running() == ()
    assert driver.start(with_disc(disc)).state is MachineState.RUNNING
    assert disc.read_bytes() == bytes(1 << 20)


def test_lines_into_the_guest_lie_in_the_runs_folder(workshop: Workshop) -> None:
    driver = workshop.new()
    spec = workshop.spec()
    driver.start(spec)
    names = {Capability.AGENT: AGENT_SOCKET, Capability.SERIAL: SERIAL_SOCKET}
    for capability, name in names.items():
        if capability in driver.capabilities().capabilities:
            connect_unix(spec.folder / name, timeout=10).close()
        else:
            assert not (spec.folder / name).exists()


def test_a_console_outlives_the_driver_and_ends_with_the_run(workshop: Workshop) -> None:
    driver = workshop.new()
    spec = workshop.spec()
    driver.start(spec)
    screens = [socket.socket(fileno=driver.open_console(spec.run, ConsoleKind.SCREEN)) for _ in range(2)]
    line = socket.socket(fileno=driver.open_console(spec.run, ConsoleKind.SERIAL))
    for each in (*screens, line):
        each.settimeout(60)
    for screen in screens:
        assert screen.recv(12, socket.MSG_WAITALL) == b"RFB 003.008\n"
    driver.close()
    screens[0].sendall(b"RFB 003.008\n")
    kinds = screens[0].recv(screens[0].recv(1)[0], socket.MSG_WAITALL)
    assert b"\x01" in kinds  # no password: who holds the descriptor is let in
    line.sendall(b"x")
    workshop.new().stop(spec.run, StopHow.KILL)
    for each in (*screens, line):
        with each, suppress(ConnectionResetError):  # a killed QEMU that had not read all yet
            while each.recv(4096):
                pass


def test_a_console_of_what_does_not_run_is_refused(workshop: Workshop) -> None:
    driver = workshop.new()
    for kind in ConsoleKind:
        with pytest.raises(HypervisorError):
            driver.open_console(RunId("lab-a-09", 1), kind)


def test_a_serial_line_has_one_listener_and_says_so(workshop: Workshop) -> None:
    driver = workshop.new()
    if Capability.SERIAL not in driver.capabilities().capabilities:
        pytest.skip("its serial lines are pretended, and everybody has one")
    spec = workshop.spec()
    driver.start(spec)
    first = socket.socket(fileno=driver.open_console(spec.run, ConsoleKind.SERIAL))

    def is_taken() -> bool:
        try:
            os.close(driver.open_console(spec.run, ConsoleKind.SERIAL))
        except Conflict:
            return True
        return False

    until(is_taken, "QEMU has accepted the first")
    first.close()
    until(lambda: not is_taken(), "the line is free again")


def test_uefi_variables_are_those_that_came_with_the_disk_or_fresh_ones(workshop: Workshop) -> None:
    driver = workshop.new()
    fresh, given = workshop.spec(firmware=Firmware.UEFI), workshop.spec("lab-a-02", firmware=Firmware.UEFI)
    marked = UEFI_VARIABLES_TEMPLATE.read_bytes()[:-8] + b"ours, 12"  # the last bytes are the firmware's spare block
    variables = given.folder / UEFI_VARIABLES
    variables.write_bytes(marked)
    if given.uid is not None:
        os.chown(variables, given.uid, given.uid)
    for spec in (fresh, given):
        driver.start(spec)
        driver.stop(spec.run, StopHow.KILL)
    assert (fresh.folder / UEFI_VARIABLES).exists()
    assert variables.read_bytes()[-8:] == b"ours, 12"


def test_a_tpm_is_made_or_refused(workshop: Workshop) -> None:
    driver = workshop.new()
    spec, without = workshop.spec(tpm=True, firmware=Firmware.UEFI), workshop.spec("lab-a-02")
    if Capability.TPM in driver.capabilities().capabilities:
        assert driver.start(spec).state is MachineState.RUNNING
        assert (spec.folder / TPM_STATE).stat().st_size > 0
    else:
        with pytest.raises(Unsupported, match="TPM"):
            driver.start(spec)
        assert driver.running() == ()
    driver.start(without)
    assert not (without.folder / TPM_STATE).exists()


def test_further_arguments_reach_the_machine(workshop: Workshop) -> None:
    driver = workshop.new()
    extra = (
        "cpu=qemu64,+ssse3",
        "rtc=driftfix=slew",
        "global=VGA.vgamem_mb=32",
        "device=qemu-xhci,id=more",
        "device=usb-hub,bus=more.0,ports=4",
    )
    spec = workshop.spec(extra=extra, hyperv=True)
    text = "\n".join(driver.command_line(spec))
    for word in ("qemu64,+ssse3", "driftfix=slew", "VGA.vgamem_mb=32", "usb-hub", "qemu-xhci"):
        assert word in text, word
    assert driver.start(spec).state is MachineState.RUNNING
