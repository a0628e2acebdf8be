# SPDX-License-Identifier: MIT
"""The menu of a lab's boot loaders."""

from __future__ import annotations

import pytest

from labvirt.domain.kiosk import menu
from labvirt.errors import InvalidInput
from tests.fakes import kiosk

SHA256 = "ab" * 32


def test_the_menu_boots_the_kiosk_and_never_ends_at_a_prompt() -> None:
    told = menu("http://10.77.0.1:8080/", SHA256)
    assert "linux (http,10.77.0.1:8080)/boot/vmlinuz labvirt.url=http://10.77.0.1:8080/ " in told
    assert f"labvirt.image=http://10.77.0.1:8080/boot/kiosk.squashfs labvirt.sha256={SHA256} ip=dhcp quiet" in told
    assert told.rstrip().endswith("reboot")


@pytest.mark.parametrize(
    "controller", ["http://10.77.0.1:8080/;halt", "http://a:80/", "https://10.77.0.1:8080/", "http://10.77.0.1:80/\n", ""]
)
def test_a_controller_that_is_more_than_an_address_gets_into_no_menu(controller: str) -> None:
    with pytest.raises(InvalidInput):
        menu(controller, SHA256)
    with pytest.raises(InvalidInput):
        menu("http://10.77.0.1:8080/", SHA256 + "\n")


def test_a_kiosk_knows_its_files() -> None:
    made = kiosk.kiosk()
    found = made.file("core.0")
    assert found is not None
    assert found.size_bytes == len(kiosk.contents()["core.0"])
    assert made.file("core.1") is None
    assert made.image_sha256 != found.sha256
