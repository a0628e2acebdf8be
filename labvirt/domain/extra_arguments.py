# SPDX-License-Identifier: MIT
"""Which further QEMU arguments a profile may have: a list of allowed options, devices and properties, so that no argument can name a
file of the host, open a socket, start a program, or loosen the sandbox.

Models alone are not enough: every PCI device opens its `romfile`, every USB device writes its `pcap`. So properties are listed too.
"""

from __future__ import annotations

import re

from labvirt.errors import InvalidInput

_USB = frozenset({"id", "bus", "port", "serial"})
_PCI = frozenset({"id", "bus", "addr", "multifunction"})
_VIRTIO = _PCI | {"disable-legacy", "disable-modern"}

DEVICES: dict[str, frozenset[str]] = {
    "usb-kbd": _USB | {"usb_version"},
    "usb-mouse": _USB | {"usb_version"},
    "usb-tablet": _USB | {"usb_version"},
    "usb-hub": _USB | {"ports"},
    "qemu-xhci": _PCI | {"p2", "p3", "streams"},
    "nec-usb-xhci": _PCI | {"p2", "p3", "streams"},
    "piix3-usb-uhci": _PCI,
    "virtio-balloon-pci": _VIRTIO | {"deflate-on-oom", "free-page-reporting"},
    "virtio-keyboard-pci": _VIRTIO | {"serial"},
    "virtio-mouse-pci": _VIRTIO | {"serial", "wheel-axis"},
    "virtio-tablet-pci": _VIRTIO | {"serial", "wheel-axis"},
    "i6300esb": _PCI,
    "intel-iommu": frozenset({"intremap", "caching-mode", "device-iotlb", "aw-bits", "eim", "snoop-control"}),
}
"""Device models that need no file, socket or descriptor of the host, each with the properties that name none either
(qemu-system-x86_64 -device MODEL,help, QEMU 7.2)."""

GLOBALS: dict[str, frozenset[str]] = {
    "ICH9-LPC": frozenset({"disable_s3", "disable_s4", "noreboot"}),
    "PIIX4_PM": frozenset({"disable_s3", "disable_s4"}),
    "mc146818rtc": frozenset({"lost_tick_policy"}),
    "kvm-pit": frozenset({"lost_tick_policy"}),
    "hpet": frozenset({"timers", "msi"}),
    "ide-hd": frozenset({"rotation_rate", "discard_granularity", "logical_block_size", "physical_block_size"}),
    "scsi-hd": frozenset({"rotation_rate", "discard_granularity", "logical_block_size", "physical_block_size"}),
    "virtio-blk-pci": frozenset({"num-queues", "queue-size", "logical_block_size", "physical_block_size", "vectors"}),
    "virtio-net-pci": frozenset({"csum", "gso", "guest_csum", "host_mtu", "mq", "mrg_rxbuf", "rx_queue_size", "tx_queue_size", "speed"}),
    "e1000": frozenset({"mitigation"}),
    "VGA": frozenset({"vgamem_mb", "xres", "yres", "edid"}),
    "virtio-vga": frozenset({"max_outputs", "xres", "yres", "edid"}),
    "qxl-vga": frozenset({"ram_size_mb", "vram_size_mb", "vram64_size_mb", "vgamem_mb", "max_outputs"}),
    "virtio-balloon-pci": frozenset({"deflate-on-oom", "free-page-reporting"}),
    "qemu-xhci": frozenset({"p2", "p3", "streams"}),
}
"""DRIVER -> properties of what the machine is made of that are numbers, switches or words of a fixed list: none is a file, a node, a
character device or an address, and none changes what a disk does when the host's disk is full."""

_WORD = r"[A-Za-z0-9_.:+-]{1,64}"
_NAMED = re.compile(rf"([A-Za-z][A-Za-z0-9_-]{{0,39}})=({_WORD})\Z", re.ASCII)
_CPU_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}\Z", re.ASCII)
_CPU_FLAG = re.compile(r"[+-]?[a-z][a-z0-9_.-]{0,39}\Z", re.ASCII)
_CPU_NAMED = re.compile(r"[a-z][a-z0-9_.-]{0,39}=[A-Za-z0-9_.-]{1,40}\Z", re.ASCII)
_RTC = re.compile(r"clock=(host|rt|vm)\Z|driftfix=(none|slew)\Z", re.ASCII)
_MOST = 16
_MOST_FLAGS = 32


def check_extra(arguments: tuple[str, ...]) -> None:
    """Each is `device=MODEL[,NAME=VALUE...]`, `cpu=MODEL[,FLAG...]`, `global=DRIVER.PROPERTY=VALUE` or `rtc=...`; `cpu` and `rtc` are
    there once at most. Raises InvalidInput that names the first that is not."""
    if len(arguments) > _MOST:
        raise InvalidInput("extra", f"at most {_MOST} further arguments are possible")
    for argument in arguments:
        option, _, value = argument.partition("=")
        if not _allowed(option, value):
            raise InvalidInput(
                "extra", f"{argument[:80]!r} is not among the further arguments that are allowed", hint=_allowed_ones(option, value)
            )
    for option in ("cpu", "rtc"):
        if len(values_of(arguments, option)) > 1:
            raise InvalidInput("extra", f"{option}= is there twice", hint="Write one with everything in it.")


def values_of(arguments: tuple[str, ...], option: str) -> tuple[str, ...]:
    """What checked arguments say after `option=`, in order."""
    return tuple(argument.partition("=")[2] for argument in arguments if argument.startswith(f"{option}="))


def argv_of(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The QEMU words of checked arguments: ('device=usb-kbd') -> ('-device', 'usb-kbd')."""
    words: list[str] = []
    for argument in arguments:
        option, _, value = argument.partition("=")
        words += [f"-{option}", value]
    return tuple(words)


def _allowed(option: str, value: str) -> bool:
    first, *more = value.split(",")
    if option == "device":
        names = [_NAMED.match(each) for each in more]
        return first in DEVICES and all(match is not None and match[1] in DEVICES[first] for match in names)
    if option == "global":
        driver, _, setting = first.partition(".")
        match = _NAMED.match(setting)
        return not more and match is not None and match[1] in GLOBALS.get(driver, ())
    if option == "cpu":
        # 'help' prints a list and ends instead of running.
        flags = len(more) <= _MOST_FLAGS and all(each != "help" and (_CPU_FLAG.match(each) or _CPU_NAMED.match(each)) for each in more)
        return flags and first != "help" and _CPU_MODEL.match(first) is not None
    return option == "rtc" and len(more) <= 1 and all(_RTC.match(each) for each in (first, *more))


def _allowed_ones(option: str, value: str) -> str:
    model = value.partition(",")[0]
    driver = value.partition(".")[0]
    if option == "device" and model in DEVICES:
        return f"{model} may have: " + ", ".join(sorted(DEVICES[model]))
    if option == "global" and driver in GLOBALS:
        return f"Of {driver} these may be set: " + ", ".join(sorted(GLOBALS[driver]))
    if option == "global":
        return "global=DRIVER.PROPERTY=VALUE is possible for: " + ", ".join(sorted(GLOBALS))
    devices = ", ".join(sorted(DEVICES))
    return f"Allowed: device=MODEL ({devices}), cpu=MODEL,FLAGS, global=DRIVER.PROPERTY=VALUE, rtc=clock=host|rt|vm, rtc=driftfix=slew"
