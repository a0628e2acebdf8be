# SPDX-License-Identifier: MIT
"""Logins inside RDP guests: minted for one ticket, taken back when used or old; a guest that does not answer wastes only its own time."""

from __future__ import annotations

import base64
import hashlib
import logging
import string
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from labvirt.contracts.hypervisor import Capability
from labvirt.contracts.network import Flow
from labvirt.domain.profile import Protocol
from labvirt.engine import logins
from labvirt.engine.logins import mint_password
from labvirt.errors import AgentSilent, Conflict, GuestNotReady, OperationInProgress, Unsupported
from tests.engine.simulated import SimLab, lab, profile, until
from tests.engine.test_engine import clean, start

SOURCE = IPv4Address("10.77.0.65")
DER = b"\x30\x82\x01\x00" + bytes(256)
PEM = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(DER) + b"-----END CERTIFICATE-----\n"


@pytest.fixture
def site(sim: SimLab) -> SimLab:
    """A lab of RDP guests whose user is known. Tickets last, unless a test says otherwise."""
    sim.settings = replace(sim.settings, flow_seconds=0.1, ticket_seconds=60)
    sim.furnish(lab(seats=12), kind=profile(protocol=Protocol.RDP, user="student"))
    return sim


def test_a_password_is_strong_plain_and_never_twice_the_same() -> None:
    words = [mint_password("student") for _ in range(300)]
    assert len(set(words)) == 300
    for word in words:
        assert len(word) == 24
        assert not set(word) - set(string.ascii_letters + string.digits)
        assert all(set(kind) & set(word) for kind in (string.ascii_uppercase, string.ascii_lowercase, string.digits))
    assert mint_password("a")  # a name that is in every word is no reason to search for ever


def test_each_ticket_sets_a_password_and_tells_the_certificate(site: SimLab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with site.engine() as engine:
        with pytest.raises(Exception, match="lab-a-01"):
            engine.mint_display("lab-a-01", SOURCE)
        run = start(site, engine, "lab-a-01")
        first = engine.mint_display("lab-a-01", SOURCE)
        assert (first.user, first.fingerprint, first.address, first.port) == ("student", None, IPv4Address("10.77.0.129"), 3389)
        site.hypervisor.files["/etc/xrdp/cert.pem"] = PEM
        second = engine.mint_display("lab-a-01", SOURCE)
        assert second.fingerprint == hashlib.sha256(DER).hexdigest()
        assert first.secret != second.secret
        assert site.hypervisor.logins == [(run, "student", first.secret), (run, "student", second.secret)]
        assert site.hypervisor.granted == []
        for ticket in (first, second):
            assert ticket.secret not in repr(ticket) + caplog.text
        clean(engine)


def test_a_clone_gets_no_password_before_it_has_renewed_itself(site: SimLab) -> None:
    """Certificate and password are its template's until then: whoever has another clone of it has them too."""
    with site.engine() as engine:
        run = start(site, engine, "lab-a-01")
        with site.database.write() as work:
            work.guests.update(replace(work.guests.one("lab-a-01"), origin="clone of tiny.t1"))
            work.commit()
        site.hypervisor.files["/etc/xrdp/cert.pem"] = PEM
        for said in (None, b"lab-s01.g1\n", b"lab-a-01.g99\n"):
            site.hypervisor.files.pop("/run/labvirt/run", None)
            if said is not None:
                site.hypervisor.files["/run/labvirt/run"] = said
            with pytest.raises(GuestNotReady, match="renewing its keys"):
                engine.mint_display("lab-a-01", SOURCE)
        assert site.hypervisor.logins == []
        site.hypervisor.files["/run/labvirt/run"] = f"{run}\n".encode()
        assert engine.mint_display("lab-a-01", SOURCE).user == "student"


def test_a_password_ends_when_its_viewer_was_seen(site: SimLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "LOGIN_SECONDS", 0.2)
    with site.engine() as engine:
        start(site, engine, "lab-a-01")
        start(site, engine, "lab-a-02")
        ours, other = engine.mint_display("lab-a-01", SOURCE), engine.mint_display("lab-a-02", SOURCE)
        seen = ((SOURCE, "10.77.0.129"), (IPv4Address("10.77.0.66"), "10.77.0.130"))
        site.network.see(*(Flow(source=source, destination=IPv4Address(address), port=3389) for source, address in seen))
        until(lambda: len(site.hypervisor.logins) == 3)
        run, user, password = site.hypervisor.logins[-1]
        assert (run.guest, user) == ("lab-a-01", "student")
        assert password not in (ours.secret, other.secret)
        assert len(site.hypervisor.logins) == 3  # a stranger knocks at the other one: its ticket lasts
        clean(engine)


def test_a_password_that_nobody_used_ends_too(site: SimLab) -> None:
    site.settings = replace(site.settings, ticket_seconds=1)
    with site.engine() as engine:
        start(site, engine, "lab-a-01")
        ticket = engine.mint_display("lab-a-01", SOURCE)
        until(lambda: len(site.hypervisor.logins) == 2)
        assert site.hypervisor.logins[-1][2] != ticket.secret
        clean(engine)


def test_what_a_dead_engine_gave_out_ends_with_the_next(site: SimLab) -> None:
    with site.engine() as engine:
        run = start(site, engine, "lab-a-01")
        ticket = engine.mint_display("lab-a-01", SOURCE)
    assert len(site.hypervisor.logins) == 1
    with site.engine() as engine:
        until(lambda: len(site.hypervisor.logins) == 2)
        assert site.hypervisor.logins[-1][:2] == (run, "student")
        assert site.hypervisor.logins[-1][2] != ticket.secret
        again = engine.mint_display("lab-a-01", SOURCE)
        assert site.hypervisor.logins[-1] == (run, "student", again.secret)


def test_a_silent_or_refusing_agent_gives_no_ticket(site: SimLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "AGAIN_SECONDS", 0.1)
    site.settings = replace(site.settings, ticket_seconds=1)
    with site.engine() as engine:
        start(site, engine, "lab-a-01")
        start(site, engine, "lab-a-02")
        for error in (AgentSilent("lab-a-01"), Conflict("The agent of lab-a-01 does not set it.")):
            site.hypervisor.agents["lab-a-01"] = error
            with pytest.raises(type(error)):
                engine.mint_display("lab-a-01", SOURCE)
        assert engine.mint_display("lab-a-02", SOURCE).secret
        site.hypervisor.agents.clear()
        assert engine.mint_display("lab-a-01", SOURCE).secret
        site.hypervisor.agents["lab-a-01"] = AgentSilent("lab-a-01")
        taken_back = [login for login in site.hypervisor.logins if login[0].guest == "lab-a-01"]
        until(lambda: len([each for each in site.hypervisor.logins if each[0].guest == "lab-a-01"]) >= len(taken_back) + 2)
        site.hypervisor.agents.clear()  # it was tried again, and now it goes
        clean(engine)


def test_a_guest_that_keeps_us_waiting_keeps_nobody_else_waiting(site: SimLab) -> None:
    held = threading.Event()
    slow = [f"lab-a-{number:02d}" for number in range(1, logins.AT_ONCE + 1)]
    with site.engine() as engine, ThreadPoolExecutor(logins.AT_ONCE) as crowd:
        for name in (*slow, "lab-a-12"):
            start(site, engine, name)
        site.hypervisor.held.update(dict.fromkeys(slow, held))
        try:
            first = crowd.submit(engine.mint_display, slow[0], SOURCE)
            until(lambda: len(site.hypervisor.logins) == 1)
            with pytest.raises(OperationInProgress, match="its login is being prepared"):
                engine.mint_display(slow[0], SOURCE)
            assert engine.mint_display("lab-a-12", SOURCE).secret
            others = [crowd.submit(engine.mint_display, name, SOURCE) for name in slow[1:]]
            until(lambda: len(site.hypervisor.logins) == logins.AT_ONCE + 1)
            with pytest.raises(OperationInProgress, match="logins of others"):
                engine.mint_display("lab-a-12", SOURCE)
            looked = engine.status().reconciled_at
            until(lambda: engine.status().reconciled_at != looked)  # the engine's own loop goes on
        finally:
            held.set()
        assert all(each.result(30).secret for each in (first, *others))
        assert engine.mint_display("lab-a-12", SOURCE).secret


def test_a_driver_that_cannot_is_not_asked(site: SimLab) -> None:
    site.hypervisor.able = frozenset(Capability) - {Capability.GUEST_LOGIN}
    with site.engine() as engine:
        start(site, engine, "lab-a-01")
        until(lambda: engine.status().driver)
        with pytest.raises(Unsupported, match="guest-login"):
            engine.mint_display("lab-a-01", SOURCE)
        assert site.hypervisor.logins == []


def test_a_stopped_guest_has_no_login(site: SimLab) -> None:
    with site.engine() as engine:
        run = start(site, engine, "lab-a-01")
        assert engine.mint_display("lab-a-01", SOURCE).secret
        site.hypervisor.end(run, inside=True)

        def refused() -> bool:
            try:
                engine.mint_display("lab-a-01", SOURCE)
            except GuestNotReady:
                return True
            return False

        until(refused)
