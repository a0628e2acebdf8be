# SPDX-License-Identifier: MIT
"""A terminal class: which program a kind of terminal runs, with a template of its arguments (the original's idea, S2-38).

A template is words separated by spaces; %VAR% inside a word is replaced by the terminal's own parameter or by what the controller
knows (KNOWN). %VV% and %RDP% stay: the terminal itself replaces them by the path of a private file. The result is a list of
arguments, never a shell line: a value with spaces or quotes stays one argument.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from labvirt.domain.names import check_name
from labvirt.errors import InvalidInput

PROGRAMS = ("remote-viewer", "xfreerdp", "rdesktop")
"""What a terminal may be told to run (allow-list of S2-42); the kiosk holds the same list."""

KNOWN = frozenset({"ADDRESS", "PORT", "GUEST", "SEAT", "LAB", "TERMINAL", "USER", "SUBJECT"})
LOCAL = frozenset({"VV", "RDP"})

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
        for name, value in self.defaults:
            check_parameter(name, value)

    def arguments(self, known: Mapping[str, str], own: Mapping[str, str]) -> tuple[str, ...]:
        """The argument list. Raises InvalidInput that names every missing parameter."""
        values = {**dict(self.defaults), **own, **known}
        missing: list[str] = []

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name in LOCAL:
                return match[0]
            if name not in values:
                missing.append(name)
                return ""
            return values[name]

        words = tuple(_VARIABLE.sub(fill, word) for word in self.template.split())
        if missing:
            named = ", ".join(f"%{name}%" for name in dict.fromkeys(missing))
            raise InvalidInput(
                "parameters",
                f"the class {self.name} needs {named}, which this terminal does not have",
                hint="Set it: labvirt terminal set NAME --parameter NAME=VALUE",
            )
        return words


def check_parameter(name: str, value: str) -> tuple[str, str]:
    """One parameter of a terminal or class: raises InvalidInput unless both parts are proper."""
    if not _PARAMETER_NAME.match(name) or name in KNOWN or name in LOCAL:
        raise InvalidInput(
            "parameters", f"{name[:40]!r} is not a free parameter name", hint="Use capital letters, digits and _; not one of LabVirt's own."
        )
    if len(value) > 200 or any(not c.isprintable() for c in value):
        raise InvalidInput("parameters", f"the value of {name} must be at most 200 printable characters")
    return name, value


BUILT_IN = (
    TerminalClass(name="spice", program="remote-viewer", template="--full-screen --kiosk --kiosk-quit=on-disconnect %VV%"),
    TerminalClass(name="rdp", program="xfreerdp", template="/v:%ADDRESS%:%PORT% /u:%USER% /f +clipboard", defaults=(("USER_DOMAIN", "."),)),
    TerminalClass(name="rdesktop", program="rdesktop", template="-f -u %USER% -p - %ADDRESS%:%PORT%"),
)
"""Made by `labvirt init`."""
