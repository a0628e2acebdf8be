# SPDX-License-Identifier: MIT
"""SPICE of a real QEMU: TLS with the controller's certificate, secrets that are granted and end, and who is seen."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

import pytest

from labvirt.contracts.hypervisor import EventKind, LaunchSpec, SpiceDisplay
from labvirt.errors import HypervisorError
from labvirt.network.authority import FileAuthority
from tests.contracts.patience import until
from tests.contracts.workshop import Workshop
from tests.system.spice import OK, PERMISSION_DENIED, Viewer

pytestmark = pytest.mark.real

HERE = IPv4Address("127.0.0.1")


def _with_display(qemu: Workshop, *, usb: bool = False) -> tuple[LaunchSpec, str]:
    """A run with SPICE and the CA that its viewers pin."""
    authority = FileAuthority(qemu.folder / "secrets")
    with socket.socket() as free:
        free.bind((str(HERE), 0))
        port = free.getsockname()[1]
    spec = qemu.spec()
    tls = spec.folder / "tls"
    authority.issue(tls, name=spec.run.guest, address=HERE, uid=spec.uid)
    display = SpiceDisplay(address=HERE, tls_port=port, tls=tls, usb=usb)
    return LaunchSpec(**{name: getattr(spec, name) for name in spec.__slots__} | {"spice": display}), authority.ca_pem()


def _viewer(spec: LaunchSpec, ca: str) -> Viewer:
    assert spec.spice is not None
    return Viewer(socket.create_connection((str(HERE), spec.spice.tls_port), timeout=30), ca)


def test_a_display_takes_only_the_granted_secret_and_only_while_it_lasts(qemu: Workshop) -> None:
    driver = qemu.new()
    spec, ca = _with_display(qemu)
    driver.start(spec)

    def answer(secret: str) -> int:
        with _viewer(spec, ca) as viewer:
            assert viewer.subject == "CN=lab-a-01"
            return viewer.link(secret)

    assert answer("") == PERMISSION_DENIED
    driver.grant_display(spec.run, "first-secret", 60)
    assert answer("wrong") == PERMISSION_DENIED
    assert answer("first-secret") == OK
    driver.grant_display(spec.run, "second-secret", 60)
    assert answer("first-secret") == PERMISSION_DENIED
    assert answer("second-secret") == OK
    driver.grant_display(spec.run, "second-secret", 0)
    assert answer("second-secret") == PERMISSION_DENIED
    driver.grant_display(spec.run, "third-secret", 2)
    until(lambda: answer("third-secret") == PERMISSION_DENIED, "the secret never ended")
    assert not any("secret" in path.read_text(errors="replace") for path in spec.folder.glob("*.json"))


def test_viewers_are_seen_and_stay_when_the_secret_ends(qemu: Workshop) -> None:
    driver = qemu.new()
    heard = qemu.heard(driver)
    spec, ca = _with_display(qemu)
    driver.start(spec)
    assert driver.running()[0].viewers == 0
    driver.grant_display(spec.run, "secret", 60)
    with _viewer(spec, ca) as viewer:
        assert viewer.link("secret") == OK
        assert heard.wait(spec.run, EventKind.VIEWER_CONNECTED).peer == str(HERE)
        driver.grant_display(spec.run, "", 0)
        assert driver.running()[0].viewers == 1
    assert heard.wait(spec.run, EventKind.VIEWER_LEFT).peer == str(HERE)
    assert driver.running()[0].viewers == 0
    assert len(heard.of(spec.run, EventKind.VIEWER_CONNECTED)) == 1


def test_a_new_life_of_the_controller_counts_who_is_there(qemu: Workshop) -> None:
    first = qemu.new()
    spec, ca = _with_display(qemu)
    first.start(spec)
    first.grant_display(spec.run, "secret", 60)
    with _viewer(spec, ca) as viewer:
        assert viewer.link("secret") == OK
        until(lambda: first.running()[0].viewers == 1, "the viewer was never counted")
        first.close()
        second = qemu.new()
        heard = qemu.heard(second)
        assert second.running()[0].viewers == 1
    heard.wait(spec.run, EventKind.VIEWER_LEFT)


def test_a_run_without_a_display_has_none_to_grant(qemu: Workshop) -> None:
    driver = qemu.new()
    spec = qemu.spec()
    driver.start(spec)
    with pytest.raises(HypervisorError):
        driver.grant_display(spec.run, "secret", 60)


def test_a_display_with_usb_starts_in_the_sandbox(qemu: Workshop) -> None:
    """QEMU's module for it is found there, and its controller has a place on the bus."""
    driver = qemu.new()
    spec, ca = _with_display(qemu, usb=True)
    driver.start(spec)
    driver.grant_display(spec.run, "secret", 60)
    with _viewer(spec, ca) as viewer:
        assert viewer.link("secret") == OK
