# SPDX-License-Identifier: MIT
"""The settings for a DHCP server of the campus on their page: the same text that the command prints, to read and to download."""

from __future__ import annotations

import pytest
from markupsafe import escape

from labvirt.contracts.dhcp import DhcpForm
from labvirt.domain.lab import DhcpMode
from labvirt.errors import InvalidInput
from labvirt.usecases import campus_dhcp, labs

from .conftest import Site, until


def shown(text: str) -> str:
    """As a template writes it."""
    return str(escape(text))


@pytest.mark.parametrize("form", DhcpForm)
def test_page_and_download_have_the_text_of_the_command(site: Site, form: DhcpForm) -> None:
    labs.change(site.ports, "lab-a", dhcp=DhcpMode.NONE)
    browser = site.browser()
    if form is DhcpForm.DNSMASQ_PROXY:  # it tells how to boot, and there is no kiosk yet
        with pytest.raises(InvalidInput) as refused:
            campus_dhcp.settings(site.ports, "lab-a", form)
        page = browser.get("/labs/lab-a/dhcp", params={"form": form})
        assert (page.status_code, shown(refused.value.sentence) in page.text, "<select" in page.text) == (400, True, True)
        return
    told = campus_dhcp.settings(site.ports, "lab-a", form)
    text = browser.get("/labs/lab-a/dhcp", params={"form": form}).text
    assert shown(told.text) in text
    assert told.remarks
    assert all(shown(each) in text for each in told.remarks)
    sent = browser.get("/labs/lab-a/dhcp/settings", params={"form": form})
    assert (sent.text, f'filename="labvirt-lab-a-{form}.' in sent.headers["content-disposition"]) == (told.text, True)
    assert sent.text == browser.get("/api/v1/labs/lab-a/dhcp", params={"form": form}).json()["text"]


def test_the_map_leads_there_where_the_campus_answers(site: Site) -> None:
    browser = site.browser()
    assert "/labs/lab-a/dhcp" not in browser.get("/labs/lab-a").text
    labs.change(site.ports, "lab-a", dhcp=DhcpMode.PROXY)
    until(lambda: "/labs/lab-a/dhcp" in browser.get("/labs/lab-a").text, "the way to the settings")
    assert browser.get("/labs/lab-a/dhcp?form=bind").status_code == 400
    assert browser.get("/labs/no-lab/dhcp").status_code == 404
