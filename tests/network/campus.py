# SPDX-License-Identifier: MIT
"""A DHCP server of the campus: a real one, in a network namespace that is another machine on the lab's wire."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from labvirt.contracts.dhcp import DhcpForm
from tests.network import namespace
from tests.network.namespace import Namespace

ADDRESS = IPv4Address("10.77.0.2")
PATH = "/usr/sbin:/sbin:/usr/bin"
PROGRAMS = {DhcpForm.KEA: "kea-dhcp4", DhcpForm.ISC: "dhcpd", DhcpForm.DNSMASQ: "dnsmasq", DhcpForm.DNSMASQ_PROXY: "dnsmasq"}
PACKAGES = {"kea-dhcp4": "kea-dhcp4-server", "dhcpd": "isc-dhcp-server", "dnsmasq": "dnsmasq-base"}


class Campus:
    """`close` ends the server and its machine."""

    def __init__(self, form: DhcpForm, settings: str, folder: Path, address: IPv4Address = ADDRESS) -> None:
        program = shutil.which(PROGRAMS[form], path=PATH)
        if program is None:
            pytest.skip(f"{PROGRAMS[form]} is not installed: apt-get install {PACKAGES[PROGRAMS[form]]}")
        folder.mkdir()
        # A copy: a profile of AppArmor, which belongs to the path, would keep it from our files.
        ours = Path(shutil.copy(program, folder))
        (folder / "conf").write_text(_runnable(form, settings))
        (folder / "leases").touch()
        self.address = address
        self.machine = Namespace()
        namespace.join(self.machine, "lvb000", f"campus{int(address) & 255}", address=f"{address}/24")
        with self.machine.entered(), (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(ours), *_arguments(form, folder)],
                stdout=log,
                stderr=log,
                env={**os.environ, "KEA_PIDFILE_DIR": str(folder), "KEA_LOCKFILE_DIR": str(folder)},
            )
        self.log = folder / "log"

    def stop(self) -> None:
        """The server answers no more; its machine stays."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.stop()
        self.machine.close()


def _runnable(form: DhcpForm, settings: str) -> str:
    """The rendered settings, and where this machine keeps leases."""
    if form is not DhcpForm.KEA:
        return settings
    document = json.loads(settings)
    document["Dhcp4"]["lease-database"] = {"type": "memfile", "persist": False}
    return json.dumps(document)


def _arguments(form: DhcpForm, folder: Path) -> tuple[str, ...]:
    if form is DhcpForm.KEA:
        return "-c", str(folder / "conf")
    if form is DhcpForm.ISC:
        return "-4", "-f", "-d", "-cf", str(folder / "conf"), "-lf", str(folder / "leases"), "-pf", str(folder / "pid"), "eth0"
    words = ("--keep-in-foreground", "--log-dhcp", "--log-facility=-", "--port=0", "--interface=eth0", "--bind-interfaces", "--no-ping")
    files = (f"--conf-file={folder / 'conf'}", f"--dhcp-leasefile={folder / 'leases'}", "--pid-file=", "--user=", "--group=")
    return (*words, "--dhcp-authoritative", *files)
