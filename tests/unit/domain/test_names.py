# SPDX-License-Identifier: MIT
"""Names that become host names, folders and sockets, and free text that is shown on terminals."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvirt.domain.names import NAME_LENGTH, check_name, check_terminal_id, one_line
from labvirt.domain.terminal import CODE_LETTERS, check_code
from labvirt.errors import InvalidInput

HOSTILE = [
    "",
    "x" * 33,
    "x" * 300,
    "../../etc/passwd",
    "a/b",
    "a;reboot",
    "$(reboot)",
    "a b",
    "A",
    "-a",
    "a-",
    "1a",
    "a\n",
    "a\x00",
    "é",
    "ａ",
    "a.b",
    "a_b",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused_with_their_field(name: str) -> None:
    assert check_name("lab-a", "field") == "lab-a"
    with pytest.raises(InvalidInput) as caught:
        check_name(name, "some_field")
    assert caught.value.field == "some_field"


@given(st.from_regex(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True))
def test_proper_names_are_kept(name: str) -> None:
    assert check_name(name, "name") == name
    assert len(name) <= NAME_LENGTH


@given(st.text(max_size=70))
def test_whatever_passes_is_a_label_and_a_plain_file_name(text: str) -> None:
    try:
        name = check_name(text, "name")
    except InvalidInput:
        return
    assert name.isascii()
    assert name == name.lower()
    assert not set(name) & set("/.\\ \n\t$;'\"")
    assert name.encode("idna").decode() == name


@pytest.mark.parametrize("value", [None, 7, b"lab", ["lab"]])
def test_only_text_is_a_name(value: object) -> None:
    for check in (lambda v: check_name(v, "f"), lambda v: check_terminal_id(v, "f")):
        with pytest.raises(InvalidInput, match=r"^f:"):
            check(value)


@given(st.text(max_size=80))
def test_terminal_ids_are_printable_ascii_without_spaces(text: str) -> None:
    fits = 1 <= len(text) <= 64 and all("!" <= c <= "~" for c in text)
    try:
        assert check_terminal_id(text) == text
        assert fits
    except InvalidInput:
        assert not fits


@given(st.text(max_size=400), st.integers(4, 300))
def test_one_line_is_one_clean_bounded_line_and_stays_so(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert unicodedata.normalize("NFC", line) == line
    assert not any(unicodedata.category(c)[0] == "C" for c in line)
    assert "  " not in line
    assert one_line(line, limit) == line


def test_one_line_takes_what_could_forge_a_line_or_turn_text_round() -> None:
    assert one_line("a\r\nb\u2028c\x1b[2J\u202etxt\u200b") == "a b c[2Jtxt"
    assert one_line("e\u200d\u0301") == "é"


@given(st.text(CODE_LETTERS, min_size=6, max_size=6))
def test_codes_are_read_as_people_type_them(code: str) -> None:
    assert check_code(f" {code[:3]}-{code[3:]} ".lower()) == code


@pytest.mark.parametrize("code", ["", "ABCDE", "ABCDEFG", "ABCDE0", "ABCDE1", "ABCDEI", "ABC DE"])
def test_wrong_codes_are_refused(code: str) -> None:
    with pytest.raises(InvalidInput, match="code"):
        check_code(code)
