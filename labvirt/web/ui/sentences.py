# SPDX-License-Identifier: MIT
"""Finds the sentences that a text was made from, and makes the text again from their translations. Pure: a catalogue goes in.

What stood in a place of a sentence is read in the same way. Of several readings the one counts that understands the most and leaves the
fewest words over; of equal ones the first, so the same text is always read alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from labvirt.web.ui.sentence import PLACE, Template

LONGEST = 1500
"""Longer texts are nobody's sentences: a log, or somebody who tries how long this takes."""
DEEPEST = 6
MOST_LOOKS = 80
MOST_FITTING = 6
MOST_PARTS = 8
"""So deep may sentences stand in one another, so many parts of a text are looked at, and so on: what is beyond is not understood."""
LEFT_OVER = 3
"""What a word that nobody understands costs, in letters that are understood."""
ENOUGH = 10
"""A sentence of so many letters is believed, whatever stands in its places; a shorter one must understand more than it leaves over."""
OF_NAMES = frozenset("name guest lab run image profile draft tap bridge".split())
"""Places of names."""
BEGINNING = 3
"""By so many first letters sentences are looked up."""
_ENDS = re.compile(r"(?<=[.!?]) +")
_JOINTS = ("; ", ": ", ", ")
"""How rooms put sentences together that are no sentences of theirs."""


@dataclass(frozen=True, slots=True)
class Reading:
    """`text` in the other language. `understood`: so many letters; `left`: so many words of no name and no sentence."""

    text: str
    understood: int = 0
    left: int = 0

    @property
    def worth(self) -> int:
        return self.understood - LEFT_OVER * self.left


def _name(text: str) -> Reading:
    """What is not understood stays: one word is a name, more than that are words left over."""
    return Reading(text, left=text.count(" "))


@dataclass(slots=True)
class Sentences:
    """All sentences of one language."""

    exact: dict[str, str] = field(default_factory=dict)
    words: dict[tuple[str, str], str] = field(default_factory=dict)
    """(place, word): told in that place only, for a lab may be called `terminal`."""
    places: set[str] = field(default_factory=set)
    """Those that have such words."""
    beginning: dict[str, list[Template]] = field(default_factory=dict)
    """Templates by their first letters; under '' those that begin with a place. The most literal first."""

    def add(self, text: str, translation: str, place: str = "") -> None:
        """`place`: the only one in which it is told. `sort` when all are there."""
        if place:
            self.words[place, text] = translation
            self.places.add(place)
        elif PLACE.search(text) is None:
            self.exact[text] = translation
        else:
            template = Template.of(text, translation)
            begins = template.literals[0]
            self.beginning.setdefault(begins[:BEGINNING] if len(begins) >= BEGINNING else "", []).append(template)

    def sort(self) -> None:
        for templates in self.beginning.values():
            templates.sort(key=lambda each: (-each.weight, len(each.places), each.text))

    def told(self, text: str, place: str = "") -> str:
        """As much of it as is understood; the text itself where nothing is."""
        known = self.words.get((place, text))
        if known is not None:
            return known
        return text if len(text) > LONGEST else _Reader(self).read(text, DEEPEST).text


class _Reader:
    """Reads one text, and no part of it twice."""

    def __init__(self, known: Sentences) -> None:
        self._known = known
        self._read: dict[tuple[str, int], Reading] = {}

    def read(self, text: str, depth: int) -> Reading:
        if text in self._known.exact:
            return Reading(self._known.exact[text], len(text))
        if (text, depth) not in self._read:
            if depth == 0 or len(self._read) >= MOST_LOOKS:
                return _name(text)
            self._read[text, depth] = _name(text)
            self._read[text, depth] = self._best(text, depth)
        return self._read[text, depth]

    def _best(self, text: str, depth: int) -> Reading:
        """Whoever leaves nothing over is believed at once."""
        best = _name(text)
        for each in self._readings(text, depth - 1):
            if each.understood and (not best.understood or each.worth > best.worth):
                best = each
            if best.understood and not best.left:
                break
        return best

    def _readings(self, text: str, depth: int) -> Iterator[Reading]:
        yield from self._as_one(text, depth)
        yield from self._in_a_row(text, depth)
        for joint in _JOINTS:
            if joint in text:
                yield self._joined(text, joint, depth)

    def _as_one(self, text: str, depth: int) -> Iterator[Reading]:
        fitting = 0
        for begins in (text[:BEGINNING], ""):
            for template in self._known.beginning.get(begins, ()):
                if template.anchor not in text:
                    continue
                for values in template.values(text):
                    fitting += 1
                    reading = self._filled(template, values, depth)
                    if template.weight >= ENOUGH or reading.worth > 0:
                        yield reading
                if fitting >= MOST_FITTING:
                    return

    def _filled(self, template: Template, values: list[str], depth: int) -> Reading:
        parts = [self._value(*each, depth) for each in zip(template.places, values, strict=True)]
        told = dict(zip(template.places, (each.text for each in parts), strict=True))
        return Reading(template.filled(told), template.weight + sum(each.understood for each in parts), sum(each.left for each in parts))

    def _in_a_row(self, text: str, depth: int) -> Iterator[Reading]:
        """A sentence and what follows it."""
        for end in list(_ENDS.finditer(text))[:MOST_PARTS]:
            yield _together(end[0], [self.read(text[: end.start()], depth), self.read(text[end.end() :], depth)])

    def _joined(self, text: str, joint: str, depth: int) -> Reading:
        """Before a colon stands what it is about: a name, or the field of a form. A list with commas is one only if all of it is known."""
        if joint == ": ":
            about, _, rest = text.partition(joint)
            field_of_form = self._known.words.get(("field", about))
            head = self.read(about, depth) if field_of_form is None else Reading(field_of_form, len(about))
            return _together(joint, [head, self.read(rest, depth)])
        parts = [self.read(each, depth) for each in text.split(joint, MOST_PARTS)]
        return _name(text) if joint == ", " and not all(each.understood for each in parts) else _together(joint, parts)

    def _value(self, place: str, value: str, depth: int) -> Reading:
        """A name has no space in it and stays as it is, whatever it is called; so does what stands in quotes. Words where a name should be,
        and what is neither a word of its place nor a sentence, count as one left over: another sentence may fit better."""
        place = place.rstrip("0123456789")
        known = self._known.words.get((place, value))
        if known is not None:
            return Reading(known, len(value))
        if value[:1] in ("'", '"'):
            return Reading(value)
        read = self.read(value, depth) if " " in value else Reading(value)
        strange = int((place in self._known.places and not read.understood) or (place in OF_NAMES and " " in value))
        return replace(read, left=read.left + strange)


def _together(joint: str, parts: list[Reading]) -> Reading:
    return Reading(joint.join(each.text for each in parts), sum(each.understood for each in parts), sum(each.left for each in parts))
