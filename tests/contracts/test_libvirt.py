# SPDX-License-Identifier: MIT
"""What only the libvirt driver promises, or meets: other people's domains, a libvirtd that dies, what libvirt makes of our XML."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import HOME_LOGIN, Capability, EventKind, LaunchSpec, MachineState, NetworkPort, SpiceDisplay
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.domain.guest import StopHow
from labvirt.domain.profile import Bus, Firmware, Machine, Nic, Sound, Video
from labvirt.errors import DriverError, HostNotReady, HypervisorError, ImageDamaged, LabVirtError
from labvirt.hypervisors.libvirt.driver import LibvirtHypervisor
from labvirt.network.authority import FileAuthority
from labvirt.system.files import write_atomic
from tests.contracts.patience import until
from tests.contracts.private_libvirt import GATEWAY
from tests.contracts.workshop import WORKSHOPS, WRITER, Ground, LibvirtWorkshop, states
from tests.system.spice import OK, PERMISSION_DENIED, Viewer

pytestmark = pytest.mark.real


@pytest.fixture
def shop(ground: Ground) -> Iterator[LibvirtWorkshop]:
    made = WORKSHOPS["libvirt"](ground.path)
    assert isinstance(made, LibvirtWorkshop)
    yield made
    made.close()


def status_of(pid: int | None) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_it_says_what_it_is(shop: LibvirtWorkshop) -> None:
    found = shop.new().capabilities()
    assert found.driver == "libvirt"
    assert found.version.startswith("libvirt ")
    assert "QEMU " in found.version
    assert (found.accelerator, Capability.DISPLAY_SECRET in found.capabilities) == ("tcg", True)
    assert "no security boundary" in found.notice


def test_a_login_reaches_the_firmware_and_stays_in_no_file_and_no_argument(shop: LibvirtWorkshop) -> None:
    spec = replace(shop.spec(), told=(("home", "smb://files.lab/homes/7"), ("forgets", "All, but your home; 100 %.")), home_login=True)
    write_atomic(spec.folder / HOME_LOGIN, "username=lab\npassword=geheim\n", owner=spec.uid)
    pid = shop.new().start(spec).pid
    argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    assert "name=opt/labvirt/forgets,string=All,, but your home; 100 %." in argv
    assert any(word.startswith("name=opt/labvirt/home-login,file=") for word in argv)
    assert not any("geheim" in word for word in argv)
    assert not (spec.folder / HOME_LOGIN).exists()
    with pytest.raises(HypervisorError, match="could not start lab-a-02"):  # in QEMU's words, if libvirt heard them
        shop.new().start(replace(shop.spec("lab-a-02"), home_login=True))


def test_guests_have_no_rights(shop: LibvirtWorkshop) -> None:
    spec = shop.spec()
    pid = shop.new().start(spec).pid
    found = status_of(pid)
    assert found["Uid"].split() == [str(spec.uid)] * 4
    assert found["Gid"].split() == [str(spec.uid)] * 4
    assert (int(found["CapEff"], 16), int(found["CapPrm"], 16)) == (0, 0)
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    layers = [json.loads(word) for word in argv if word.startswith("{") and '"backing"' in word]
    assert [layer["driver"] for layer in layers] == ["qcow2", "qcow2"]
    assert layers[0]["read-only"] is True
    assert layers[0]["backing"] is None
    assert layers[1]["read-only"] is False
    assert shop.base.stat().st_uid == 0
    assert shop.base.stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize(
    "change",
    [
        {"machine": Machine.PC},
        {"firmware": Firmware.UEFI},
        {"cpus": 2, "sound": Sound.HDA, "video": Video.VIRTIO},
        {"machine": Machine.PC, "sound": Sound.AC97, "video": Video.QXL},
        {"bus": Bus.SATA},
        {"bus": Bus.SCSI},
        {"bus": Bus.IDE, "machine": Machine.PC},
        {"bus": Bus.SATA, "machine": Machine.PC},
        {"cdroms": (Bus.SATA, Bus.SCSI, Bus.VIRTIO)},
        {"cdroms": (Bus.IDE,), "machine": Machine.PC, "boot_cdrom": True},
    ],
    ids=str,
)
def test_libvirt_starts_each_kind_of_machine(shop: LibvirtWorkshop, change: dict[str, object]) -> None:
    driver = shop.new()
    spec = kind_of(shop.spec(), change)
    assert driver.start(spec).state is MachineState.RUNNING
    assert "metadata" in shop.libvirt.virsh("dumpxml", str(spec.run))


def kind_of(spec: LaunchSpec, change: dict[str, object]) -> LaunchSpec:
    plain = dict(change)
    bus, cdroms = plain.pop("bus", Bus.VIRTIO), plain.pop("cdroms", ())
    disk = replace(spec.drives[0], bus=bus)
    assert isinstance(cdroms, tuple)
    empty = tuple(replace(disk, bus=each, index=1 if each is bus else 0, cdrom=True, chain=()) for each in cdroms)
    return replace(spec, drives=(disk, *empty), **plain)  # type: ignore[arg-type]


def test_other_peoples_domains_are_neither_seen_nor_touched(shop: LibvirtWorkshop, tmp_path: Path) -> None:
    driver = shop.new()
    mine, theirs = shop.spec(), shop.spec("lab-a-02")
    other = LibvirtHypervisor(shop.libvirt.uri, owner="another controller", accelerator="tcg")
    unmarked = tmp_path / "unmarked.xml"
    unmarked.write_text("<domain type='qemu'><name>lab-a-03.g1</name><memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>")
    try:
        other.start(theirs)
        shop.libvirt.virsh("create", str(unmarked))
        driver.start(mine)
        assert [found.run for found in driver.running()] == [mine.run]
        assert [found.run for found in other.running()] == [theirs.run]
        foreign = [theirs.run, replace(theirs.run, guest="lab-a-03")]
        for run in foreign:
            for verb in (driver.reset, driver.screenshot, lambda run: driver.stop(run, StopHow.KILL)):
                with pytest.raises(HypervisorError, match="not ours") as caught:
                    verb(run)
                assert caught.value.hint
        with pytest.raises(HypervisorError, match="not ours"):
            driver.start(theirs)
        assert {str(run) for run in foreign} <= set(shop.libvirt.virsh("list", "--name").split())
    finally:
        other.stop(theirs.run, StopHow.KILL)
        other.close()
        shop.libvirt.virsh("destroy", "lab-a-03.g1")


def test_an_older_run_of_the_same_machine_is_in_the_way_and_stays(shop: LibvirtWorkshop) -> None:
    driver = shop.new()
    old, new = shop.spec(), shop.spec(generation=2)
    driver.start(old)
    with pytest.raises(HypervisorError, match="uuid"):
        driver.start(new)
    assert [found.run for found in driver.running()] == [old.run]
    driver.stop(old.run, StopHow.STOP)
    driver.start(new)


def test_a_guest_that_cannot_be_started_says_why_and_leaves_nothing(shop: LibvirtWorkshop) -> None:
    driver = shop.new()
    spec = shop.spec()
    deep = replace(spec, folder=spec.folder / ("deep" * 20))
    broken = {
        "lvtnothere": replace(spec, port=NetworkPort(tap=InterfaceName("lvtnothere"), mac=MacAddress(0x024C56000001), model=Nic.VIRTIO)),
        "too long for libvirt": deep,
        "spice": replace(spec, spice=SpiceDisplay(address=IPv4Address("10.99.99.99"), tls_port=20001, tls=spec.folder)),
    }
    for words, wrong in broken.items():
        with pytest.raises(LabVirtError, match=f"(?i){words}") as caught:
            driver.start(wrong)
        assert caught.value.hint, words
        assert driver.running() == ()
    assert driver.start(spec).state is MachineState.RUNNING


def test_a_corrupt_disk_is_an_image_and_says_so(shop: LibvirtWorkshop) -> None:
    driver = shop.new()
    spec = shop.spec()
    overlay = spec.drives[0].chain[0].path
    good = overlay.read_bytes()
    overlay.write_bytes(b"garbage" + good[7:])
    with pytest.raises(ImageDamaged) as caught:
        driver.start(spec)
    assert caught.value.hint
    overlay.write_bytes(good)
    driver.start(spec)


def test_its_port_is_the_tap_that_was_there(shop: LibvirtWorkshop) -> None:
    driver = shop.new()
    tap = "lvt000001"
    shop.libvirt.inside("ip", "tuntap", "add", tap, "mode", "tap")
    try:
        shop.libvirt.inside("ip", "link", "set", tap, "master", "lvb000", "up")
        before = link(shop, tap)
        assert "LOWER_UP" not in before["flags"]
        spec = shop.spec(port=NetworkPort(tap=InterfaceName(tap), mac=MacAddress(0x024C56000001), model=Nic.VIRTIO))
        driver.start(spec)
        during = link(shop, tap)
        assert "LOWER_UP" in during["flags"]
        assert (during["ifindex"], during["master"], during["address"]) == (before["ifindex"], "lvb000", before["address"])
        driver.stop(spec.run, StopHow.STOP)
        until(lambda: "LOWER_UP" not in link(shop, tap)["flags"], "the TAP is still held")
        assert link(shop, tap)["ifindex"] == before["ifindex"]
    finally:
        shop.libvirt.inside("ip", "link", "delete", tap)


def link(shop: LibvirtWorkshop, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(shop.libvirt.inside("ip", "-json", "link", "show", name))[0]
    return found


def test_the_display_lets_in_who_has_the_secret_that_is_valid_now(shop: LibvirtWorkshop) -> None:
    driver = shop.new()
    heard = shop.heard(driver)
    spec, authority = with_display(shop, shop.spec())
    driver.start(spec)
    assert spec.spice is not None

    def says(secret: str) -> int:
        with Viewer(shop.libvirt.connect(GATEWAY, 20001), authority.ca_pem()) as viewer:
            assert viewer.subject == "CN=lab-a-01"
            return viewer.link(secret)

    assert [says(word) for word in ("", "guess")] == [PERMISSION_DENIED] * 2
    driver.grant_display(spec.run, "first", 30)
    assert says("guess") == PERMISSION_DENIED
    assert says("first") == OK
    driver.grant_display(spec.run, "second", 30)
    assert [says(word) for word in ("first", "second")] == [PERMISSION_DENIED, OK]
    driver.grant_display(spec.run, "gone", 0)
    assert [says(word) for word in ("second", "gone", "")] == [PERMISSION_DENIED] * 3

    driver.grant_display(spec.run, "third", 30)
    with Viewer(shop.libvirt.connect(GATEWAY, 20001), authority.ca_pem()) as viewer:
        assert viewer.link("third") == OK
        assert heard.wait(spec.run, EventKind.VIEWER_CONNECTED).peer == GATEWAY
        assert driver.running()[0].viewers == 1
        driver.grant_display(spec.run, "fourth", 0)
        assert driver.running()[0].viewers == 1
    heard.wait(spec.run, EventKind.VIEWER_LEFT)
    until(lambda: driver.running()[0].viewers == 0, "the viewer is still counted")
    argv = Path(f"/proc/{driver.running()[0].pid}/cmdline").read_bytes()
    for secret in (b"first", b"second", b"third"):
        assert secret not in argv
    assert b"password" not in argv


def with_display(shop: LibvirtWorkshop, spec: LaunchSpec) -> tuple[LaunchSpec, FileAuthority]:
    authority = FileAuthority(shop.folder / "secrets")
    address = IPv4Address(GATEWAY)
    authority.issue(spec.folder / "tls", name=spec.run.guest, address=address, uid=spec.uid)
    display = SpiceDisplay(address=address, tls_port=20001, tls=spec.folder / "tls")
    return replace(spec, spice=display, sound=Sound.HDA), authority


def test_when_libvirtd_dies_guests_live_and_nobody_concludes_that_they_do_not(shop: LibvirtWorkshop) -> None:
    driver = shop.new()
    heard = shop.heard(driver)
    spec = shop.spec()
    pid = driver.start(spec).pid
    shop.libvirt.kill_daemon()
    answers: list[object] = []

    def found_again() -> bool:
        try:
            answers.append(tuple(found.pid for found in driver.running()))
        except (DriverError, HostNotReady) as error:
            answers.append(error)
        return answers[-1] == (pid,)

    until(found_again, "the new libvirtd does not know the guest")
    assert () not in answers, "an empty answer would have let somebody conclude that nothing runs"
    assert status_of(pid)["Uid"].split()[0] == str(spec.uid)
    driver.reset(spec.run)
    heard.wait(spec.run, EventKind.RESET)  # events flow again
    driver.stop(spec.run, StopHow.STOP)
    heard.wait(spec.run, EventKind.ENDED)


def test_somebody_pauses_it_with_virsh(shop: LibvirtWorkshop) -> None:
    driver = shop.new()
    heard = shop.heard(driver)
    spec = shop.spec()
    driver.start(spec)
    shop.libvirt.virsh("suspend", str(spec.run))
    assert heard.wait(spec.run, EventKind.PAUSED).detail == "it was stopped"
    assert states(driver) == {"lab-a-01": MachineState.PAUSED}
    driver.resume(spec.run)
    heard.wait(spec.run, EventKind.RESUMED)
    assert states(driver) == {"lab-a-01": MachineState.RUNNING}
    assert len(heard.of(spec.run, EventKind.RESUMED)) == 1, "the first resuming of a start is no news"


def test_a_full_disk_pauses_it_and_room_lets_it_go_on(shop: LibvirtWorkshop) -> None:
    driver = shop.new()
    heard = shop.heard(driver)
    spec = shop.spec()
    # The folder gets a small file system of its own, which only libvirtd and its guests see.
    inner = Path(f"/proc/{shop.libvirt.init}/root{spec.folder}")
    shop.libvirt.inside(
        "mount", "-t", "tmpfs", "-o", f"size=2m,mode=0700,uid={spec.uid},gid={spec.uid}", "tmpfs", str(spec.folder), mounts=True
    )
    try:
        boot = shop.folder / "boot.img"
        boot.write_bytes(WRITER.ljust(510, b"\0") + b"\x55\xaa" + bytes((64 << 20) - 512))
        subprocess.run(
            ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(boot), str(shop.folder / "boot.qcow2")], check=True, timeout=60
        )
        overlay = inner / "overlay-0.qcow2"
        words = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(shop.folder / "boot.qcow2"), "-F", "qcow2", str(overlay)]
        subprocess.run(words, check=True, timeout=60)
        assert spec.uid is not None
        os.chown(overlay, spec.uid, spec.uid)
        (inner / "filler").write_bytes(bytes(512 << 10))
        top, base = spec.drives[0].chain
        drive = replace(spec.drives[0], chain=(top, replace(base, path=shop.folder / "boot.qcow2")))
        begun = driver.start(replace(spec, drives=(drive,)))
        if begun.state is not MachineState.PAUSED:  # on a slow machine it is full before the start has ended: then that says so
            assert heard.wait(spec.run, EventKind.PAUSED).detail == "the disk of the host is full"
        (found,) = driver.running()
        assert (found.state, found.reason) == (MachineState.PAUSED, "the disk of the host is full")
        with pytest.raises(HypervisorError, match="the disk of the host is full") as caught:
            driver.resume(spec.run)
        assert "df -h" in caught.value.hint
        before = len(heard.of(spec.run, EventKind.PAUSED))
        (inner / "filler").unlink()
        resumed_past(lambda: driver.resume(spec.run))
        until(lambda: len(heard.of(spec.run, EventKind.PAUSED)) > before, "it wrote no more")  # half a MiB further
    finally:
        driver.stop(spec.run, StopHow.KILL)
        shop.libvirt.inside("umount", "--lazy", str(spec.folder), mounts=True)


def resumed_past(resume: Callable[[], None]) -> None:
    """It went on; that it is full again half a MiB later, and within the moment that `resume` looks, is right too."""
    with suppress(HypervisorError):
        resume()


def test_a_libvirt_that_is_not_there_is_said_with_the_command_that_mends_it(tmp_path: Path) -> None:
    driver = LibvirtHypervisor(f"qemu+unix:///system?socket={tmp_path}/nobody", owner="x", accelerator="tcg")
    for verb in (driver.capabilities, driver.running):
        with pytest.raises(HostNotReady, match="libvirt does not answer") as caught:
            verb()
        assert "systemctl start libvirtd" in caught.value.hint


def test_many_at_once(shop: LibvirtWorkshop) -> None:
    driver = shop.new()
    specs = [shop.spec(f"lab-a-{number:02d}") for number in range(1, 7)]
    errors: list[LabVirtError] = []

    def start(spec: LaunchSpec) -> None:
        try:
            driver.start(spec)
        except LabVirtError as error:
            errors.append(error)

    threads = [threading.Thread(target=start, args=(spec,)) for spec in (*specs, specs[0])]  # one of them twice
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert len(driver.running()) == 6
    assert all(isinstance(error, HypervisorError) for error in errors)
    assert len(errors) <= 1, "only the one that was asked for twice may lose"
