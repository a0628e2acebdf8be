# SPDX-License-Identifier: MIT
"""A terminal class: which program a kind of terminal runs, with a template of its arguments (the original's idea, S2-38).

A template is words separated by spaces; %VAR% inside a word is replaced by the terminal's own parameter or by what the controller
knows (KNOWN). %VV% and %RDP% stay: the terminal itself replaces them by the path of a private file. The result is a list of
arguments, never a shell line: a value with spaces or quotes stays one argument.

Terminals protect themselves: what a kiosk would refuse (REFUSED, MOST_ARGUMENTS, LONGEST_ARGUMENT) cannot be written here either.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from labvirt.domain.names import check_name
from labvirt.errors import InvalidInput

PROGRAMS = ("remote-viewer", "xfreerdp", "rdesktop")
"""What a terminal may be told to run (allow-list of S2-42); the kiosk holds the same list."""

KNOWN = frozenset({"ADDRESS", "PORT", "GUEST", "SEAT", "LAB", "TERMINAL", "USER", "SUBJECT"})
"""What LabVirt fills in by itself. USER only when the profile has one."""
LOCAL = frozenset({"VV", "RDP"})
"""What the terminal fills in by itself: the path of a private file."""

REFUSED = {
    "remote-viewer": re.compile(r"--gtk-module"),
    "xfreerdp": re.compile(
        r"[-+/]{1,2}(p|gp|pth|pass-the-hash|assistance|action-script|rdp2tcp|args-from|from-stdin)(:|=|$)",
        re.IGNORECASE,
    ),
    "rdesktop": re.compile(r"-[bBeEmMCDKtNzPfWiv]*p"),
}
"""Arguments that take a secret, or that name local code to load or run. The twin of _FORBIDDEN in
kiosk/labvirt_kiosk/viewer_command.py (a terminal trusts no controller, so it has its own); a test of the kiosk compares the two."""
MOST_ARGUMENTS = 64
LONGEST_ARGUMENT = 1024
"""As in kiosk/labvirt_kiosk/answer.py."""

_VARIABLE = re.compile(r"%([A-Z][A-Z0-9_]*)%")
_PARAMETER_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,31}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalClass:
    """Program and argument template. `defaults` fill what a terminal does not set itself."""

    name: str
    program: str
    template: str
    defaults: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        if self.program not in PROGRAMS:
            raise InvalidInput("program", f"must be one of {', '.join(PROGRAMS)}")
        if len(self.template) > 1000 or any(not c.isprintable() for c in self.template):
            raise InvalidInput("template", "must be at most 1000 printable characters")
        if len(self.template.split()) > MOST_ARGUMENTS:
            raise InvalidInput("template", f"must be at most {MOST_ARGUMENTS} words")
        for name in self.variables:
            if not _PARAMETER_NAME.match(name):
                raise InvalidInput("template", f"the name in %{name[:40]}...% is longer than 32 characters")
        if self.program == "remote-viewer" and "VV" not in self.variables:
            raise InvalidInput(
                "template",
                "must have %VV% for remote-viewer: the secret is in that private file, never in an argument",
                hint='Like --template "--kiosk %VV%"',
            )
        for name, value in self.defaults:
            check_parameter(name, value, "defaults")
        self._words({}, "template")
        self._words(dict(self.defaults), "defaults")

    @property
    def variables(self) -> tuple[str, ...]:
        """Every %NAME% of the template, each once, in order."""
        return tuple(dict.fromkeys(_VARIABLE.findall(self.template)))

    @property
    def required(self) -> tuple[str, ...]:
        """What a terminal must have itself: neither LabVirt nor the terminal's kiosk nor a default fills it."""
        filled = KNOWN | LOCAL | {name for name, _ in self.defaults}
        return tuple(name for name in self.variables if name not in filled)

    def missing(self, known: Collection[str], own: Collection[str]) -> tuple[str, ...]:
        """The names that stay empty for a terminal with the parameters `own`, of which LabVirt fills `known`."""
        filled = {*known, *own, *LOCAL, *(name for name, _ in self.defaults)}
        return tuple(name for name in self.variables if name not in filled)

    def check_own(self, own: Mapping[str, str]) -> None:
        """Raises InvalidInput when a terminal with these parameters would get an argument that it refuses."""
        self._words({**dict(self.defaults), **own}, "parameters")

    def arguments(self, known: Mapping[str, str], own: Mapping[str, str]) -> tuple[str, ...]:
        """The argument list. Raises InvalidInput that names every missing parameter."""
        missing = self.missing(known, own)
        if missing:
            named = ", ".join(f"%{name}%" for name in missing)
            raise InvalidInput(
                "parameters",
                f"the class {self.name} needs {named}, which this terminal does not have",
                hint=f"See who gives what: labvirt class show {self.name}",
            )
        return self._words({**dict(self.defaults), **own, **known}, "parameters")

    def _words(self, values: Mapping[str, str], field: str) -> tuple[str, ...]:
        """The words of the template; a name without a value stays. Raises InvalidInput(field) for one that a terminal refuses."""

        def fill(match: re.Match[str]) -> str:
            return match[0] if match[1] in LOCAL else values.get(match[1], match[0])

        words = tuple(_VARIABLE.sub(fill, word) for word in self.template.split())
        for word in words:
            refused = REFUSED[self.program].match(word) or re.search("password=", word)
            if refused:  # its value is not repeated: it may be a secret
                raise InvalidInput(
                    field,
                    f"terminals refuse the argument {refused[0]!r} of {self.program}: it could show a password or run a program there",
                    hint="Leave it out: LabVirt gives a secret to the viewer by itself, never in an argument.",
                )
            if len(word) > LONGEST_ARGUMENT:
                raise InvalidInput(field, f"the argument {word[:16]!r}... is longer than {LONGEST_ARGUMENT} characters")
        return words


def check_parameter(name: str, value: str, field: str = "parameters") -> tuple[str, str]:
    """One parameter of a terminal or class: raises InvalidInput unless both parts are proper."""
    if not _PARAMETER_NAME.match(name) or name in KNOWN or name in LOCAL:
        raise InvalidInput(
            field, f"{name[:40]!r} is not a free parameter name", hint="Use capital letters, digits and _; not one of LabVirt's own."
        )
    if len(value) > 200 or any(not c.isprintable() for c in value):
        raise InvalidInput(field, f"the value of {name} must be at most 200 printable characters")
    return name, value


BUILT_IN = (
    TerminalClass(name="spice", program="remote-viewer", template="--full-screen --kiosk --kiosk-quit=on-disconnect %VV%"),
    TerminalClass(name="rdp", program="xfreerdp", template="/v:%ADDRESS%:%PORT% /u:%USER% +clipboard"),
    TerminalClass(name="rdesktop", program="rdesktop", template="-u %USER% %ADDRESS%:%PORT%"),
)
"""Made by `labvirt init`. Terminals themselves add the full screen (/f, -f) and the way by which a secret comes in (-p -, /from-stdin)."""
