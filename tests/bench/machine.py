# SPDX-License-Identifier: MIT
"""What the machine is and does while it measures: printed beside each result."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from labvirt.system import machine, process

PROGRAMS = {
    "qemu": ("qemu-system-x86_64", "--version"),
    "libvirt": ("libvirtd", "--version"),
    "dnsmasq": ("dnsmasq", "--version"),
}


def load_average() -> str:
    """1, 5 and 15 minutes."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def describe() -> dict[str, object]:
    """Everything of this machine that the numbers depend on."""
    reading = machine.read_load(Path("/"))
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "system": _system(),
        "kernel": machine.kernel_release(),
        "processor": machine.cpu_model(),
        "cpus": reading.cpus,
        "memory_mib": reading.memory_total_mib,
        **{name: _version(argv) for name, argv in PROGRAMS.items()},
    }


def _system() -> str:
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "unknown"


def _version(argv: tuple[str, ...]) -> str:
    result = process.run(argv, timeout=20)
    return result.stdout.decode("utf-8", "replace").split("\n", 1)[0].strip() if result.ok else "none"
