# SPDX-License-Identifier: MIT
"""What the machine bears: memory, disk, rights, the TAP device, user namespaces."""

from __future__ import annotations

import os
from pathlib import Path

from labvirt.contracts.host import Machine
from labvirt.domain.findings import Finding, Severity
from labvirt.system import privileges

LEAST_MEMORY_MIB = 2048
LEAST_DISK_MIB = 4096
TUN = Path("/dev/net/tun")
USER_NAMESPACES = Path("/proc/sys/kernel/unprivileged_userns_clone")


def capacity(machine: Machine) -> tuple[Finding, ...]:
    """Memory, processors and disk as they are now."""
    load = machine.load()
    findings = [
        Finding(
            code="memory",
            severity=Severity.OK if load.memory_available_mib >= LEAST_MEMORY_MIB else Severity.WARNING,
            sentence=f"{load.memory_available_mib} of {load.memory_total_mib} MiB of memory are free, {load.cpus} processors.",
            fix=""
            if load.memory_available_mib >= LEAST_MEMORY_MIB
            else "Stop other programs, or add memory: a guest needs its own memory and 96 MiB.",
        ),
        Finding(
            code="disk",
            severity=Severity.OK if load.disk_free_mib >= LEAST_DISK_MIB else Severity.WARNING,
            sentence=f"{load.disk_free_mib} MiB are free where overlays are written.",
            fix="" if load.disk_free_mib >= LEAST_DISK_MIB else "Free some space, or move the state folder: labvirt serve --state DIR",
        ),
    ]
    return tuple(findings)


def rights(hypervisor: str) -> tuple[Finding, ...]:
    """May the engine make bridges and TAPs, and may QEMU be put into namespaces?"""
    if hypervisor == "fake":
        return (Finding(code="rights", severity=Severity.OK, sentence="The fake driver needs no rights."),)
    findings = []
    lacking = [f"CAP_{name.upper()}" for name in ("net_admin", "net_bind_service") if name not in privileges.held_capabilities()]
    if lacking:
        findings.append(
            Finding(
                code="rights",
                severity=Severity.ERROR,
                sentence=f"This user has no {' and no '.join(lacking)}: no bridge, TAP or filter can be made.",
                fix="Run the engine as root, or by systemd with AmbientCapabilities=CAP_NET_ADMIN CAP_NET_BIND_SERVICE",
            )
        )
    if not TUN.exists():
        findings.append(
            Finding(code="tun", severity=Severity.ERROR, sentence="There is no /dev/net/tun: guests get no network.", fix="modprobe tun")
        )
    if os.geteuid() != 0 and USER_NAMESPACES.exists() and USER_NAMESPACES.read_text().strip() == "0":
        findings.append(
            Finding(
                code="user-namespaces",
                severity=Severity.ERROR,
                sentence="The kernel refuses user namespaces to ordinary users, so QEMU cannot be confined.",
                fix="sysctl kernel.unprivileged_userns_clone=1",
            )
        )
    return tuple(findings) or (Finding(code="rights", severity=Severity.OK, sentence="Bridges, TAPs, filters and namespaces can be made."),)
