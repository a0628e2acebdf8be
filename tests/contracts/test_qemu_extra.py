# SPDX-License-Identifier: MIT
"""Further arguments before a real QEMU: each model and property exists and is a number, a switch or a word; none opens anything."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from labvirt.domain.extra_arguments import DEVICES, GLOBALS, argv_of, check_extra

pytestmark = pytest.mark.real

HARMLESS = {"bool", "on/off", "OnOffAuto", "uint8", "uint16", "uint32", "uint64", "int32", "size", "LostTickPolicy"}
NAMES = {"id", "bus", "port", "serial", "addr"}
"""Words for the guest, or for QEMU's own tree of devices."""
ROUNDS = 24


@pytest.mark.parametrize("model", [*DEVICES, *GLOBALS])
def test_what_may_be_set_is_no_name_of_anything(model: str) -> None:
    told = subprocess.run(("qemu-system-x86_64", "-device", f"{model},help"), capture_output=True, text=True, timeout=60, check=True).stdout
    kinds = dict(re.findall(r"^\s+([\w-]+)=<([^>]*)>", told, re.MULTILINE))
    for name in (DEVICES.get(model, frozenset()) | GLOBALS.get(model, frozenset())) - NAMES:
        assert kinds[name] in HARMLESS, f"{model}.{name} is {kinds[name]}"
    assert model == "intel-iommu" or "str" in kinds.values() or "romfile" not in told, "the control: there are others"


def opened(extra: tuple[str, ...], log: Path) -> set[str]:
    """Files and sockets that QEMU asked the kernel for."""
    argv = ("qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-nodefaults", "-display", "none", "-device", "VGA")
    calls = "trace=open,openat,creat,socket,connect,bind,listen,execve,mknod,mknodat,rename,unlink,truncate"
    traced = (
        "strace",
        "-f",
        "-qq",
        "-e",
        calls,
        "-o",
        str(log),
        *argv,
        "-device",
        "usb-ehci,id=usb",
        "-S",
        "-qmp",
        "stdio",
        *argv_of(extra),
    )
    quit_ = b'{"execute": "qmp_capabilities"}{"execute": "quit"}'
    subprocess.run(traced, input=quit_, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=log.parent, timeout=120, check=False)
    found = set()
    for line in log.read_text().splitlines()[1:]:  # the first is strace's own execve of QEMU
        call = line.split(None, 1)[1]
        if call.startswith("???( <detached"):
            continue  # a thread that ended as strace looked: no call
        if call.startswith(("open", "creat")) and "= -1" in call:
            continue  # looked for and not found: libraries
        found.add(re.sub(r"\s+=.*|0x[0-9a-f]+|/proc/\d+|\d{3,}", "", call))
    return found


def test_no_list_of_arguments_opens_a_file_or_a_socket(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    chance = random.Random(20261121)  # the same lists each time
    usual = opened((), tmp_path / "usual")
    assert len(usual) > 10
    assert any("pcap" in call for call in opened(("device=usb-kbd,pcap=written.pcap",), tmp_path / "control")), "the control"
    for number in range(ROUNDS):
        extra = tuple(made(chance) for _ in range(4))
        check_extra(extra)
        more = {call for call in opened(extra, tmp_path / f"{number}") - usual if not allowed(call)}
        assert not more, f"{extra}: {more}"


def made(chance: random.Random) -> str:
    """An argument that is allowed, with a value that is a file of the working folder, a word or a number."""
    value = chance.choice(["usual", "control", "on", "off", "1", "64", "unix:x", "fd:3", "..", "a.b"])
    if chance.random() < 0.5:
        model = chance.choice(list(DEVICES))
        names = chance.sample(sorted(DEVICES[model]), k=chance.randint(0, 2))
        return ",".join((f"device={model}", *(f"{name}={value}" for name in names)))
    driver = chance.choice(list(GLOBALS))
    return f"global={driver}.{chance.choice(sorted(GLOBALS[driver]))}={value}"


def allowed(call: str) -> bool:
    """Modules and ROMs of QEMU's own packages."""
    return bool(re.match(r'open(at)?\((AT_FDCWD, )?"/(usr/lib|usr/share|lib)/', call))
