# SPDX-License-Identifier: MIT
"""The whole error tree. Imports nothing.

LabVirtError                    code, sentence, hint, retryable
 +-- InvalidInput               field, reason: the request is wrong
 +-- NotFound                   noun, name
 +-- Conflict                   the wish contradicts what exists
 |    +-- AlreadyExists         noun, name
 |    +-- InUse                 noun, name, by
 |    +-- OperationInProgress   guest, operation
 |    +-- GuestNotReady         guest, state
 |    +-- AgentSilent           guest: its system answers, the agent inside does not (yet)
 +-- NotAllowed                 what, why
 |    +-- NotSignedIn           who asks is nobody (yet)
 |    +-- MustConfirm           the password is asked for once more
 |    +-- MustEnrol             a second factor must be set up before anything else
 +-- TooManyRequests            retry_seconds
 +-- Cancelled                  a job was ended by a person
 +-- Unsupported                capability, driver
 +-- Exhausted                  resource: seats, addresses, memory, disk
 +-- HostNotReady               what is lacking, and the command that mends it
 +-- EngineAway                 the engine does not answer on its socket
 +-- DatabaseError              the database is locked, of another version, or damaged
 +-- DriverError                driver, operation, subject; __cause__ kept
      +-- DriverTimeout         retryable
      +-- OutcomeUnknown        the command may have run: look before trying again
      +-- HypervisorError
      |    +-- TemplateUnfit    instant clones cannot start from it: start cold
      +-- DiskError
      |    +-- ImageDamaged     a file is not what it should be; never repaired automatically
      +-- NetworkError
      +-- DhcpError
      +-- DnsError

`str(error)` is one sentence; `error.hint` is what to do next. Callers never format error text. Programmer mistakes stay
TypeError and ValueError: they are not in this tree.
"""

from __future__ import annotations


class LabVirtError(Exception):
    """Something a person can be told. `code` is stable and documented; `retryable` says if trying again may help."""

    code = "error"
    retryable = False

    def __init__(self, sentence: str, *, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


class InvalidInput(LabVirtError):
    """The request is wrong: `field` names the part, `reason` says why."""

    code = "invalid-input"

    def __init__(self, field: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{field}: {reason}", hint=hint)
        self.field = field
        self.reason = reason


LISTED = {
    "room": "The rooms of a lab are on its map, in the pages.",
    "seat": "List them: labvirt terminal list",
    "version": "List them: labvirt version list IMAGE",
    "picture": "Versions that were tried have one: labvirt version list IMAGE",
    "draft": "List them: labvirt admin list --all",
    "kept run": "List them: labvirt rescue list",
    "run in the rescue": "List them: labvirt rescue list",
    "disk": "Its disks are those of its profile: labvirt rescue list",
    "partition": "Look what is there: labvirt rescue files RUN",
    "folder": "Look what is there: labvirt rescue files RUN",
    "file": "Look what is there: labvirt rescue files RUN",
    "kiosk": "Build one: labvirt kiosk build",
    "check": "List them: labvirt profile checks list PROFILE",
    "order": "List them: labvirt terminal orders",
    "stranger": "List them: labvirt terminal inbox",
    "sign-in": "List them: labvirt person show NAME",
    "setting": "List them: labvirt settings keys",
    "examination": "Ask for one: labvirt doctor",
    "waiting clone": "What waits: labvirt pool list LAB",
    "upload": "Who is signed in lists them: GET /uploads",
}
"""Where to look for what has no command of its own."""


class NotFound(LabVirtError):
    """There is no such thing; the hint says how to list what there is."""

    code = "not-found"

    def __init__(self, noun: str, name: str) -> None:
        shown = name if len(name) <= 64 else name[:61] + "..."
        super().__init__(f"There is no {noun} called {shown!r}.", hint=LISTED.get(noun, f"List them: labvirt {noun.split()[-1]} list"))
        self.noun = noun
        self.name = name


class Conflict(LabVirtError):
    """The wish contradicts what exists."""

    code = "conflict"


class AlreadyExists(Conflict):
    """A thing of this name (or MAC, address, seat) exists."""

    code = "already-exists"

    def __init__(self, noun: str, name: str, *, hint: str = "") -> None:
        super().__init__(f"There is already a {noun} {name!r}.", hint=hint or "Choose another one, or change the existing one.")
        self.noun = noun
        self.name = name


class InUse(Conflict):
    """It cannot go away because `by` needs it."""

    code = "in-use"

    def __init__(self, noun: str, name: str, by: str) -> None:
        super().__init__(f"The {noun} {name!r} is used by {by}.", hint=f"Change or remove {by} first.")
        self.noun = noun
        self.name = name
        self.by = by


class OperationInProgress(Conflict):
    """One operation per guest at a time: this one is still running."""

    code = "operation-in-progress"
    retryable = True

    def __init__(self, guest: str, operation: str) -> None:
        super().__init__(f"{guest} is busy: {operation}.", hint="Wait for it to end, then try again.")
        self.guest = guest
        self.operation = operation


class GuestNotReady(Conflict):
    """The guest is not in a state in which this can be done."""

    code = "guest-not-ready"
    retryable = True

    def __init__(self, guest: str, state: str) -> None:
        super().__init__(f"{guest} is {state}, not running.", hint="Start it, or wait until it runs.")
        self.guest = guest
        self.state = state


class AgentSilent(Conflict):
    """The guest is up, but the agent inside it does not answer (yet), or not as an agent does."""

    code = "agent-silent"
    retryable = True

    def __init__(self, guest: str, why: str = "") -> None:
        detail = f" ({why})" if why else ""
        super().__init__(
            f"The computer {guest} is up, but its agent does not answer yet{detail}.",
            hint="Wait a moment. If it stays so, look inside the guest whether qemu-guest-agent is installed and runs.",
        )
        self.guest = guest
        self.why = why


class NotAllowed(LabVirtError):
    """The asker may not do this."""

    code = "not-allowed"


class NotSignedIn(NotAllowed):
    """Who asks is nobody, or what they showed is not good (any more). One sentence for every reason."""

    code = "not-signed-in"

    def __init__(self, sentence: str = "You are not signed in.", *, hint: str = "Open the first page and sign in.") -> None:
        super().__init__(sentence, hint=hint)


class MustConfirm(NotAllowed):
    """This is only done within ten minutes after the password was given."""

    code = "must-confirm"

    def __init__(self) -> None:
        super().__init__("Please give your password once more for this.", hint="Then do it again; it is asked for every ten minutes.")


class MustEnrol(NotAllowed):
    """The site asks a second factor of this person, who has none: nothing is done before it is set up."""

    code = "must-enrol"

    def __init__(self) -> None:
        super().__init__("Please set up a second factor first.", hint="On the page of your account: Set up a phone.")


class TooManyRequests(LabVirtError):
    """Asked too often; the answer comes again after `retry_seconds`."""

    code = "too-many-requests"
    retryable = True

    def __init__(self, what: str, retry_seconds: int) -> None:
        super().__init__(f"{what} was asked too often.", hint=f"Ask again in {retry_seconds} s.")
        self.retry_seconds = retry_seconds


class Cancelled(LabVirtError):
    """A job was ended because a person wanted it; nothing of it is left."""

    code = "cancelled"


class Unsupported(LabVirtError):
    """This driver cannot do that; ask `capabilities()` first."""

    code = "unsupported"

    def __init__(self, capability: str, driver: str) -> None:
        super().__init__(f"The driver {driver} cannot do this: {capability}.", hint="Choose another driver for this host.")
        self.capability = capability
        self.driver = driver


class Exhausted(LabVirtError):
    """Nothing is left of `resource` (seats, memory, disk)."""

    code = "exhausted"
    retryable = True

    def __init__(self, resource: str, sentence: str, *, hint: str = "") -> None:
        super().__init__(sentence, hint=hint)
        self.resource = resource


class HostNotReady(LabVirtError):
    """The host lacks something; the hint is the exact command that mends it."""

    code = "host-not-ready"


class EngineAway(LabVirtError):
    """Nobody answers on the engine's socket."""

    code = "engine-away"
    retryable = True

    def __init__(self, why: str = "nobody listens on its socket") -> None:
        super().__init__(f"The engine does not answer: {why}.", hint="Start it: labvirt serve. Running desktops are not touched.")


class DatabaseError(LabVirtError):
    """The database is locked, of another version, or damaged. Nothing was changed."""

    code = "database"
    retryable = True


class DriverError(LabVirtError):
    """A driver could not do its work; `subject` is the guest, lab or file it worked on. `__cause__` is kept."""

    code = "driver"
    driver = "driver"

    def __init__(self, sentence: str, *, operation: str = "", subject: str = "", hint: str = "") -> None:
        super().__init__(sentence, hint=hint)
        self.operation = operation
        self.subject = subject


class DriverTimeout(DriverError):
    """No answer within the deadline. The thing may be busy or stuck; others are unaffected."""

    code = "driver-timeout"
    retryable = True


class OutcomeUnknown(DriverError):
    """The connection broke while a command ran: it may have happened. Look before trying again."""

    code = "outcome-unknown"


class HypervisorError(DriverError):
    """QEMU or libvirt refused, or the guest's process ended."""

    code = "hypervisor"
    driver = "hypervisor"


class TemplateUnfit(HypervisorError):
    """No instant clone can start from this template, now or later: it is missing, damaged, or of another machine. A cold start can."""

    code = "template-unfit"

    def __init__(self, template: str, why: str) -> None:
        super().__init__(
            f"The template {template} cannot be used: {why}.",
            operation="clone",
            subject=template,
            hint="Nothing is to be done: guests start from their disks meanwhile, and a new one is made.",
        )
        self.why = why


class DiskError(DriverError):
    """A disk file could not be made, read or removed."""

    code = "disk"
    driver = "disks"


class ImageDamaged(DiskError):
    """A file is not what it should be. It is never repaired automatically: choose another version."""

    code = "image-damaged"


class NetworkError(DriverError):
    """A bridge, TAP or filter could not be set."""

    code = "network"
    driver = "network"


class DhcpError(DriverError):
    """The DHCP server did not start or does not serve."""

    code = "dhcp"
    driver = "dhcp"


class DnsError(DriverError):
    """A name could not be looked up."""

    code = "dns"
    driver = "dns"
