# SPDX-License-Identifier: MIT
"""What every hypervisor promises (contracts.hypervisor), over each of them."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from PIL import Image

from labvirt.contracts.hypervisor import Capability, EventKind, MachineState
from labvirt.domain.guest import RunId, StopHow
from labvirt.errors import DriverTimeout, HypervisorError
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
    for verb in (driver.reset, driver.resume, driver.screenshot):
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
