# SPDX-License-Identifier: MIT
"""Advice about a profile: what would run better, why, and how to get there without losing a guest that boots. Pure; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labvirt.domain.profile import Bus, Clock, Firmware, Mode, Nic, Profile, Protocol, SlotKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """`field` of the profile, one sentence, the reason, and the steps that lead there, in order (commands where there are any)."""

    code: str
    field: str
    sentence: str
    reason: str
    steps: tuple[str, ...] = ()


def advise(profile: Profile, *, accelerator: str = "") -> tuple[Advice, ...]:
    """The most useful first. `accelerator`: what the host's hypervisor said of itself ('kvm', 'tcg', 'fake'); empty: not known."""
    return (*_nic(profile), *_disks(profile), *_windows(profile), *_trials(profile), *_display(profile), *_host(accelerator))


def _nic(profile: Profile) -> Iterator[Advice]:
    if profile.nic is Nic.VIRTIO:
        return
    speed = {
        Nic.RTL8139: "rtl8139 is a card of 1997: QEMU imitates each of its registers, and every packet costs many exits",
        Nic.E1000: "e1000 imitates a real card register by register: every packet costs several exits",
    }[profile.nic]
    yield Advice(
        code="nic-virtio",
        field="nic",
        sentence=f"The network card {profile.nic} is good for installing; virtio is the one to stay with.",
        reason=f"{speed}. virtio hands whole rings of packets over; Linux has its driver, Windows needs it once (NetKVM of virtio-win).",
        steps=(
            "Linux has the driver: switch at once, step 4. Windows: go on with step 1.",
            f"Open a session with the driver disc: labvirt admin start {profile.name} --cdrom /path/virtio-win.iso",
            "Install its drivers there (virtio-win-guest-tools.exe installs all), shut down, then: labvirt admin publish NAME",
            f"Switch: labvirt profile set {profile.name} --nic virtio",
            "Try it with a canary (labvirt version test IMAGE NUMBER): it is red if the guest gets no lease.",
            f"The way back, at any time: labvirt profile set {profile.name} --nic {profile.nic}",
        ),
    )


def _disks(profile: Profile) -> Iterator[Advice]:
    slow = [slot for slot in profile.slots if slot.kind is SlotKind.DISK and slot.bus is not Bus.VIRTIO]
    if not slow:
        return
    buses = ", ".join(sorted({str(slot.bus) for slot in slow}))
    ide = any(slot.bus is Bus.IDE for slot in slow)
    yield Advice(
        code="disk-virtio",
        field="disks",
        sentence=f"A disk on {buses} works everywhere; virtio is faster.",
        reason=(
            "IDE moves data in small pieces through imitated ports and starts slowest of all."
            if ide
            else "The controller is imitated register by register."
        )
        + " A Windows that never saw a virtio disk stops at its start (INACCESSIBLE_BOOT_DEVICE), so give it a second one first.",
        steps=(
            f"Clone: labvirt profile clone {profile.name} {profile.name[:28]}-vio; labvirt profile set {profile.name[:28]}-vio --active",
            "Give the clone a second, small disk on virtio and install its driver in a session (Windows); Linux needs nothing.",
            "Then put the first disk on virtio as well, try it with a canary, and give the clone the lower position.",
        ),
    )


def _windows(profile: Profile) -> Iterator[Advice]:
    if profile.clock is Clock.LOCALTIME and not profile.hyperv:
        yield Advice(
            code="hyperv",
            field="hyperv",
            sentence="This looks like Windows (its clock shows local time): switch the Hyper-V enlightenments on.",
            reason="Windows then asks for time and interrupts in a way that costs nearly nothing, and idles quietly.",
            steps=(f"labvirt profile set {profile.name} --hyperv",),
        )
    if profile.clock is Clock.UTC and (profile.hyperv or profile.tpm):
        yield Advice(
            code="localtime",
            field="clock",
            sentence="This looks like Windows: let its hardware clock show local time.",
            reason="Windows takes the hardware clock for local time; with UTC it is wrong by the time zone after every start.",
            steps=(f"labvirt profile set {profile.name} --clock localtime",),
        )
    if profile.tpm and profile.memory_mib < 4096:
        yield Advice(
            code="windows-memory",
            field="memory",
            sentence=f"{profile.memory_mib} MiB is less than Windows 11 asks for.",
            reason="Its set-up refuses machines with less than 4 GiB.",
            steps=(f"labvirt profile set {profile.name} --memory 4096",),
        )
    if profile.hyperv and profile.firmware is Firmware.BIOS and not profile.tpm:
        yield Advice(
            code="windows-11",
            field="firmware",
            sentence="For Windows 11 the profile needs UEFI and a TPM.",
            reason="Its set-up looks for both. An installed guest does not boot with another firmware than it was installed with.",
            steps=("Only for a new installation: labvirt profile set NAME --firmware uefi --tpm",),
        )


def _trials(profile: Profile) -> Iterator[Advice]:
    if profile.mode is Mode.SNAPSHOT and not profile.checks:
        yield Advice(
            code="no-checks",
            field="checks",
            sentence="The profile has no checks of its own: a canary sees only that it boots, gets its lease and opens its port.",
            reason="A program that does not start any more is found by a class, not by the canary.",
            steps=("A pytest file of five lines is enough; see docs/howto.",),
        )


def _display(profile: Profile) -> Iterator[Advice]:
    if profile.protocol is Protocol.RDP and profile.ready_port is None:
        yield Advice(
            code="ready-port",
            field="ready_port",
            sentence="Terminals are sent to RDP as soon as the machine runs, long before it answers.",
            reason="With a port to wait for, the terminal shows that it boots, and connects when it can.",
            steps=(f"labvirt profile set {profile.name} --ready-port 3389",),
        )


def _host(accelerator: str) -> Iterator[Advice]:
    if accelerator == "tcg":
        yield Advice(
            code="tcg",
            field="host",
            sentence="This host runs guests under TCG, QEMU's own emulation.",
            reason="It is ten times slower than KVM, and QEMU promises no isolation for it: good for trying, not for a class.",
            steps=("Use a host with VT-x or AMD-V switched on in its firmware: labvirt doctor",),
        )
