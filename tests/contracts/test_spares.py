# SPDX-License-Identifier: MIT
"""What hypervisors promise of clones that wait (contracts.templates: preload, wake, drop), over each; libvirt says that it has none."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace

import pytest

from labvirt.contracts.hypervisor import Capability, Hypervisor, LaunchSpec, MachineState, NetworkPort
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.domain.guest import StopHow
from labvirt.domain.profile import Nic
from labvirt.domain.template import TemplateName
from labvirt.errors import Conflict, HypervisorError, NotFound, TemplateUnfit, Unsupported
from labvirt.hypervisors.qemu import identity
from tests.contracts.test_templates import NAME, Bench, make
from tests.contracts.workshop import Workshop, states

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def bench(workshop: Workshop) -> Bench:
    """Those that can."""
    driver = workshop.new()
    if Capability.SPARE_CLONE not in driver.capabilities().capabilities:
        pytest.skip("no clone waits there, and it says so")
    return Bench(workshop, driver, make(workshop, driver))


def _lives(bench: Bench, spec: LaunchSpec) -> bool:
    """Is there a process of it? The fake has none."""
    return bool(identity.find(spec.folder)) if bench.workshop.real else spec.run in bench.driver.templates().waiting()


def test_who_has_none_says_so(workshop: Workshop) -> None:
    driver = workshop.new()
    able = driver.capabilities().capabilities
    if Capability.INSTANT_CLONE not in able or Capability.SPARE_CLONE in able:
        pytest.skip("it has them, or no clones at all")
    kept = make(workshop, driver)
    spec = Bench(workshop, driver, kept).spec()
    with pytest.raises(Unsupported, match="libvirt"):
        driver.templates().preload(spec, NAME, loaded=True)
    assert driver.templates().waiting() == ()
    assert driver.templates().clone(spec, NAME).state is MachineState.RUNNING


@pytest.mark.parametrize("loaded", [True, False])
def test_what_waits_is_no_run_until_it_wakes(bench: Bench, loaded: bool) -> None:
    spec, other = bench.spec(), bench.spec("lab-a-02")
    door = bench.driver.templates()
    door.preload(spec, NAME, loaded=loaded)
    door.preload(other, NAME, loaded=loaded)
    assert bench.driver.running() == ()
    assert door.waiting() == (spec.run, other.run)
    with pytest.raises(Conflict, match="lives already"):
        door.preload(spec, NAME, loaded=loaded)
    status = door.wake(spec)
    assert (status.run, status.state) == (spec.run, MachineState.RUNNING)
    assert door.waiting() == (other.run,)
    assert states(bench.driver) == {"lab-a-01": MachineState.RUNNING}
    bench.driver.stop(spec.run, StopHow.STOP)
    assert bench.driver.running() == ()
    assert door.wake(other).state is MachineState.RUNNING


def test_only_what_is_exactly_meant_wakes(bench: Bench) -> None:
    spec = bench.spec()
    door = bench.driver.templates()
    door.preload(spec, NAME, loaded=True)
    with pytest.raises(NotFound, match="waiting clone"):
        door.wake(replace(spec, cpus=2))
    assert not _lives(bench, spec)
    assert door.waiting() == ()
    door.preload(spec, NAME, loaded=True)
    assert _lives(bench, spec)
    assert door.wake(spec).state is MachineState.RUNNING


def test_what_is_dropped_leaves_no_process_and_its_run_can_be_made_again(bench: Bench) -> None:
    spec = bench.spec()
    door = bench.driver.templates()
    for end in (lambda: door.drop(spec.run), lambda: bench.driver.stop(spec.run, StopHow.KILL)):
        door.preload(spec, NAME, loaded=False)
        assert _lives(bench, spec)
        end()
        end()
        assert not _lives(bench, spec)
        with pytest.raises(NotFound):
            door.wake(spec)
    assert door.clone(spec, NAME).state is MachineState.RUNNING


def test_an_unfit_template_leaves_nothing_that_waits(bench: Bench) -> None:
    spec = bench.spec()
    door = bench.driver.templates()
    with pytest.raises(TemplateUnfit, match="not on this host"):
        door.preload(spec, TemplateName("desktop", 9), loaded=True)
    assert door.waiting() == ()
    assert not _lives(bench, spec)


@pytest.mark.real
def test_one_whose_process_died_is_told_and_wakes_nobody(bench: Bench) -> None:
    if not bench.workshop.real:
        pytest.skip("the fake has no process")
    dead, fine = bench.spec(), bench.spec("lab-a-02")
    door = bench.driver.templates()
    for spec in (dead, fine):
        door.preload(spec, NAME, loaded=True)
    for process in identity.find(dead.folder):
        os.kill(process.pid, signal.SIGKILL)
    while door.waiting() != (fine.run,):  # the kernel closes its monitor a moment after the process is seen no more
        pass
    with pytest.raises(HypervisorError, match="ended"):
        door.wake(dead)
    assert door.wake(fine).state is MachineState.RUNNING


@pytest.mark.real
def test_its_card_is_wanted_only_when_it_wakes(bench: Bench) -> None:
    if not bench.workshop.real:
        pytest.skip("the fake has no cards")
    port = NetworkPort(tap=InterfaceName("tap9"), mac=MacAddress(0x525400000009), model=Nic.VIRTIO)
    spec = bench.spec(port=port)
    door = bench.driver.templates()
    door.preload(spec, NAME, loaded=True)
    assert door.waiting() == (spec.run,)
    with pytest.raises(HypervisorError, match="tap9 does not exist"):
        door.wake(spec)
    assert not _lives(bench, spec)
    assert bench.driver.running() == ()


def _makes_and_is_killed(driver: Hypervisor, spec: LaunchSpec, loaded: bool) -> None:
    driver.templates().preload(spec, NAME, loaded=loaded)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.real
@pytest.mark.parametrize("loaded", [True, False])
def test_a_controller_that_dies_takes_what_waited_along(bench: Bench, loaded: bool) -> None:
    """At the next look of another one; a run that woke in time stays."""
    if not bench.workshop.real:
        pytest.skip("the fake has no process")
    spec, awake = bench.spec(), bench.spec("lab-a-02")
    bench.driver.templates().preload(awake, NAME, loaded=loaded)
    bench.driver.templates().wake(awake)
    bench.driver.close()
    child = FORK.Process(target=_makes_and_is_killed, args=(bench.workshop.new(), spec, loaded))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert _lives(bench, spec)
    assert states(bench.workshop.new()) == {"lab-a-02": MachineState.RUNNING}
    assert not _lives(bench, spec)
