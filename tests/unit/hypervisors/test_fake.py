# SPDX-License-Identifier: MIT
"""What the fake can be told to do wrong, and what it tells of it.

Its promises as a hypervisor are in tests/contracts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import EventKind, LaunchSpec, MachineState, SpiceDisplay
from labvirt.errors import HypervisorError
from labvirt.hypervisors.fake import FakeHypervisor
from tests.contracts.workshop import FakeWorkshop


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[FakeWorkshop]:
    with closing(FakeWorkshop(tmp_path)) as made:
        yield made


def _new(workshop: FakeWorkshop) -> FakeHypervisor:
    driver = workshop.new()
    assert isinstance(driver, FakeHypervisor)
    return driver


def _with_display(workshop: FakeWorkshop) -> LaunchSpec:
    spec = workshop.spec()
    display = SpiceDisplay(address=IPv4Address("10.77.0.1"), tls_port=20001, tls=spec.folder / "tls")
    return replace(spec, spice=display)


def test_a_start_that_is_told_to_fail_fails_until_it_is_mended(workshop: FakeWorkshop) -> None:
    driver = _new(workshop)
    spec = workshop.spec()
    driver.happenings.refuse_start("lab-a-01", "its disk is on fire")
    with pytest.raises(HypervisorError, match="its disk is on fire"):
        driver.start(spec)
    assert driver.running() == ()
    driver.happenings.mend("lab-a-01")
    assert driver.start(spec).state is MachineState.RUNNING


def test_a_slow_start_ends_when_the_controller_does(workshop: FakeWorkshop) -> None:
    driver = _new(workshop)
    spec = workshop.spec()
    driver.happenings.slow_start("lab-a-01", 0.01)
    driver.start(spec)
    driver.happenings.crash(spec.run)
    driver.happenings.slow_start("lab-a-01", 3600)
    driver.close()
    with pytest.raises(HypervisorError, match="stopped"):
        driver.start(spec)


def test_a_full_disk_pauses_until_there_is_room(workshop: FakeWorkshop) -> None:
    driver = _new(workshop)
    heard = workshop.heard(driver)
    spec = workshop.spec()
    driver.start(spec)
    driver.happenings.fill_disk(spec.run)
    assert heard.wait(spec.run, EventKind.PAUSED).detail == "the disk of the host is full"
    with pytest.raises(HypervisorError, match="full"):
        driver.resume(spec.run)
    driver.happenings.free_disk(spec.run)
    driver.resume(spec.run)
    heard.wait(spec.run, EventKind.RESUMED)
    assert driver.running()[0].state is MachineState.RUNNING


def test_a_viewer_needs_the_granted_secret_while_it_lasts(workshop: FakeWorkshop) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    driver = FakeHypervisor(workshop.folder / "fake.json", now=lambda: now)
    heard = workshop.heard(driver)
    spec = _with_display(workshop)
    driver.start(spec)
    connect = driver.happenings.connect_viewer
    assert not connect(spec.run, "10.77.0.65", "secret")
    driver.grant_display(spec.run, "secret", 30)
    assert not connect(spec.run, "10.77.0.65", "wrong")
    assert connect(spec.run, "10.77.0.65", "secret")
    assert heard.wait(spec.run, EventKind.VIEWER_CONNECTED).peer == "10.77.0.65"
    now += timedelta(seconds=31)
    assert not connect(spec.run, "10.77.0.66", "secret")
    driver.grant_display(spec.run, "secret", 0)
    assert not connect(spec.run, "10.77.0.66", "secret")
    assert driver.running()[0].viewers == 1
    driver.happenings.disconnect_viewer(spec.run, "10.77.0.65")
    heard.wait(spec.run, EventKind.VIEWER_LEFT)
    driver.close()


def test_what_happens_through_one_instance_is_heard_by_another(workshop: FakeWorkshop) -> None:
    one, other = _new(workshop), _new(workshop)
    spec = workshop.spec()
    one.start(spec)
    assert len(other.running()) == 1
    heard = workshop.heard(other)
    one.happenings.switch_off(spec.run)
    assert other.running() == ()
    heard.wait(spec.run, EventKind.GUEST_SHUTDOWN)
    assert heard.wait(spec.run, EventKind.ENDED).detail == "it switched itself off"


def test_no_guest_survives_a_boot_of_the_host(workshop: FakeWorkshop) -> None:
    driver = _new(workshop)
    driver.start(workshop.spec())
    memory = workshop.folder / "fake" / "hypervisor.json"
    assert len(_new(workshop).running()) == 1
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    memory.write_text(memory.read_text().replace(boot, "another-boot"))
    assert _new(workshop).running() == ()


def test_the_memory_holds_no_secret(workshop: FakeWorkshop) -> None:
    driver = _new(workshop)
    spec = _with_display(workshop)
    driver.start(spec)
    driver.grant_display(spec.run, "swordfish", 30)
    driver.set_login(spec.run, "student", "swordfish")
    assert driver.happenings.lets_in(spec.run, "student", "swordfish")
    assert not driver.happenings.lets_in(spec.run, "student", "tunafish")
    assert "swordfish" not in (workshop.folder / "fake" / "hypervisor.json").read_text()
