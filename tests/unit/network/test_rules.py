# SPDX-License-Identifier: MIT
"""The rules of the packet filter: as text that people looked at, and read back."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from labvirt.network.nftables import listing, rules
from labvirt.network.nftables.expressions import Command
from tests.unit.network import example

GOLDEN = Path(__file__).parent / "golden"

GRANT = rules.Grant(source=IPv4Address("10.77.0.65"), gateway=example.NETWORK.gateway, port=20001)
TRANSACTIONS: dict[str, list[Command]] = {
    "replace": rules.replace([example.NETWORK], [example.port(1)], [GRANT]),
    "labs": rules.set_labs([example.NETWORK]),
    "port": rules.set_port(example.port(2), rules.port_elements(example.port(1))),
    "unplug": rules.remove(rules.port_elements(example.port(1))),
    "grant": rules.set_grant(GRANT, [dataclasses.replace(GRANT, source=IPv4Address("10.77.0.66"))]),
    "revoke": rules.remove_grants([GRANT]),
}


def text(commands: list[Command]) -> str:
    lines = ",\n".join(json.dumps(command) for command in commands)
    return f'{{"nftables": [\n{lines}\n]}}\n'


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_a_transaction_is_the_one_that_people_looked_at(name: str, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / f"{name}.nft.json", text(TRANSACTIONS[name]))


def test_rules_name_no_lab_and_no_port() -> None:
    """Everything that differs from lab to lab is in sets: plugging never touches a rule."""
    both = (
        [one for one in rules.replace(labs, ports, []) if "rule" in one.get("add", {})]
        for labs, ports in (([], []), ([example.NETWORK], [example.port(1)]))
    )
    assert next(both) == next(both)


@pytest.mark.real
def test_nft_itself_takes_every_transaction_and_refuses_a_broken_one() -> None:
    def judge(commands: list[Command]) -> int:
        # -c looks at what exists, so all that a later transaction needs is made in the same look.
        argv = ["unshare", "--net", "nft", "-c", "-j", "-f", "-"]
        return subprocess.run(argv, input=text(commands).encode(), capture_output=True, check=False).returncode

    assert judge(TRANSACTIONS["replace"]) == 0
    nowhere = {"family": "bridge", "table": "labvirt", "chain": "guest", "expr": [{"jump": {"target": "nowhere"}}]}
    broken = [*TRANSACTIONS["replace"], {"add": {"rule": nowhere}}]
    assert judge(broken) != 0


def listed() -> list[dict[str, object]]:
    """What nft would say after `replace`: our own commands in the shape of a listing."""
    found: list[dict[str, object]] = [{"metainfo": {"version": "1.0.6"}}]
    sets: dict[tuple[str, str], dict[str, object]] = {}
    for command in TRANSACTIONS["replace"]:
        for kind, value in command.get("add", {}).items():
            if kind == "element":
                sets[value["family"], value["name"]]["elem"] = value["elem"]
            else:
                found.append({kind: dict(value)})
                if kind == "set":
                    sets[value["family"], value["name"]] = found[-1]["set"]  # type: ignore[assignment]
    return found


def test_what_was_written_is_read_back() -> None:
    seen = listing.parse(listed())
    assert seen.base_intact
    assert seen.knows([example.NETWORK])
    assert not seen.knows([])
    assert seen.filtered == {str(example.port(1).tap)}
    assert seen.grants == (GRANT,)
    assert seen.flows == ()
    assert rules.by_port(seen.elements) == {str(example.port(1).tap): rules.port_elements(example.port(1))}


@pytest.mark.parametrize("missing", [1, 5, 21, -1])
def test_a_missing_piece_is_noticed(missing: int) -> None:
    things = [thing for thing in listed() if "metainfo" not in thing and "table" not in thing]
    del things[missing]
    assert not listing.parse(things).base_intact


def test_nothing_at_all_is_not_intact() -> None:
    assert not listing.parse([]).base_intact
    assert listing.parse([]).filtered == frozenset()


def test_elements_are_equal_however_nft_writes_them() -> None:
    first, last = "10.77.0.16", "10.77.0.31"
    lab = dataclasses.replace(example.NETWORK, quarantine=(IPv4Address(first), IPv4Address(last)))
    elements = {**rules.lab_elements([lab])}
    elements["bridge", "quarantine"] = [{"prefix": {"addr": first, "len": 28}}]
    assert listing.Listing(elements=elements).knows([lab])
    elements["bridge", "quarantine"] = [{"prefix": {"addr": first, "len": 29}}]
    assert not listing.Listing(elements=elements).knows([lab])


def test_seen_flows_are_read_with_their_age() -> None:
    wrapped = {"elem": {"val": {"concat": ["10.77.0.65", "10.77.0.129", 3389]}, "timeout": 30, "expires": 12}}
    seen = listing.parse([{"set": {"family": "bridge", "table": "labvirt", "name": "flows", "elem": [wrapped]}}])
    (flow,) = seen.flows
    assert (str(flow.source), str(flow.destination), flow.port) == ("10.77.0.65", "10.77.0.129", 3389)


def test_only_a_lab_that_was_given_over_has_servers_of_others() -> None:
    servers = (IPv4Address("10.77.0.2"), IPv4Address("10.77.0.15"))
    given = dataclasses.replace(example.NETWORK, dhcp_servers=servers)
    assert rules.lab_elements([given])["bridge", "servers"] == [{"range": [str(end) for end in servers]}]
    assert rules.lab_elements([example.NETWORK])["bridge", "servers"] == []
