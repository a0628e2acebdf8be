# SPDX-License-Identifier: MIT
"""A login minted for one terminal, end to end: `labvirt serve`, a real guest with the real agent, the terminal's own request.

The tiny guest has no remote desktop. What the agent calls and reads is put into it over its serial line: a `chpasswd` that writes down
what it is told, and a certificate.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import MakeHouse
from tests.system.house import House, guest, guest_address, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(400)]

DER = b"\x30\x82\x01\x00" + bytes(256)
TICKET_SECONDS = 10
NOT_YET = ("agent-silent", "operation-in-progress", "too-many-requests")


@pytest.fixture(scope="module")
def house(make_house: MakeHouse, tiny: Path) -> Iterator[House]:
    house = make_house()
    house.set_up(tiny, 2, profile=("--protocol", "rdp", "--user", "student"))
    for seat in (1, 2):
        house.call("terminal", "set", f"pc-{seat}", "--class", "rdp")
    with (house.state / "labvirt.toml").open("a") as settings:
        settings.write(f"ticket_seconds = {TICKET_SECONDS}\n")
    house.serve()
    house.switch_on(2)
    return house


def inside(house: House, seat: int, command: str) -> list[str]:
    with house.serial(seat) as line:
        said, code = line.shell(command)
    assert code == 0, (command, said)
    return said


def test_a_login_from_the_terminals_request_to_the_guests_password(house: House) -> None:
    one, two = house.terminals
    (answer,) = house.all_ready([one])
    assert (answer["protocol"], answer["address"], answer["port"]) == ("rdp", guest_address(1), 3389)
    assert (answer["secret"], answer["program"]) == ("ticket", "xfreerdp")
    refused = two.ticket(id=one.mac)
    assert (refused.status, b"secret" in refused.body) == (403, False)

    # Its agent comes up a little later than its network; then it refuses, because nobody has such an account.
    early = wait_for(lambda: (said := one.ticket()).told["code"] not in NOT_YET and said, "the agent answers", 150)
    assert (early.status, early.told["code"]) == (409, "conflict")
    assert "does not set the password of 'student'" in early.told["message"]

    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(DER) + b"-----END CERTIFICATE-----\n"
    inside(house, 1, "mkdir -p /etc/xrdp && echo " + base64.b64encode(pem).decode() + " | base64 -d >/etc/xrdp/cert.pem")
    script = base64.b64encode(b'#!/bin/sh\nread -r line\necho "$line" >>/run/told\n').decode()
    inside(house, 1, f"echo {script} | base64 -d >/sbin/chpasswd && chmod 755 /sbin/chpasswd")

    said = wait_for(lambda: (each := one.ticket()).status == 200 and each, "a ticket", 120)
    assert said.headers["cache-control"] == "no-store"
    told = said.told
    assert (told["guest"], told["protocol"], told["address"], told["port"]) == (guest(1), "rdp", guest_address(1), 3389)
    assert (told["user"], told["expires_seconds"]) == ("student", TICKET_SECONDS)
    assert told["fingerprint"] == hashlib.sha256(DER).hexdigest()
    assert f"student:{told['secret']}" in inside(house, 1, "cat /run/told")

    lines = wait_for(
        lambda: (read := inside(house, 1, "cat /run/told"))[-1] != f"student:{told['secret']}" and read, "it is taken back", 90
    )
    assert lines[-1].startswith("student:")
    for file in (
        path for path in house.folder.rglob("*") if path.is_file() and path.suffix in (".log", ".db", ".json", ".toml", ".db-wal")
    ):
        assert told["secret"].encode() not in file.read_bytes(), file
    for pid in house.processes():
        assert told["secret"].encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    house.verify_clean()
    assert json.dumps(told).count(told["secret"]) == 1
