# SPDX-License-Identifier: MIT
"""Keeps contracts.dhcp.DhcpForms: which renderer makes which form."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from labvirt.contracts.dhcp import DhcpForm, DhcpLab
from labvirt.network.dhcp import csv_form, dnsmasq_form, isc_form, kea_form

_RENDERERS: Mapping[DhcpForm, Callable[[DhcpLab], str]] = {
    DhcpForm.DNSMASQ: dnsmasq_form.render,
    DhcpForm.DNSMASQ_PROXY: dnsmasq_form.render_proxy,
    DhcpForm.KEA: kea_form.render,
    DhcpForm.ISC: isc_form.render,
    DhcpForm.CSV: csv_form.render,
}


class RenderedForms:
    """Keeps contracts.dhcp.DhcpForms."""

    def render(self, form: DhcpForm, lab: DhcpLab) -> str:
        return _RENDERERS[form](lab)
