# SPDX-License-Identifier: MIT
"""QEMU's command line and its sandbox, compared with golden files: one word a line.

Real QEMUs judge them in tests/contracts.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import USB_DEVICES
from labvirt.hypervisors.qemu import command, sandbox, tpm
from tests.unit.hypervisors.specs import DESKTOP, SPECS

GOLDEN = Path(__file__).parents[2] / "golden"


def _compare(name: str, argv: tuple[str, ...]) -> None:
    file = GOLDEN / f"{name}.argv"
    text = "".join(f"{word}\n" for word in argv)
    if os.environ.get("LABVIRT_REGENERATE") == "1":
        file.write_text(text)
    assert text == file.read_text(), f"{file} differs; if the new text is right: LABVIRT_REGENERATE=1"


@pytest.mark.parametrize("name", SPECS)
def test_the_command_line_is_the_golden_one(name: str) -> None:
    _compare(f"qemu-{name}", command.render(SPECS[name], accelerator="kvm" if name == "windows" else "tcg"))


@pytest.mark.parametrize("root", [True, False], ids=["root", "user"])
def test_the_sandbox_is_the_golden_one(root: bool) -> None:
    _compare(f"sandbox-{'root' if root else 'user'}", sandbox.prefix(SPECS["windows"], root=root, kvm=True, kvm_group=104))
    _compare(f"tpm-{'root' if root else 'user'}", tpm.command_line(SPECS["windows"], root=root))
    _compare(f"sandbox-spice-{'root' if root else 'user'}", sandbox.prefix(DESKTOP, root=root, kvm=False))


def test_only_a_display_that_may_have_usb_has_a_way_for_it() -> None:
    assert DESKTOP.spice is not None
    with_usb = command.render(DESKTOP, accelerator="tcg")
    without = command.render(replace(DESKTOP, spice=replace(DESKTOP.spice, usb=False)), accelerator="tcg")
    assert sum("name=usbredir" in word for word in with_usb) == USB_DEVICES
    assert not [word for word in without if "usbredir" in word or "xhci" in word or "usb-redir" in word]


def test_only_the_top_of_a_chain_is_writable_and_every_format_is_named() -> None:
    argv = command.render(SPECS["windows"], accelerator="tcg")
    nodes = {node["node-name"]: node for node in map(json.loads, _values(argv, "-blockdev"))}
    assert {name for name, node in nodes.items() if not node["read-only"]} == {
        "drive0-0", "drive0-0-file", "drive1-0", "drive1-0-file", "uefi-vars", "uefi-vars-file",
    }  # fmt: skip
    assert nodes["drive0-0"]["backing"] == "drive0-1"
    assert nodes["drive0-1"]["backing"] == "drive0-2"
    assert nodes["drive0-2"]["backing"] is None
    assert {node["driver"] for node in nodes.values()} == {"file", "qcow2", "raw"}


def test_no_path_of_the_host_reaches_qemu() -> None:
    for spec in SPECS.values():
        assert "/var/lib/labvirt" not in " ".join(command.render(spec, accelerator="tcg"))


def test_no_word_can_smuggle_an_option() -> None:
    """Values are checked where they come from; should a comma get here all the same, it stays inside its value."""
    argv = command.render(replace(DESKTOP, serial="x,uuid=evil"), accelerator="tcg")
    (smbios,) = _values(argv, "-smbios")
    assert "serial=x,,uuid=evil," in smbios


def test_what_qemu_may_not_do_is_always_said() -> None:
    for spec in SPECS.values():
        argv = command.render(spec, accelerator="tcg")
        assert _values(argv, "-sandbox") == ["on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
        assert {"-nodefaults", "-no-user-config"} <= set(argv)
        assert "-daemonize" not in argv
        assert _values(argv, "-vnc") == ["unix:/run/guest/vnc.sock"]
        assert "--die-with-parent" not in sandbox.prefix(spec, root=True, kvm=False)


def _values(argv: tuple[str, ...], option: str) -> list[str]:
    return [value for word, value in pairwise(argv) if word == option]
