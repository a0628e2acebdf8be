# SPDX-License-Identifier: MIT
"""What terminals of a lab are offered when they boot from the network, whoever tells them: our own DHCP server or the campus's. PURE."""

from __future__ import annotations

from labvirt.contracts.dhcp import NetworkBoot
from labvirt.contracts.kiosk import BootFolder
from labvirt.domain.lab import Lab


def network_boot(kiosk: BootFolder | None, lab: Lab, controller_port: int) -> NetworkBoot | None:
    """None while there is no kiosk."""
    if kiosk is None:
        return None
    controller = f"http://{lab.network.gateway}:{controller_port}/"
    return NetworkBoot(controller=controller, kiosk=kiosk.kiosk, folder=kiosk.path, guests=lab.mac_prefix)
