# SPDX-License-Identifier: MIT
"""Every sentence that the rooms behind the pages say to a person, as the sources have it: the catalogue of labvirt/web/ui/told.py.

What counts: in the rooms below, the sentence, reason and hint of each LabVirtError that is made, and every other literal or f-string of
two words or more (a reason of a row, a step of a job, a finding, a line of history, a table of sentences).

What does not count, because no page shows it: docstrings; what is logged; errors of programmers (ValueError and its like); text that is
matched, not said (re.compile); words of machines (argv, configuration files, SQL: they are in the files of NOT_SAID); the command line,
the demo, the builder and the settings of a controller, which speak before there is a page; and the words of the API, which are English.

A place of an f-string has the last name of what stands in it ({lab.name} is {name}); the same name twice gets a number. Where an
expression chooses between words, each choice is a sentence of its own.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

LABVIRT = Path(__file__).parents[2] / "labvirt"
ROOMS = "errors.py domain usecases engine disks network hypervisors checks archive doctor link database system web/ui".split()
NOT_SAID = frozenset(
    """
    database/migrations database/tables database/migrate.py database/store.py checks/inside network/dhcp/isc_form.py
    network/dhcp/kea_form.py network/dhcp/dnsmasq_form.py network/dhcp/dnsmasq_conf.py
    network/dhcp/dnsmasq_boot.py network/dhcp/dnsmasq_proxy_conf.py network/nftables/ruleset.py
    network/nftables/listing.py network/memo.py network/fake.py network/dhcp/fake.py domain/kiosk.py domain/stick.py domain/seat_note.py
    disks/stick.py archive/reading.py archive/restoring.py archive/ustar.py archive/manifest.py archive/trouble.py
    link/codec.py link/server.py system/supervisor.py web/ui/knock.py hypervisors/fake_console.py hypervisors/fake_memory.py
    hypervisors/fake_templates.py hypervisors/fake_disks.py usecases/whose.py
    """.split()
)
"""Files of machines' words, and of what only the command line says (sticks, restoring, the start of a controller)."""
NOT_SAID_TABLES = frozenset(
    {"ALONE", "EXAMPLE", "_FULL", "_NO_TAP", "_WORDS_OF_BAD_IMAGES", "_SCRIPT", "FOR_RESCUE", "NO_MEMORY", "SILENT"}
)
"""Constants that are matched, run or installed, not said; and why use cases ask for no right."""
COMMANDS = frozenset("labvirt apt-get modprobe ip cat chmod sysctl df man mkdir mount ulimit fuser qemu-img -u".split())
"""A text that begins with one of these is the command itself, to be typed as it is, unless words go on after a comma or a bracket."""
ONLY_ERRORS = frozenset({"web/ui", "system", "link", "database"})
"""Here whatever else is written is the pages' own (gettext has it), or a machine's."""
PROGRAMMERS = frozenset("ValueError TypeError RuntimeError KeyError LookupError AssertionError OSError NotImplementedError".split())
MATCHING = frozenset("compile removeprefix removesuffix startswith endswith partition fullmatch search split".split())
OPERATIONS = {"translate": 1, "translated": 0, "_translated": 0, "rtnetlink": 0, "_monitored": 0, "_act": 0, "within": 1, "failure": 1}
"""Functions that are told in a word what is being done, and which argument that is."""
LOGS = frozenset("debug info warning error exception critical".split())
WORDS = {"NotFound": "noun", "AlreadyExists": "noun", "InUse": "noun", "InvalidInput": "field"}
"""The first argument of these is a word: it is told in its place only, for a lab may be called like it."""
WORDS_OF_PLACES = {
    "state": ("domain/guest.py GuestState", "domain/draft.py DraftState", "domain/job.py JobState", "domain/answer.py Status"),
    "purpose": ("domain/guest.py Purpose",),
    "how": ("domain/guest.py StopHow",),
    "verb": ("domain/power_order.py PowerWord",),
    "kind": ("domain/job.py JobKind", "domain/rubbish.py RubbishKind", "domain/caller.py CallerKind"),
    "need": ("domain/dependencies.py Need",),
    "policy": ("domain/power_policy.py OnPowerOff",),
    "deed": ("usecases/terminal_deeds.py TerminalDeed",),
    "scope": ("domain/setting.py Scope",),
    "outcome": ("domain/audit.py Outcome",),
    "role": ("domain/right.py Role",),
    "right": ("domain/right.py Right",),
    "unit": ("hour", "minute", "second"),
    "origin": ("boot",),
}
"""Values that sentences and pages have in these places: all of an enumeration, or the words themselves."""
MOST = 12
"""So many choices at most are written out; beyond, the choice is a place."""


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence with its places. `place` is not empty for a word that is told in that place only."""

    text: str
    place: str = ""


def said() -> dict[Said, str]:
    """Each with where it stands first. Of those that differ in the names of their places alone, the first."""
    found: dict[Said, str] = {}
    known: set[tuple[str, str]] = set()
    for path in _files():
        errors_alone = any(path.is_relative_to(LABVIRT / room) for room in ONLY_ERRORS)
        for each, line in of_source(path.read_text(), errors_alone=errors_alone):
            shape = re.sub(r"\{\w+\}", "{}", each.text), each.place
            if shape not in known:
                known.add(shape)
                found[each] = f"{path.relative_to(LABVIRT.parent)}:{line}"
    for path in sorted(LABVIRT.rglob("*.py")):
        for word in re.findall(r'\bverb(?:: str)? ?= ?"([a-z-]+)"', path.read_text()):  # of the audit
            found.setdefault(Said(word, "verb"), f"{path.relative_to(LABVIRT.parent)}")
    for place, sources in WORDS_OF_PLACES.items():
        for source in sources:
            for word in _members(*source.split()) if " " in source else [source]:
                found.setdefault(Said(word, place), f"labvirt/{source}")
    return found


def _members(path: str, name: str) -> list[str]:
    """The values of an enumeration."""
    of = next(each for each in ast.parse((LABVIRT / path).read_text()).body if isinstance(each, ast.ClassDef) and each.name == name)
    return [ast.literal_eval(each.value) for each in of.body if isinstance(each, ast.Assign)]


def of_source(source: str, *, errors_alone: bool = False) -> Iterator[tuple[Said, int]]:
    """What one file says, with the line."""
    yield from _Reader(errors_alone).read(ast.parse(source))


def _files() -> Iterable[Path]:
    for room in ROOMS:
        path = LABVIRT / room
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            if not any(file.is_relative_to(LABVIRT / each) for each in NOT_SAID):
                yield file


ERRORS = frozenset(each.name for each in ast.parse((LABVIRT / "errors.py").read_text()).body if isinstance(each, ast.ClassDef))


class _Reader:
    def __init__(self, errors_alone: bool) -> None:
        self._errors_alone = errors_alone

    def read(self, node: ast.AST, inside: str = "") -> Iterator[tuple[Said, int]]:
        """`inside`: the error that is being made around it."""
        if isinstance(node, ast.Compare) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            return
        if (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and _name(node.targets[0] if isinstance(node, ast.Assign) else node.target, bare=True) in NOT_SAID_TABLES
        ):
            return
        if isinstance(node, ast.Call):
            called = _name(node.func, bare=True)
            if called in PROGRAMMERS or (called in LOGS and isinstance(node.func, ast.Attribute)):
                return
            if called in MATCHING:
                yield from self.read(node.func, inside)
                return
            if called in WORDS and node.args:
                yield from ((Said(word, WORDS[called]), node.lineno) for word in _texts(node.args[0]) if "{" not in word)
            yield from ((Said(word, "operation"), node.lineno) for word in _operations(node, called))
            if called in ERRORS or (called == "__init__" and isinstance(node.func, ast.Attribute)):
                inside = called
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp | ast.IfExp):
            texts = _texts(node)
            if texts:
                if inside or not self._errors_alone:
                    yield from ((Said(text), node.lineno) for text in texts if _is_sentence(text))
                for part in _values(node):
                    yield from self.read(part, inside)
                return
        for child in ast.iter_child_nodes(node):
            yield from self.read(child, inside)


def _operations(node: ast.Call, called: str) -> list[str]:
    """What is being done, where that is one word: longer ones are sentences."""
    return [word for place, each in enumerate(node.args) if place == OPERATIONS.get(called) for word in _texts(each) if word.isalpha()]


def _is_sentence(text: str) -> bool:
    words = re.findall(r"[^\W\d_]{2,}", re.sub(r"\{\w+\}", " ", text))
    enough = len(words) >= 2 or ("{" in text and any(len(word) > 2 for word in words))
    return enough and " " in text.strip() and "\n" not in text and not _is_command(text)


def _is_command(text: str) -> bool:
    return text.startswith(("--", "/", "#", "{executable} -m")) or (
        text.split()[0] in COMMANDS and not re.search(r", | \(or |; ", text.split("  #")[0])
    )


def _texts(node: ast.expr) -> list[str]:
    """All that this expression can say; nothing where it is no text."""
    spoken = _choices(node)
    return [] if spoken is None else [_numbered(parts) for parts in spoken]


Parts = tuple[tuple[str, bool], ...]
"""(text, is it a place)"""


def _choices(node: ast.expr) -> list[Parts] | None:
    """None: no text. A place alone is no text either."""
    match node:
        case ast.Constant(value=str(text)):
            return [((text, False),)]
        case ast.JoinedStr(values=values):
            pieces = [
                _choices(each.value) or [((_name(each.value), True),)] if isinstance(each, ast.FormattedValue) else _choices(each) or []
                for each in values
            ]
            return _joined(pieces, [_place(each) for each in values])
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            both = [_choices(left), _choices(right)]
            if both == [None, None]:
                return None
            places = [((_name(side), True),) for side in (left, right)]
            return _joined([known or [place] for known, place in zip(both, places, strict=True)], places)
        case ast.IfExp(body=body, orelse=orelse):
            either = [_choices(body), _choices(orelse)]
            if None in either:
                return None
            return [*(either[0] or []), *(either[1] or [])]
    return None


def _place(node: ast.expr) -> Parts:
    return ((_name(node.value), True),) if isinstance(node, ast.FormattedValue) else ((getattr(node, "value", ""), False),)


def _joined(pieces: list[list[Parts]], places: list[Parts]) -> list[Parts]:
    """Every choice of every piece, unless there are too many."""
    count = 1
    for each in pieces:
        count *= len(each)
    if count > MOST:
        pieces = [[place] if len(piece) > 1 else piece for piece, place in zip(pieces, places, strict=True)]
    return [tuple(itertools.chain.from_iterable(chosen)) for chosen in itertools.product(*pieces)]


def _numbered(parts: Parts) -> str:
    """The places get names that differ."""
    seen: dict[str, int] = {}
    text = ""
    for piece, is_place in parts:
        if is_place:
            seen[piece] = seen.get(piece, 0) + 1
            text += "{" + piece + (str(seen[piece]) if seen[piece] > 1 else "") + "}"
        else:
            text += piece.replace("{", "(").replace("}", ")")
    return text


def _values(node: ast.expr) -> Iterator[ast.expr]:
    """What stands in its places: it may say something itself."""
    for each in ast.walk(node):
        if isinstance(each, ast.FormattedValue) and not isinstance(each.value, ast.Name | ast.Constant):
            yield each.value


def _name(node: ast.expr, *, bare: bool = False) -> str:
    """The last name in it, without the sign of what is private unless `bare`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name if bare else name.strip("_").lower() or "value"
        case ast.Call(func=ast.Attribute(attr="join"), args=[joined]):
            return _name(joined)
        case ast.Call(func=ast.Attribute(value=value, attr="get" | "astimezone" | "removeprefix" | "splitlines" | "to_text")):
            return _name(value)
        case ast.GeneratorExp(elt=each) | ast.ListComp(elt=each):
            return _name(each)
        case ast.Call(func=func, args=args):
            if _name(func, bare=True) in ("len", "str", "one_line", "min", "max", "round", "repr", "sorted", "list") and args:
                return _name(args[0])
            return _name(func)
        case ast.Subscript(value=value) | ast.FormattedValue(value=value) | ast.BinOp(left=value):
            return _name(value)
    return "value"
