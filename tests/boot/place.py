# SPDX-License-Identifier: MIT
"""A site with one lab whose guests are real desktops: `labvirt` as an admin sets it up, served in a network namespace of its own."""

from __future__ import annotations

from pathlib import Path

from labvirt.disks import boot_folder
from labvirt.network.authority import FileAuthority
from tests.system.house import House, wait_for

LAB = "lab-a"
NETWORK = "10.78.0.0/24"
SEAT = 7
GUEST = f"{LAB}-{SEAT:02d}"
MAC = "52:54:00:4b:49:07"
START_SECONDS = 900
"""A desktop on an emulated processor, beside an emulated PC."""


def kiosk_in(house: House, folder: Path) -> None:
    """Terminals start with this boot folder: what `labvirt kiosk build` does after it has built."""
    boot_folder.install(folder, house.state / "kiosk", FileAuthority(house.state / "secrets").ca_pem())


def set_up(house: House, desktop: Path, kiosk: Path, *, adopt: bool) -> None:
    """One seat, its desktop and its terminal exist, and the controller serves. With `adopt` nobody knows the terminal yet."""
    house.state.parent.mkdir(parents=True, exist_ok=True)
    begun = house.program("init")
    assert begun.code == 0, begun
    (house.state / "labvirt.toml").write_text(f"start_timeout_seconds = {START_SECONDS}\n")
    house.bridge = house.call("lab", "add", LAB, "--network", NETWORK)["bridge"]
    house.call("image", "import", "desktop", str(desktop), "--format", "qcow2")
    machine = ("--memory", "1024", "--cpus", "2", "--disk", "desktop:virtio")
    house.call("profile", "add", "desktop", *machine, "--protocol", "rdp", "--user", "student")
    kiosk_in(house, kiosk)
    if not adopt:
        house.call("terminal", "add", "pc-7", "--lab", LAB, "--seat", str(SEAT), "--mac", MAC, "--class", "rdp")
    house.serve()
    wait_for(lambda: house.part("dnsmasq"), "the lab's DHCP server")


def lease(house: House) -> str:
    """The address that the PC has; empty before."""
    file = house.state / "networks" / LAB / "leases"
    for line in file.read_text().splitlines() if file.exists() else ():
        words = line.split()
        if len(words) > 2 and words[1] == MAC:
            return words[2]
    return ""


def guest_run(house: House) -> str:
    """Which run of the seat's guest is alive; empty when none is."""
    outcome = house.run("guest", "show", GUEST)
    return str(outcome.json["run"] or "") if outcome.code == 0 else ""
