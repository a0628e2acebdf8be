# SPDX-License-Identifier: MIT
"""Entries: what changed, without secrets and small; and the form that is sealed, which never changes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvirt.domain import audit
from labvirt.domain.audit import GENESIS, Chain, Entry, canonical, changed, cleaned, sealed, told
from labvirt.domain.caller import CallerKind
from labvirt.errors import InvalidInput

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ENTRY = Entry(number=1, at=NOW, who="anna", kind=CallerKind.PERSON, verb="change", noun="lab", subject="lab-a", what="changed", lab=None)


@dataclass(frozen=True)
class Thing:
    name: str
    seats: int = 1
    password: str = field(default="", repr=False)
    words: tuple[tuple[str, str], ...] = ()
    note: str | None = None


def test_the_form_that_is_sealed_is_this_one_for_ever() -> None:
    assert canonical(replace(ENTRY, who="é", after={"b": 1, "a": "x"})) == (
        b'[1,"2026-03-02T08:00:00.000000+00:00","\\u00e9","person","","change","lab","lab-a",null,"changed",'
        b'"{}","{\\"a\\":\\"x\\",\\"b\\":1}","done",1]'
    )
    assert sealed(GENESIS, ENTRY) == "ed788927e5e47b4051f2dcd2d2a8650d5ee31c170775469e8d183ea7864e1165"


def test_what_changed_is_told_without_secrets() -> None:
    old = Thing("a", password="hunter2", words=(("USER", "x"), ("TOKEN", "hunter2")))
    before, after = changed(old, replace(old, seats=2, password="hunter3", words=(("TOKEN", "hunter4"),), note="n"))
    entry = cleaned(replace(ENTRY, before=before, after=after))
    assert entry.before == {"note": None, "password": "(not shown)", "seats": 1, "words": ["USER=x", "TOKEN=(not shown)"]}
    assert entry.after["seats"] == 2
    assert "hunter" not in str(entry)
    assert "hunter2" in str(told(old))  # the control: it is `cleaned` that hides it
    assert changed(old, old) == ({}, {})


def test_fields_are_few_and_short() -> None:
    entry = cleaned(replace(ENTRY, after={f"f{number:03d}": "x" * 10_000 for number in range(100)}))
    assert len(entry.after) == audit.VALUES + 1
    assert len(json.dumps(dict(entry.after))) < 6000


@given(st.lists(st.tuples(st.text(), st.text(), st.dictionaries(st.text(), st.text())), min_size=2, max_size=6), st.data())
def test_any_change_of_any_entry_breaks_the_chain(texts: list[tuple[str, str, dict[str, str]]], data: st.DataObject) -> None:
    entries, seal = [], GENESIS
    for number, (who, what, fields) in enumerate(texts, start=1):
        entry = cleaned(replace(ENTRY, number=number, who=who, what=what, after=fields))
        seal = sealed(seal, entry)
        entries.append(replace(entry, seal=seal))
    chain = Chain(None)
    assert [chain.step(each) for each in entries] == [None] * len(entries)
    place = data.draw(st.integers(0, len(entries) - 1))
    name, value = data.draw(
        st.sampled_from(
            [("who", "eve"), ("what", "nothing"), ("verb", "x"), ("times", 2), ("lab", "lab-z"), ("seal", "0" * 64), ("address", "1")]
        )
    )
    forged = [*entries]
    forged[place] = replace(entries[place], **{name: value})
    chain = Chain(None)
    found = next((broken for each in forged if (broken := chain.step(each))), None)
    assert found is not None
    assert found.number == place + 1


@pytest.mark.parametrize("text", ["", "1", "x:" + "0" * 64, "1:" + "0" * 63, "1:" + "G" * 64, "-1:" + "0" * 64])
def test_an_anchor_is_a_number_and_a_seal(text: str) -> None:
    assert audit.parse_anchor("7:" + "a" * 64) == (7, "a" * 64)
    with pytest.raises(InvalidInput):
        audit.parse_anchor(text)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "0001-01-01T00:00+14:00", "9" * 50])
def test_a_time_is_a_day_or_a_moment(text: str) -> None:
    assert audit.parse_moment("2026-03-02", "since") == datetime(2026, 3, 2, tzinfo=UTC)
    assert audit.parse_moment("2026-03-02T09:00+01:00", "since") == NOW
    with pytest.raises(InvalidInput):
        audit.parse_moment(text, "since")
