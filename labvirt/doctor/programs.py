# SPDX-License-Identifier: MIT
"""Are the programs there that LabVirt starts?"""

from __future__ import annotations

import importlib.util
import shutil
import sys

from labvirt.domain.findings import Finding, Severity

NEEDED = {
    "qemu": (("qemu-system-x86_64", "qemu-system-x86"), ("qemu-img", "qemu-utils"), ("bwrap", "bubblewrap"), ("setpriv", "util-linux")),
    "libvirt": (("qemu-system-x86_64", "qemu-system-x86"), ("qemu-img", "qemu-utils"), ("libvirtd", "libvirt-daemon-system")),
    "fake": (),
}
"""Program and Debian package, by hypervisor driver."""

FOR_NETWORK = (("dnsmasq", "dnsmasq-base"), ("nft", "nftables"))
MODULES = {
    "qemu": (("nftables", "python3-nftables"),),
    "libvirt": (("nftables", "python3-nftables"), ("libvirt", "python3-libvirt")),
    "fake": (),
}

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def programs(hypervisor: str) -> tuple[Finding, ...]:
    """One finding per missing program or Python module; one good one when none is missing."""
    wanted = NEEDED[hypervisor] + (FOR_NETWORK if hypervisor != "fake" else ())
    missing = [(name, package) for name, package in wanted if shutil.which(name, path=SEARCH_PATH) is None]
    findings = [
        Finding(
            code="program-missing",
            severity=Severity.ERROR,
            subject=name,
            sentence=f"The program {name} is not installed.",
            fix=f"apt-get install {package}",
        )
        for name, package in missing
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
    return tuple(findings) or (_all_there(hypervisor, len(wanted)),)


def _all_there(hypervisor: str, count: int) -> Finding:
    sentence = f"The {hypervisor} driver needs no programs."
    if count:
        sentence = f"All {count} programs that the {hypervisor} driver needs are there."
    return Finding(code="programs", severity=Severity.OK, sentence=sentence)
