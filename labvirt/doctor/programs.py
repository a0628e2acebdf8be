# SPDX-License-Identifier: MIT
"""Are the programs and Python modules there that LabVirt starts and loads?"""

from __future__ import annotations

import importlib.util
import shutil
import sys

from labvirt.domain.findings import Finding, Severity

FOR_DISKS = (("qemu-img", "qemu-utils"), ("bwrap", "bubblewrap"), ("setpriv", "util-linux"), ("prlimit", "util-linux"))
NEEDED = {
    "qemu": (("qemu-system-x86_64", "qemu-system-x86"), *FOR_DISKS),
    "libvirt": (("qemu-system-x86_64", "qemu-system-x86"), *FOR_DISKS, ("libvirtd", "libvirt-daemon-system")),
    "fake": FOR_DISKS,
}
"""Program and Debian package, by hypervisor driver. Disks are real with every one of them."""

FOR_NETWORK = (("dnsmasq", "dnsmasq-base"), ("nft", "nftables"))
MODULES = {
    "qemu": (("nftables", "python3-nftables"),),
    "libvirt": (("nftables", "python3-nftables"), ("libvirt", "python3-libvirt")),
    "fake": (),
}

RESCUE = "Files cannot be read out of disks that nobody runs (labvirt rescue files)"
TPM = "Guests with a TPM cannot be started (Windows 11 wants one)"
CHECKS = "Profiles' own checks cannot be run: versions of profiles that have some cannot be published without --override"
FOR_RESCUE = (
    ("7zz", "7zip", RESCUE),
    ("e2fsck", "e2fsprogs", RESCUE),
    ("blkid", "util-linux", RESCUE),
    ("qemu-storage-daemon", "qemu-utils qemu-system-common", RESCUE),
)
FOR_TPM = ("swtpm", "swtpm", TPM)
USEFUL = {"qemu": (*FOR_RESCUE, FOR_TPM), "libvirt": (*FOR_RESCUE, FOR_TPM), "fake": FOR_RESCUE}
"""Program, Debian packages and what does not work without it: everything else does."""

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def programs(hypervisor: str) -> tuple[Finding, ...]:
    """One finding per missing program or Python module; one good one when none is missing."""
    wanted = NEEDED[hypervisor] + (FOR_NETWORK if hypervisor != "fake" else ())
    findings = [
        Finding(
            code="program-missing",
            severity=Severity.ERROR,
            subject=name,
            sentence=f"The program {name} is not installed.",
            fix=f"apt-get install {package}",
        )
        for name, package in wanted
        if _absent(name)
    ]
    for name, package in MODULES[hypervisor]:
        if importlib.util.find_spec(name) is None:
            findings.append(
                Finding(
                    code="module-missing",
                    severity=Severity.ERROR,
                    subject=name,
                    sentence=f"Python ({sys.executable}) cannot find the module {name}, which comes as a Debian package.",
                    fix=f"apt-get install {package}  # the virtual environment must be made with --system-site-packages",
                )
            )
    findings += _useful(hypervisor)
    return tuple(findings) or (_all_there(hypervisor, len(wanted) + len(USEFUL[hypervisor])),)


def _useful(hypervisor: str) -> list[Finding]:
    """What only a part of LabVirt needs."""
    findings = [
        Finding(
            code="program-missing",
            severity=Severity.WARNING,
            subject=name,
            sentence=f"{lost}: the program {name} is not installed.",
            fix=f"apt-get install --no-install-recommends {packages}",
        )
        for name, packages, lost in USEFUL[hypervisor]
        if _absent(name)
    ]
    if importlib.util.find_spec("pytest") is None:
        findings.append(
            Finding(
                code="module-missing",
                severity=Severity.WARNING,
                subject="pytest",
                sentence=f"{CHECKS}. Python ({sys.executable}) cannot find pytest.",
                fix=f"{sys.executable} -m pip install 'pytest>=8.3'",
            )
        )
    return findings


def _absent(name: str) -> bool:
    return shutil.which(name, path=SEARCH_PATH) is None


def _all_there(hypervisor: str, count: int) -> Finding:
    return Finding(code="programs", severity=Severity.OK, sentence=f"All {count} programs that the {hypervisor} driver uses are there.")
