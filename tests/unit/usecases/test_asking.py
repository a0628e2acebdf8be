# SPDX-License-Identifier: MIT
"""The terminal's question, ticket and heartbeat."""

from __future__ import annotations

import threading
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from labvirt.domain.addresses import MacAddress
from labvirt.domain.answer import Status
from labvirt.domain.guest import GuestState, StopHow, Wish
from labvirt.domain.profile import Protocol
from labvirt.domain.terminal import check_code
from labvirt.errors import Conflict, EngineAway, GuestNotReady, InvalidInput, NotAllowed, NotFound, TooManyRequests
from labvirt.usecases import asking, enrol, labs, power, profiles, terminals
from tests.unit.usecases.conftest import MAC, OWN, Site


def ask(site: Site, id: str | None = str(MAC), source: IPv4Address | None = OWN) -> asking.Asked:
    return asking.ask(site.ports, id, source)


@pytest.mark.parametrize("id", [str(MAC), "52-54-00-00-00-01", "525400000001", "5254.0000.0001", "pc-01", "10.77.0.65", None])
def test_a_known_terminal_is_found_by_every_kind_of_id_and_gets_a_guest(site: Site, id: str | None) -> None:
    asked = ask(site, id)
    assert asked.terminal is not None
    assert asked.terminal.name == "pc-01"
    assert asked.answer.status is Status.STARTING
    assert asked.answer.guest == "lab-a-01"
    guest = site.guest()
    assert guest is not None
    assert (guest.wish, guest.state, guest.generation, guest.terminal) == (Wish.RUNNING, GuestState.WANTED, 1, "pc-01")
    assert site.engine.pokes == 1
    assert site.history("lab-a-01") == ["wanted: its terminal pc-01 asked"]


def test_an_inventory_id_may_be_any_string_without_spaces(site: Site) -> None:
    terminals.change(site.ports, "pc-01", inventory_id="$(reboot);'../../x")
    assert ask(site, "$(reboot);'../../x", None).terminal is not None
    assert ask(site, "$(reboot);'../../y", None).terminal is None
    with pytest.raises(InvalidInput, match="id"):
        ask(site, "two words")
    with pytest.raises(InvalidInput, match="id"):
        ask(site, "x" * 65)


def test_a_question_without_id_and_source_is_refused(site: Site) -> None:
    assert ask(site, None, OWN).terminal is not None
    with pytest.raises(InvalidInput, match="id"):
        ask(site, None, None)


def test_asking_again_writes_nothing(site: Site) -> None:
    ask(site)
    before = site.guest(), site.history("lab-a-01"), site.engine.pokes

    class NoWrites:
        def __getattr__(self, name: str) -> object:
            assert name == "read", "a question about a wanted guest wrote"
            return getattr(site.ports.database, name)

    from dataclasses import replace

    quiet = replace(site.ports, database=NoWrites())  # type: ignore[arg-type]
    for state in (GuestState.WANTED, GuestState.STARTING, GuestState.RUNNING, GuestState.CONNECTED):
        site.move(state)
        assert asking.ask(quiet, str(MAC), OWN).terminal is not None
    site.move(GuestState.STOPPED)
    with pytest.raises(AssertionError, match="wrote"):
        asking.ask(quiet, str(MAC), OWN)
    assert (site.history("lab-a-01"), site.engine.pokes) == before[1:]


def test_a_ready_guest_is_told_with_its_viewer_and_no_secret(site: Site) -> None:
    ask(site)
    site.move(GuestState.RUNNING)
    answer = ask(site).answer
    assert answer.status is Status.READY
    assert answer.viewer is not None
    assert (str(answer.viewer.address), answer.viewer.port, answer.viewer.subject) == ("10.77.0.1", 20001, "CN=lab-a-01")
    assert answer.viewer.secret
    assert answer.viewer.arguments[-1] == "%VV%"
    profiles.change(site.ports, "desk", protocol=Protocol.RDP, user="student")
    terminals.change(site.ports, "pc-01", terminal_class="rdp")
    answer = ask(site).answer
    assert answer.viewer is not None
    assert (str(answer.viewer.address), answer.viewer.port, answer.viewer.secret) == ("10.77.0.129", 3389, True)
    assert "/u:student" in answer.viewer.arguments
    profiles.change(site.ports, "desk", user=None)
    answer = ask(site).answer
    assert answer.status is Status.FAILED
    assert "%USER%" in answer.message


def test_a_living_guest_keeps_its_answer_when_its_profile_is_switched_off(site: Site) -> None:
    ask(site)
    site.move(GuestState.RUNNING)
    profiles.change(site.ports, "desk", active=False)
    assert ask(site).answer.status is Status.READY
    site.move(GuestState.STOPPED)
    refused = ask(site)
    assert refused.answer.status is Status.FAILED
    assert "not active" in refused.answer.message
    assert site.guest() is not None
    assert refused.guest is not None
    assert refused.guest.state is GuestState.STOPPED


def test_an_inactive_terminal_gets_no_guest(site: Site) -> None:
    terminals.change(site.ports, "pc-01", active=False)
    assert ask(site).answer.status is Status.INACTIVE
    assert site.guest() is None
    terminals.change(site.ports, "pc-01", active=True)
    assert ask(site).answer.status is Status.STARTING


def test_a_seat_beyond_max_instances_gets_no_guest(site: Site) -> None:
    terminals.add(site.ports, lab="lab-a", name="pc-09", seat=9, mac=MacAddress.parse("52:54:00:00:00:09"))
    refused = ask(site, "pc-09", None).answer
    assert refused.status is Status.FAILED
    assert "seats 1 to 8" in refused.message
    labs.change(site.ports, "lab-a", max_instances=9)
    assert ask(site, "pc-09", None).answer.status is Status.STARTING


def test_a_stopped_guest_starts_when_its_terminal_asks_but_not_half_way(site: Site) -> None:
    ask(site)
    site.move(GuestState.RUNNING)
    power.stop(site.ports, "pc-01", StopHow.SHUTDOWN)
    stopping = ask(site)
    assert stopping.guest is not None
    assert stopping.guest.wish is Wish.STOPPED
    assert "being stopped" in stopping.answer.message
    site.move(GuestState.STOPPING)
    again = ask(site).guest
    assert again is not None
    assert again.wish is Wish.STOPPED
    site.move(GuestState.STOPPED)
    started = ask(site).guest
    assert started is not None
    assert (started.wish, started.state) == (Wish.RUNNING, GuestState.WANTED)
    assert started.generation > stopping.guest.generation


@pytest.mark.parametrize("failures, pause", [(0, 5), (1, 10), (3, 40), (6, 300), (60, 300)])
def test_a_failed_guest_is_tried_again_only_after_a_growing_pause(site: Site, failures: int, pause: int) -> None:
    ask(site)
    site.move(GuestState.STARTING)
    site.move(GuestState.FAILED, reason="no room", failures=failures)
    site.clock.go(pause - 1)
    waiting = ask(site)
    assert waiting.answer.status is Status.FAILED
    assert "no room" in waiting.answer.message
    site.clock.go(1)
    tried = ask(site)
    assert tried.answer.status is Status.STARTING
    assert tried.guest is not None
    assert tried.guest.failures == failures


def test_a_full_host_is_said(site: Site) -> None:
    ask(site)
    site.move(GuestState.WANTED, reason="full: memory")
    answer = ask(site).answer
    assert (answer.status, answer.waits_for) == (Status.FULL, "memory")


def test_a_stranger_gets_one_code_and_lands_in_the_inbox_once(site: Site) -> None:
    asked = [ask(site, "02-11-22-33-44-55", IPv4Address("10.77.0.20")) for _ in range(3)]
    codes = {a.answer.enrolment_code for a in asked}
    assert len(codes) == 1
    assert all(a.answer.status is Status.UNKNOWN and a.terminal is None for a in asked)
    (stranger,) = enrol.strangers(site.ports)
    assert stranger.id == "02:11:22:33:44:55"
    assert check_code(stranger.code) in codes
    assert stranger.asked == 1
    site.clock.go(31)
    ask(site, "02:11:22:33:44:55", IPv4Address("10.77.0.20"))
    (stranger,) = enrol.strangers(site.ports)
    assert (stranger.asked, stranger.last_seen) == (2, site.clock.now())


def test_a_stranger_without_id_is_known_by_the_mac_of_its_lease(site: Site) -> None:
    address, mac = IPv4Address("10.77.0.20"), MacAddress.parse("02:11:22:33:44:55")
    site.engine.away = True
    assert ask(site, None, address).terminal is None
    assert [s.id for s in enrol.strangers(site.ports)] == ["10.77.0.20"]
    site.engine.away = False
    site.engine.lease("lab-a", mac, address)
    ask(site, None, address)
    assert {s.id for s in enrol.strangers(site.ports)} == {"10.77.0.20", str(mac)}
    adopted = enrol.adopt(site.ports, str(mac), lab="lab-a")
    assert (adopted.mac, adopted.seat, adopted.name) == (mac, 2, "lab-a-t02")
    assert ask(site, None, address).terminal == adopted


def test_an_engine_that_is_away_loses_no_wish(site: Site) -> None:
    site.engine.away = True
    assert ask(site).answer.status is Status.STARTING
    assert site.guest() is not None


def test_a_mac_used_from_a_second_address_is_noted_once_and_answered(site: Site) -> None:
    other = IPv4Address("10.77.0.70")
    for _ in range(3):
        assert ask(site, str(MAC), other).answer.status is Status.STARTING
    noted = [line for line in site.history("pc-01") if "second machine" in line]
    assert len(noted) == 1
    assert "10.77.0.70" in noted[0]
    for harmless in (OWN, IPv4Address("10.77.0.1"), IPv4Address("10.77.0.30"), IPv4Address("192.168.1.1"), None):
        ask(site, str(MAC), harmless)
    assert [line for line in site.history("pc-01") if "second machine" in line] == noted


def test_a_terminal_that_was_just_adopted_is_told_to_ask_for_its_own_address(site: Site) -> None:
    stranger = IPv4Address("10.77.0.30")
    asked = ask(site, str(MAC), stranger)
    assert (asked.answer.status, asked.answer.renew) == (Status.STARTING, OWN)
    assert ask(site, str(MAC), stranger).answer.renew == OWN  # also when nothing is written
    assert ask(site, str(MAC), OWN).answer.renew is None


def test_forty_terminals_at_once_get_forty_guests(site: Site) -> None:
    labs.change(site.ports, "lab-a", max_instances=45)
    for number in range(2, 41):
        terminals.add(site.ports, lab="lab-a", mac=MacAddress(0x525400000000 + number))
    problems: list[BaseException] = []
    gate = threading.Barrier(40)

    def one(number: int) -> None:
        try:
            gate.wait()
            for _ in range(3):
                assert ask(site, str(MacAddress(0x525400000000 + number)), None).answer.status is Status.STARTING
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            problems.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(1, 41)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not problems
    assert len(power.guests(site.ports, "lab-a")) == 40
    assert all(guest.generation == 1 for guest in power.guests(site.ports))


def proven(site: Site) -> None:
    site.engine.lease("lab-a", MAC, OWN)


def test_a_ticket_goes_only_to_the_leased_address(site: Site) -> None:
    ask(site)
    site.move(GuestState.RUNNING)
    with pytest.raises(NotAllowed, match="does not hold the lease"):
        asking.ticket(site.ports, str(MAC), OWN)
    proven(site)
    ticket = asking.ticket(site.ports, str(MAC), OWN)
    assert (ticket.guest, ticket.secret) == ("lab-a-01", "s3cret")
    assert asking.ticket(site.ports, None, OWN).guest == "lab-a-01"
    for wrong in (IPv4Address("10.77.0.66"), IPv4Address("192.168.1.1"), None):
        with pytest.raises(NotAllowed):
            asking.ticket(site.ports, str(MAC), wrong)
    site.engine.lease("lab-a", MacAddress.parse("02:11:22:33:44:55"), OWN)
    with pytest.raises(NotAllowed):  # two claim it: nobody is believed
        asking.ticket(site.ports, str(MAC), OWN)
    assert [words for words in site.engine.asked if words[0] == "mint_display"] == [("mint_display", "lab-a-01", str(OWN))] * 2


def _inactive(site: Site) -> None:
    terminals.change(site.ports, "pc-01", active=False)


def _stopped(site: Site) -> None:
    site.move(GuestState.STOPPED)


def _rdp(site: Site) -> None:
    profiles.change(site.ports, "desk", protocol=Protocol.RDP)


def _away(site: Site) -> None:
    site.engine.away = True


def _without_mac(site: Site) -> None:
    terminals.change(site.ports, "pc-01", mac=None)


@pytest.mark.parametrize(
    "obstacle, error",
    [(_inactive, NotAllowed), (_stopped, GuestNotReady), (_rdp, Conflict), (_away, EngineAway), (_without_mac, NotAllowed)],
)
def test_a_ticket_is_refused_with_a_reason(site: Site, obstacle: Callable[[Site], None], error: type[Exception]) -> None:
    ask(site)
    site.move(GuestState.RUNNING)
    proven(site)
    assert asking.ticket(site.ports, "pc-01", OWN).secret
    obstacle(site)
    with pytest.raises(error):
        asking.ticket(site.ports, "pc-01", OWN)


def test_an_rdp_login_is_minted_where_the_profile_names_a_user(site: Site) -> None:
    ask(site)
    site.move(GuestState.RUNNING)
    proven(site)
    profiles.change(site.ports, "desk", protocol=Protocol.RDP)
    with pytest.raises(Conflict, match="needs no ticket"):
        asking.ticket(site.ports, "pc-01", OWN)
    profiles.change(site.ports, "desk", user="student")
    assert asking.ticket(site.ports, "pc-01", OWN).secret
    with pytest.raises(NotAllowed):
        asking.ticket(site.ports, "pc-01", IPv4Address("10.77.0.66"))
    site.move(GuestState.STOPPED)
    with pytest.raises(GuestNotReady):
        asking.ticket(site.ports, "pc-01", OWN)


def test_unknown_terminals_get_neither_ticket_nor_heartbeat(site: Site) -> None:
    with pytest.raises(NotFound):
        asking.ticket(site.ports, "02:11:22:33:44:55", OWN)
    with pytest.raises(NotFound):
        asking.heartbeat(site.ports, "02:11:22:33:44:55", OWN, viewer="running")


def test_tickets_are_bounded_per_terminal_and_minute(site: Site) -> None:
    ask(site)
    site.move(GuestState.RUNNING)
    proven(site)
    for _ in range(10):
        asking.ticket(site.ports, "pc-01", OWN)
    with pytest.raises(TooManyRequests) as caught:
        asking.ticket(site.ports, "pc-01", OWN)
    assert caught.value.retry_seconds == 60
    site.clock.go(60)
    assert asking.ticket(site.ports, "pc-01", OWN).secret


def test_a_heartbeat_is_kept_as_the_terminals_word(site: Site) -> None:
    proven(site)
    asking.heartbeat(site.ports, None, OWN, viewer="ended", viewer_exit=3, kiosk="1\x1b[2J", error="a\nb" * 200)
    with site.ports.database.read() as work:
        (beat,) = work.heartbeats.list()
    assert (beat.terminal, beat.viewer, beat.viewer_exit, beat.kiosk) == ("pc-01", "ended", 3, "1[2J")
    assert "\n" not in beat.error
    assert len(beat.error) <= 200
    with pytest.raises(NotAllowed):
        asking.heartbeat(site.ports, "pc-01", IPv4Address("10.77.0.66"), viewer="running")
    with pytest.raises(InvalidInput, match="viewer"):
        asking.heartbeat(site.ports, None, OWN, viewer="dancing")
