# SPDX-License-Identifier: MIT
"""The same flow with guests run by libvirt: a private libvirtd in the house's network namespace; question, running, stop."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts import private_libvirt
from tests.system import netns
from tests.system.conftest import numbers
from tests.system.house import House, guest, guest_address, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]

PREFIX = "lvs-libvirt-"


class Libvirtd:
    """In the house's network namespace, with /run, /var and /etc/libvirt of its own; ends with the namespace's other processes."""

    def __init__(self, house: House, place: Path) -> None:
        self.place = place
        for name, text in (("libvirtd.conf", private_libvirt._LIBVIRTD), ("qemu.conf", private_libvirt._QEMU)):
            (place / "etc").mkdir(exist_ok=True)
            (place / "etc" / name).write_text(text)
        (place / "run").mkdir()
        lines = private_libvirt._BEGIN.splitlines()
        script = "\n".join(line for line in lines if not line.startswith("ip link"))  # the network is the house's
        unshare = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=KILL")
        argv = ("ip", "netns", "exec", house.namespace, *unshare, "bash", "-c", script, "libvirt", str(place))
        with (place / "log").open("wb") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.uri = f"qemu+unix:///system?socket={place}/run/libvirt-sock"
        wait_for(lambda: self.virsh("version").returncode == 0, "libvirtd answers", 60)

    def virsh(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(("virsh", "-q", "-c", self.uri, *words), capture_output=True, text=True, timeout=60, check=False)

    def domains(self) -> list[str]:
        return self.virsh("list", "--name").stdout.split()


@pytest.fixture
def place() -> Iterator[Path]:
    """Guests' users walk to their own folder: libvirt binds nothing, so every folder above must let them pass."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid, ticks = left.name.removeprefix(PREFIX).split("-")[0].split("x")
        if netns.start_ticks(int(pid)) != int(ticks):
            shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=PREFIX + netns.own_prefix().removeprefix(netns.PREFIX) + "-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_a_question_is_answered_by_a_guest_of_libvirt(place: Path, tiny: Path) -> None:
    with House(place, next(numbers)) as house:
        (place / "libvirt").mkdir()
        libvirtd = Libvirtd(house, place / "libvirt")
        try:
            house.set_up(tiny, 1)
            (house.state / "labvirt.toml").write_text(f'hypervisor = "libvirt"\nlibvirt_uri = "{libvirtd.uri}"\naccelerator = "tcg"\n')
            house.serve()
            (terminal,) = house.switch_on(1)
            (answer,) = house.all_ready()
            assert (answer["guest"], answer["protocol"]) == (guest(1), "spice")
            facts = house.facts(1)
            assert (facts["name"], facts["address"], facts["serial"]) == (guest(1), guest_address(1), guest(1))
            assert libvirtd.domains() == [house.guest(1)["run"]]
            assert house.call("host", "show", "--engine")["engine"]["driver"] == "libvirt"
            said = terminal.ticket()
            assert said.status == 200, said
            assert terminal.reaches("10.78.0.1", answer["port"])
            house.verify_clean()
            house.kill(house.part("engine"))
            wait_for(lambda: house.part("engine"), "the engine is there again")
            house.wait_engine()
            assert house.facts(1)["boot_id"] == facts["boot_id"]
            house.verify_clean()
            house.call("guest", "stop", guest(1))
            wait_for(lambda: house.state_of(1) == "stopped", "its power button has stopped it", 90)
            assert libvirtd.domains() == []
            house.verify_clean()
        finally:
            libvirtd.process.kill()
            libvirtd.process.wait(timeout=20)
