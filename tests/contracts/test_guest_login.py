# SPDX-License-Identifier: MIT
"""Logins through the guest's agent (Capability.GUEST_LOGIN): without an agent, and with the tiny guest's real one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from labvirt.contracts.hypervisor import Capability, Hypervisor, MachineState
from labvirt.domain.guest import RunId
from labvirt.errors import AgentSilent, Conflict, HypervisorError
from labvirt.hypervisors.fake import FakeHypervisor
from labvirt.hypervisors.qemu.agent import AgentChannel
from tests.contracts.workshop import Workshop, states

BOOT_SECONDS = 180
RECIPE = Path(__file__).parents[2] / "images" / "tiny" / "build.py"
SECRET = "S3cretOfTheTest"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny guest's image; built, or found in its cache."""
    image = tmp_path_factory.mktemp("tiny") / "tiny.qcow2"
    subprocess.run((sys.executable, str(RECIPE), "--out", str(image)), check=True, timeout=240, capture_output=True)
    return image


T = TypeVar("T")


def patiently(deed: Callable[[], T]) -> T:
    """What it comes to as soon as the agent answers: it starts late, and a busy machine keeps it from answering in time."""
    deadline = time.monotonic() + BOOT_SECONDS
    while True:
        try:
            return deed()
        except AgentSilent:
            assert time.monotonic() < deadline, "the tiny guest's agent does not answer"
            threading.Event().wait(0.1)


def file_of(driver: Hypervisor, run: RunId, path: str, most: int = 1000) -> bytes | None:
    return patiently(lambda: driver.read_guest_file(run, path, most))


@pytest.mark.timeout(240)
def test_without_an_agent_it_is_said_and_nothing_else_happens(workshop: Workshop) -> None:
    driver = workshop.new()
    assert Capability.GUEST_LOGIN in driver.capabilities().capabilities
    spec = workshop.spec()
    for deed in (lambda: driver.set_login(spec.run, "student", SECRET), lambda: driver.read_guest_file(spec.run, "/etc/hostname", 100)):
        with pytest.raises(HypervisorError, match="does not run"):
            deed()
    driver.start(spec)
    if isinstance(driver, FakeHypervisor):
        driver.happenings.set_agent(spec.run, "silent")
    for deed in (lambda: driver.set_login(spec.run, "student", SECRET), lambda: driver.read_guest_file(spec.run, "/etc/hostname", 100)):
        with pytest.raises(AgentSilent, match=r"lab-a-01 is up, but its agent does not answer yet") as caught:
            deed()
        assert SECRET not in str(caught.value)
    assert states(driver) == {"lab-a-01": MachineState.RUNNING}


@pytest.mark.timeout(400)
def test_an_agent_gives_files_and_refuses_unknown_users(workshop: Workshop, tiny: Path) -> None:
    driver = workshop.new()
    if workshop.real:
        shutil.copyfile(tiny, workshop.base)
        workshop.base.chmod(0o444)
    spec = workshop.spec(memory_mib=128)
    driver.start(spec)
    if isinstance(driver, FakeHypervisor):
        driver.happenings.put_file(spec.run, "/etc/inittab", b"as in the tiny guest\n")
        driver.happenings.set_agent(spec.run, "")
    text = file_of(driver, spec.run, "/etc/inittab", 64 << 10)
    assert text
    assert file_of(driver, spec.run, "/etc/inittab", len(text)) == text
    assert file_of(driver, spec.run, "/etc/inittab", len(text) - 1) is None
    assert file_of(driver, spec.run, "/etc/xrdp/cert.pem", 1000) is None
    if isinstance(driver, FakeHypervisor):
        driver.happenings.set_agent(spec.run, "there is no such user")
    with pytest.raises(Conflict, match="does not set the password of 'nobody-here'") as caught:
        patiently(lambda: driver.set_login(spec.run, "nobody-here", SECRET))
    assert not isinstance(caught.value, AgentSilent)
    assert SECRET not in str(caught.value)
    assert states(driver) == {"lab-a-01": MachineState.RUNNING}


@pytest.mark.real
@pytest.mark.timeout(400)
def test_a_real_agent_sets_a_real_password(qemu: Workshop, tiny: Path) -> None:
    """The tiny guest has no users: one is made in it, and the agent is given what it calls (chpasswd)."""
    driver = qemu.new()
    shutil.copyfile(tiny, qemu.base)
    qemu.base.chmod(0o444)
    spec = qemu.spec(memory_mib=128, on_trial=True)  # else the driver holds the channel
    driver.start(spec)
    file_of(driver, spec.run, "/etc/inittab")
    written = r'#!/bin/sh\nread -r line\necho "$line" >/run/told\n'
    prepare = f"printf '{written}' >/sbin/chpasswd; chmod 755 /sbin/chpasswd; echo done >/run/prepared"
    with AgentChannel(spec.folder, "lab-a-01", held=False).conversation(60) as ask:
        ask("guest-exec", {"path": "/bin/sh", "arg": ["-c", prepare]})
    deadline = time.monotonic() + 60
    while file_of(driver, spec.run, "/run/prepared") != b"done\n":
        assert time.monotonic() < deadline
    patiently(lambda: driver.set_login(spec.run, "student", SECRET))
    assert file_of(driver, spec.run, "/run/told", 100) == f"student:{SECRET}\n".encode()
