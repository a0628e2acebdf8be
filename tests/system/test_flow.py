# SPDX-License-Identifier: MIT
"""Flow 1 on the real thing: four terminals, four guests, leases, names, tickets, and who reaches whom.

The state folder lies deeper than the path of a Unix socket may be long: nobody may notice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rdatatype
import pytest

from tests.system import netns, spice
from tests.system.conftest import MakeHouse
from tests.system.house import (
    GATEWAY,
    PORT,
    House,
    Terminal,
    argv_of,
    guest,
    guest_address,
    mac,
    terminal_address,
    unix_connection,
    wait_for,
)

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]

SEATS = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def house(make_house: MakeHouse, tiny: Path) -> Iterator[House]:
    house = make_house(deep=True)
    house.set_up(tiny, len(SEATS))
    house.serve()
    house.switch_on(len(SEATS))
    return house


@pytest.fixture(scope="module")
def answers(house: House) -> list[dict[str, Any]]:
    return house.all_ready()


def planned_mac(seat: int) -> str:
    """Prefix 02:4c:56, block 0, seat: computed by hand."""
    return f"02:4c:56:00:00:{seat:02x}"


@pytest.mark.timeout(600)
def test_four_terminals_get_four_guests_each_with_its_own_address_and_name(house: House, answers: list[dict[str, Any]]) -> None:
    assert [a["guest"] for a in answers] == [guest(seat) for seat in SEATS]
    assert [(a["protocol"], a["address"], a["port"], a["subject"], a["secret"]) for a in answers] == [
        ("spice", GATEWAY, 20000 + seat, f"CN={guest(seat)}", "ticket") for seat in SEATS
    ]
    leases = {fields[1]: fields[2] for fields in _lease_lines(house)}
    for seat in SEATS:
        facts = house.facts(seat)
        assert (facts["name"], facts["serial"]) == (guest(seat), guest(seat))
        assert (facts["mac"], facts["address"]) == (planned_mac(seat), guest_address(seat))
        assert leases[planned_mac(seat)] == guest_address(seat)
        assert leases[mac(seat)] == terminal_address(seat) == house.terminals[seat - 1].address
        assert _resolve(house, f"{guest(seat)}.labvirt.internal") == [guest_address(seat)]
        assert _resolve(house, f"sys-t{seat:02d}.labvirt.internal") == [terminal_address(seat)]
    assert len({house.facts(seat)["boot_id"] for seat in SEATS}) == len(SEATS)
    assert _resolve(house, "sys-99.labvirt.internal") == []  # control: not everything resolves


def _lease_lines(house: House) -> list[list[str]]:
    return [line.split() for line in (house.state / "networks" / "sys" / "leases").read_text().splitlines()]


def _resolve(house: House, name: str) -> list[str]:
    """Asked by the first terminal."""
    question = dns.message.make_query(name, dns.rdatatype.A)
    answer = netns.inside(house.terminals[0].namespace, lambda: dns.query.udp(question, GATEWAY, timeout=5.0))
    return [record.address for found in answer.answer for record in found if record.rdtype == dns.rdatatype.A]


def test_verify_is_clean_and_names_a_stray(house: House, answers: list[dict[str, Any]]) -> None:
    house.verify_clean()
    netns.command("ip", "-n", house.namespace, "tuntap", "add", "lvt000fff", "mode", "tap")
    try:
        outcome = house.run("verify")
        assert outcome.code == 1
        assert "lvt000fff" in {finding["subject"] for finding in outcome.json["findings"]}
    finally:
        netns.command("ip", "-n", house.namespace, "link", "delete", "lvt000fff")
    house.verify_clean()


def test_explain_shows_the_command_line_that_runs(house: House, answers: list[dict[str, Any]]) -> None:
    for seat in SEATS[:2]:
        told = house.call("guest", "explain", guest(seat))
        words = argv_of(house.machines()[guest(seat)])
        assert told["command_line"][-len(words) :] == words
        assert told["identity"]["mac"] == planned_mac(seat)
        assert told["lease"]["address"] == guest_address(seat)
        assert told["disks"][0]["now"]["version"] == 1
        assert told["rule"]
        assert [verdict["profile"] for verdict in told["verdicts"] if verdict["taken"]] == ["tiny"]
        by_terminal = house.call("guest", "explain", f"pc-{seat}")
        assert by_terminal["command_line"] == told["command_line"]


def test_a_guest_has_no_right_and_sees_only_its_own(house: House, answers: list[dict[str, Any]]) -> None:
    pid = house.machines()[guest(1)]
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2")
    uids = {Path(f"/proc/{each}").stat().st_uid for each in house.machines().values()}
    assert len(uids) == len(SEATS)
    assert 0 not in uids
    root = Path(f"/proc/{pid}/root")
    assert (root / "run/guest/qemu.log").exists()  # control: its own folder is there
    assert not (root / house.state.relative_to("/")).exists()
    assert not (root / "etc/shadow").exists()
    web = dict(line.split(":", 1) for line in Path(f"/proc/{house.part('web')}/status").read_text().splitlines())
    assert int(web["CapEff"], 16) == int(web["CapBnd"], 16) == 0
    assert web["NoNewPrivs"].strip() == "1"


def test_a_display_opens_for_its_own_terminal_and_its_secret_once(house: House, answers: list[dict[str, Any]]) -> None:
    one, two = house.terminals[:2]
    port = answers[0]["port"]
    assert not one.reaches(GATEWAY, port)
    for said in (two.ticket(id=one.mac), two.ticket(id="pc-1"), two.ticket(id=one.address)):
        assert said.status == 403, said
        assert b"secret" not in said.body
    assert not one.reaches(GATEWAY, port)
    said = one.ticket()
    assert said.status == 200, said
    assert said.headers["cache-control"] == "no-store"
    assert (said.told["guest"], said.told["port"]) == (guest(1), port)
    secret = said.told["secret"]
    assert one.reaches(GATEWAY, port)
    assert not two.reaches(GATEWAY, port)
    ca = one.authority()
    with spice.Viewer(one.connect(GATEWAY, port), ca) as viewer:
        assert viewer.subject == f"CN={guest(1)}"
        assert viewer.link("wrong" + secret) == spice.PERMISSION_DENIED
    with spice.Viewer(one.connect(GATEWAY, port), ca) as viewer:
        assert viewer.link(secret) == spice.OK
        wait_for(lambda: house.state_of(1) == "connected", "the viewer is seen")
        wait_for(lambda: not one.reaches(GATEWAY, port, 1.0), "the used ticket is taken back")
        newer = one.ticket()
        assert newer.status == 200, newer
        with spice.Viewer(one.connect(GATEWAY, port), ca) as again:
            assert again.link(secret) == spice.PERMISSION_DENIED
        with spice.Viewer(one.connect(GATEWAY, port), ca) as again:
            assert again.link(newer.told["secret"]) == spice.OK
    wait_for(lambda: house.state_of(1) == "running", "the viewer has left")
    _nowhere(house, [secret, newer.told["secret"]])


def _nowhere(house: House, secrets: list[str]) -> None:
    """In no file of the state folder, no log and no process's words; each search proves that it would find."""
    files = [path for path in house.folder.rglob("*") if path.is_file() and path.name != "dhcp.sh"]
    everything = {path: path.read_bytes() for path in files if path.stat().st_size < 64 << 20}
    words = {pid: Path(f"/proc/{pid}/{part}").read_bytes() for pid in house.processes() for part in ("cmdline", "environ")}
    for secret in secrets:
        assert [path for path, content in everything.items() if secret.encode() in content] == []
        assert [pid for pid, content in words.items() if secret.encode() in content] == []
    assert [path for path, content in everything.items() if b"sys-01" in content]
    assert [pid for pid in words if b"labvirt" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_tickets_are_bounded_and_unknown_terminals_get_none(house: House, answers: list[dict[str, Any]]) -> None:
    three = house.terminals[2]
    assert three.ticket(id="nobody").status == 404
    assert three.ticket(id="a b").status == 400
    statuses = [three.ticket().status for _ in range(12)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert three.ask()["status"] == "ready"  # a question holds no secret and is not bounded by that


def test_a_guest_reaches_neither_controller_nor_other_guests_and_terminals_reach_it(house: House, answers: list[dict[str, Any]]) -> None:
    with house.serial(1) as line:

        def connects(address: str, port: int) -> bool:
            return line.shell(f"nc -w 3 {address} {port} </dev/null >/dev/null; echo $?")[0][-1] == "0"

        assert connects(GATEWAY, 53)  # control: what it may, it can
        assert not connects(GATEWAY, PORT)
        assert not connects(GATEWAY, 20001)
        assert not connects(guest_address(2), 7000)
        assert line.shell(f"ping -c 1 -W 2 {guest_address(2)} >/dev/null")[1] != 0
        assert line.shell(f"ping -c 1 -W 2 {terminal_address(1)} >/dev/null")[1] == 0
        assert guest_address(2) in "\n".join(line.shell("nslookup sys-02.labvirt.internal 2>&1; echo")[0])
    for terminal in house.terminals[:2]:
        with terminal.connect(guest_address(1), 7000) as connection:
            assert b"boot_id" in connection.recv(4096)


def test_a_second_machine_with_the_same_mac_gets_no_ticket(house: House, answers: list[dict[str, Any]]) -> None:
    owner = house.terminals[3]
    assert owner.ticket().status == 200  # control
    thief = house.stranger(9, owner.mac, ours=False)
    thief.take("10.78.0.99")
    assert wait_for(lambda: _asked(thief), "the thief's question gets through")["status"] == "ready"  # it holds no secret
    said = thief.ticket()
    assert said.status == 403, said
    assert b"secret" not in said.body
    assert b"10.78.0.99" in said.body
    netns.command("ip", "-n", thief.namespace, "link", "set", "eth0", "down")
    wait_for(lambda: _asked(owner), "the bridge finds the owner again")
    assert owner.ticket().status == 200
    noted = house.call("audit", "list", "--subject", "pc-4")
    assert any("10.78.0.99" in entry["what"] for entry in noted)


def _asked(terminal: Terminal) -> dict[str, Any] | None:
    """Both answer to one MAC, so the bridge sends answers now here, now there."""
    try:
        return terminal.ask()
    except OSError:
        return None


def test_a_stranger_is_adopted_once_and_a_second_with_its_mac_is_refused(house: House, answers: list[dict[str, Any]]) -> None:
    stranger = house.stranger(11, "52:54:00:5b:00:0b", ours=False)
    address = stranger.lease()
    assert 16 <= int(address.rpartition(".")[2]) < 64  # quarantine
    told = stranger.ask(id=stranger.mac)
    assert told["status"] == "unknown"
    code = told["enrolment_code"]
    assert re.fullmatch(r"[A-Z0-9]{6}", code)
    assert code in told["message"]
    assert code in {each["code"] for each in house.call("terminal", "inbox")}
    assert stranger.ticket().status == 404
    adopted = house.call("terminal", "adopt", code, "--lab", "sys", "--name", "newcomer")
    assert (adopted["seat"], adopted["mac"]) == (5, stranger.mac)
    for words in (
        ("terminal", "adopt", code, "--lab", "sys"),
        ("terminal", "add", "second", "--lab", "sys", "--mac", stranger.mac),
        ("terminal", "add", "newcomer", "--lab", "sys", "--mac", "52:54:00:5b:00:0c"),
        ("terminal", "add", "third", "--lab", "sys", "--seat", "5", "--mac", "52:54:00:5b:00:0c"),
    ):
        refused = house.run(*words)
        assert refused.code == 1, refused
        if words[1] == "add":
            assert "newcomer" in refused.stderr, refused
    house.call("terminal", "set", "newcomer", "--inactive")
    wait_for(lambda: stranger.ask()["status"] == "inactive", "it is switched off")
    assert house.call("terminal", "list")[-1]["name"] in {"newcomer", "pc-4"}


FORMS = ("plain", "json", "rdp", "vv")


def test_every_form_of_the_answer_is_the_same_answer_without_a_secret(house: House, answers: list[dict[str, Any]]) -> None:
    one = house.terminals[0]
    said = {form: one.request("GET", f"/terminals/config?id={one.mac}&format={form}&wait=0") for form in FORMS}
    assert {each.status for each in said.values()} == {200}
    assert said["plain"].told["guest"] == said["json"].told["guest"] == guest(1)
    assert b"host-subject=CN=sys-01" in said["vv"].body
    assert b"BEGIN CERTIFICATE" in said["vv"].body
    assert all(b"password" not in each.body for each in said.values())
    etag = said["json"].headers["etag"]
    held = one.request("GET", f"/terminals/config?id={one.mac}&format=json&wait=1", headers={"If-None-Match": etag})
    assert (held.status, held.body) == (304, b"")


HOSTILE = (
    "x" * 300,
    "$(reboot)",
    "`id`",
    "; rm -rf /",
    "../../etc/passwd",
    "%2e%2e%2f",
    "a\nb",
    "\x00",
    "é" * 40,
    "' OR 1=1 --",
    "<script>",
    "-rf",
)


def test_hostile_words_in_every_field_are_refused_and_change_nothing(house: House, answers: list[dict[str, Any]]) -> None:
    one = house.terminals[0]
    before = house.call("terminal", "list"), house.call("guest", "list"), house.machines()
    for value in HOSTILE:
        _say_everywhere(one, value)
    assert (house.call("terminal", "list"), house.call("guest", "list"), house.machines()) == before
    assert one.ask()["status"] == "ready"
    assert "Traceback" not in house.logs()


def _say_everywhere(one: Terminal, value: str) -> None:
    quoted = _quote(value)
    asked = one.request("GET", f"/terminals/config?id={quoted}&wait=0&format=json")
    if re.fullmatch(r"[!-~]{1,64}", value):  # any printable string may be an inventory number: it is nobody's
        assert (asked.status, asked.told["status"]) == (200, "unknown"), asked
    else:
        assert asked.status == 400, asked
        assert b"id" in asked.body
    for field in ("format", "wait", quoted[:100]):
        said = one.request("GET", f"/terminals/config?id={one.mac}&{field}={quoted}")
        assert said.status == 400, (field, said)
        assert len(said.body) < 1000
    for path, good in (("/terminals/ticket", {"format": "json"}), ("/terminals/heartbeat", {"viewer": "none"})):
        for form in ({**good, "id": value}, dict.fromkeys(good, value) | {"id": one.mac}):
            said = one.request("POST", path, form)
            assert said.status in (400, 404), (path, form, said)
            assert b"secret" not in said.body
    for field in ("viewer_exit", "viewer_seconds"):
        said = one.request("POST", "/terminals/heartbeat", {"id": one.mac, "viewer": "none", field: value})
        assert said.status == 400, (field, said)
    taken = one.request("POST", "/terminals/heartbeat", {"id": one.mac, "viewer": "none", "kiosk": value, "error": value})
    assert taken.status == 204, taken  # free text is kept clean and short


def _quote(value: str) -> str:
    return "".join(f"%{byte:02X}" for byte in value.encode())


def test_screens_and_consoles_are_of_the_guest_that_was_named(house: House, answers: list[dict[str, Any]], tmp_path: Path) -> None:
    picture = tmp_path / "screen.png"
    told = house.call("guest", "screenshot", guest(2), str(picture))
    assert told["size_bytes"] == picture.stat().st_size > 500
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert house.run("guest", "screenshot", "sys-77", str(picture)).code == 1
    with unix_connection(house.run_folder(2) / "vnc.sock") as console:
        assert console.recv(12).startswith(b"RFB 003.")
    # Over TCP there are the controller, the lab's names and the four displays, and nothing else.
    places = _listening(house)
    local = {(port, address) for port, address in places if address.startswith("fe80:")}
    assert places - local == {(PORT, "0.0.0.0"), (53, GATEWAY), *((20000 + seat, GATEWAY) for seat in SEATS)}
    # The name server takes the bridge's IPv6 address too; nobody in the lab gets there.
    assert house.terminals[0].reaches(GATEWAY, 53)
    assert not any(house.terminals[0].reaches(f"{address}%eth0", port) for port, address in local)


def _listening(house: House) -> set[tuple[int, str]]:
    """Port and address of every listener in the house's namespace."""
    listed = netns.command("ip", "netns", "exec", house.namespace, "ss", "-Hltn").splitlines()
    places = [line.split()[3].rpartition(":") for line in listed]
    return {(int(port), address.strip("[]").partition("%")[0].strip("]")) for address, _, port in places}
