# SPDX-License-Identifier: MIT
"""One sentence with places, `The network of {name} is not ready: {problem}`, and what stands in them in a text that was made from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

MOST_SPACES = 4
"""So often may the cut between two places move to the next space."""
PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Template:
    """A sentence with places: `literals` stand around and between them, one more than `places`."""

    text: str
    translation: str
    literals: tuple[str, ...]
    places: tuple[str, ...]

    @classmethod
    def of(cls, text: str, translation: str) -> Template:
        parts = PLACE.split(text)
        return cls(text=text, translation=translation, literals=tuple(parts[::2]), places=tuple(parts[1::2]))

    @cached_property
    def weight(self) -> int:
        """How many letters of a text it explains."""
        return sum(len(each) for each in self.literals)

    @cached_property
    def anchor(self) -> str:
        """A text that lacks this was not made from it."""
        return max(self.literals, key=len)

    def values(self, text: str) -> Iterator[list[str]]:
        """What can stand in its places in this text, each as short as can be. Where only a space parts two places the first may be longer:
        each such way is given. Nothing, where the text was not made from this sentence."""
        first, last = self.literals[0], self.literals[-1]
        if text.startswith(first) and text.endswith(last) and len(text) >= len(first) + len(last):
            yield from self._from(text, 1, len(first), len(text) - len(last))

    def _from(self, text: str, number: int, at: int, end: int) -> Iterator[list[str]]:
        if number == len(self.literals) - 1:
            yield [text[at:end]]
            return
        literal, there = self.literals[number], at - 1
        for _ in range(MOST_SPACES if literal == " " else 1):
            there = text.find(literal, there + 1, end)
            if there < 0:
                return
            for rest in self._from(text, number + 1, there + len(literal), end):
                yield [text[at:there], *rest]

    def filled(self, told: Mapping[str, str]) -> str:
        """The translation with these values, in one pass: what a value holds is never taken for a place."""
        return PLACE.sub(lambda each: told[each[1]], self.translation)
