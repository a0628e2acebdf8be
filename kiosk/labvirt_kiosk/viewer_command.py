# SPDX-License-Identifier: MIT
"""From an answer and a ticket to a command line and what the viewer reads on its standard input. Pure.

The programs are an allow-list of this terminal's own: whatever a controller (or somebody who plays one) sends,
nothing else is ever started, no argument makes a viewer load or run local code, and no secret is in an argument.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from labvirt_kiosk.answer import Answer
from labvirt_kiosk.connection_file import STICKS
from labvirt_kiosk.ticket import Ticket
from labvirt_kiosk.trouble import Refused
from labvirt_kiosk.wishes import Wishes

PROGRAMS = {
    "remote-viewer": ("remote-viewer",),
    "xfreerdp": ("xfreerdp3", "xfreerdp"),  # FreeRDP 3 has the former name in Debian 13, FreeRDP 2 the latter in 12
    "rdesktop": ("rdesktop",),
}
"""What a controller may ask for, and the names it may have on this terminal, best first."""

_FORBIDDEN = {
    "remote-viewer": re.compile(r"--gtk-module"),
    "xfreerdp": re.compile(
        r"[-+/]{1,2}(p|gp|pth|pass-the-hash|assistance|action-script|rdp2tcp|args-from|from-stdin)(:|=|$)",
        re.IGNORECASE,
    ),
    "rdesktop": re.compile(r"-[bBeEmMCDKtNzPfWiv]*p"),  # also in a bundle: -fpSECRET
}
"""Options that take a secret, or that name local code to load or run. The controller has a twin of this list
(labvirt/domain/terminal_class.py), so that nobody writes there what is refused here; a test compares the two."""


_CERTIFICATE = re.compile(r"[-+/]{1,2}cert(-ignore|-tofu|-deny|-name)?(:|=|$)", re.IGNORECASE)
"""What a class says about certificates, for guests of which nobody knows one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A viewer that is installed here."""

    name: str
    """Its name on the allow-list."""
    path: str
    major: int | None = None
    """Major version, where it matters (xfreerdp)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewerCommand:
    """A viewer, ready to start. `standard_input` may hold the secret."""

    argv: tuple[str, ...]
    standard_input: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    """Struck out of everything the viewer prints."""


def check(answer: Answer) -> None:
    """Raises Refused if this terminal will not do what the answer says, whatever is installed."""
    if answer.program not in PROGRAMS:
        allowed = ", ".join(PROGRAMS)
        raise Refused(
            f"The controller wants the program {answer.program!r}, which this terminal does not run "
            f"(it runs {allowed}); tell your administrator"
        )
    for argument in answer.arguments:
        if _FORBIDDEN[answer.program].match(argument) or "password=" in argument:
            raise Refused(
                f"The controller gives {answer.program} the argument {argument[:16]!r}, which could show a "
                "password or run a program here; tell your administrator"
            )


def render(answer: Answer, program: Program, ticket: Ticket | None, file: Path | None, *, windowed: bool = False) -> ViewerCommand:
    """The command that shows `answer` with `program`; `file` is the private file its arguments ask for."""
    check(answer)
    if answer.needs_ticket and ticket is None:
        raise Refused("The controller says that a ticket is needed, and there is none, so nothing is connected; tell your administrator")
    secret = ticket.secret if ticket else ""
    wishes = answer.wishes
    user = ticket.user if ticket else None
    arguments = [_filled(argument, file) for argument in answer.arguments]
    if answer.program == "remote-viewer":
        if secret and answer.file_format != "vv":
            raise Refused(
                "The controller's arguments for remote-viewer have no %VV%, so the ticket has no safe way in; tell your administrator"
            )
        screen = [] if windowed or {"-f", "--full-screen", "-k", "--kiosk"} & set(arguments) else ["--full-screen"]
        silent = ["--spice-disable-audio"] if wishes.sound is False and "--spice-disable-audio" not in arguments else []
        # What is plugged in later, the file says; this is for a stick that is there already.
        sticks = [f"--spice-usbredir-redirect-on-connect={STICKS}"] if wishes.usb else []
        return ViewerCommand(argv=(program.path, *screen, *silent, *sticks, *arguments), secret=secret)
    if answer.program == "rdesktop":
        if ticket is not None and ticket.fingerprint:
            raise Refused(
                "The controller says which certificate the guest has, and rdesktop cannot check it; tell your administrator to use xfreerdp"
            )
        screen = [] if windowed or {"-f", "-g"} & set(arguments) else ["-f"]
        who = ["-u", user] if user and "-u" not in arguments else []
        asked = ["-p", "-"] if secret else []
        line = f"{secret}\n" if secret else ""
        return ViewerCommand(argv=(program.path, *screen, *who, *asked, *arguments), standard_input=line, secret=secret)
    if ticket is not None and ticket.fingerprint:
        arguments = [argument for argument in arguments if not _CERTIFICATE.match(argument)] + [_pinned(ticket.fingerprint)]
    arguments = _as_wished(arguments, wishes, windowed=windowed)
    arguments += [] if windowed or _has(arguments, "f", "w", "h", "size") else ["/f"]
    arguments += [f"/u:{user}"] if user and not _has(arguments, "u") else []
    return _freerdp(program, arguments, secret)


def _as_wished(arguments: list[str], wishes: Wishes, *, windowed: bool) -> list[str]:
    """FreeRDP's arguments with sound, sticks and screens as the controller wishes; what the class says itself stays where it says more.

    `/drive:hotplug,*` hands over what is mounted below /media, /run/media and /mnt, now or later, and nothing else of this terminal
    (xfreerdp(1)); `/usb` would give the guest whole devices, keyboard included.
    """
    if wishes.sound is False:
        arguments = [argument for argument in arguments if not _has([argument], "sound", "audin", "microphone", "mic")]
    elif wishes.sound and not _has(arguments, "sound", "audio-mode"):
        arguments = [*arguments, "/sound"]
    if wishes.usb and not _has(arguments, "drive", "drives"):
        arguments = [*arguments, "/drive:hotplug,*"]
    if wishes.screens == "two-extend" and not windowed and not _has(arguments, "multimon", "w", "h", "size"):
        arguments = [*arguments, "/multimon"]
    return arguments


def _freerdp(program: Program, arguments: list[str], secret: str) -> ViewerCommand:
    if not secret:
        return ViewerCommand(argv=(program.path, *arguments))
    if program.major == 2:
        argv = (program.path, *arguments, "/from-stdin:force")  # asks for the password before it connects
        return ViewerCommand(argv=argv, standard_input=f"{secret}\n", secret=secret)
    # FreeRDP 3: one argument a line, and no other argument beside this one
    lines = "".join(f"{argument}\n" for argument in (*arguments, f"/p:{secret}"))
    return ViewerCommand(argv=(program.path, "/args-from:stdin"), standard_input=lines, secret=secret)


def _pinned(fingerprint: str) -> str:
    """Only this certificate. FreeRDP 2 and 3 compare the text, with colons; `deny`: without it they would ask whoever sits there."""
    pairs = ":".join(fingerprint[at : at + 2] for at in range(0, len(fingerprint), 2))
    return f"/cert:deny,fingerprint:sha256:{pairs}"


def _filled(argument: str, file: Path | None) -> str:
    for placeholder in ("%VV%", "%RDP%"):
        if placeholder in argument and file is not None:
            argument = argument.replace(placeholder, str(file))
    return argument


def _has(arguments: list[str], *options: str) -> bool:
    return any(argument.lstrip("/+-").partition(":")[0] in options and argument[0] in "/+-" for argument in arguments)
