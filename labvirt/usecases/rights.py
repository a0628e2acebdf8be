# SPDX-License-Identifier: MIT
"""Who may do what: asked before every use case that a person can reach. The one place where a right is refused.

`@needs(Right.OPERATE, guest="name")`: the argument `name` is a guest; the caller must have OPERATE in all its labs. What one may not even
see is not there (NotFound); what one sees and may not do is NotAllowed, with the right and the labs that are missing. LabVirt itself and
the command line (MACHINE) may everything, at the cost of one comparison.
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, TypeVar, cast

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.caller import CallerKind
from labvirt.domain.reach import SITE, Reach
from labvirt.domain.right import Right
from labvirt.errors import MustEnrol, NotAllowed, NotFound
from labvirt.usecases import audit, whose
from labvirt.usecases.ports import Ports

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Need:
    """What a use case asks of its caller. `where`: kind of thing (whose.KINDS) -> name of the argument. `each`: it leaves out itself what
    the caller may not see. `anywhere`: what belongs to no lab and may be known to whoever has the right in any. `own`: it is about the
    caller's own account, whatever they may do."""

    right: Right
    where: tuple[tuple[str, str], ...] = ()
    each: bool = False
    anywhere: bool = False
    own: bool = False


def needs(right: Right, *, site: bool = False, each: bool = False, anywhere: bool = False, **where: str) -> Callable[[F], F]:
    """The decorated use case raises NotFound or NotAllowed before it looks at anything. Arguments that are None are nobody's; when all of
    them are, and with `site`, the right is asked for the whole site."""
    if not (site or each or anywhere or where) or set(where) - set(whose.KINDS):
        raise TypeError(f"needs(): say where, as one of {', '.join(whose.KINDS)}")
    need = Need(right, tuple(where.items()), each, anywhere)

    def decorate(function: F) -> F:
        places = _places(function, need)

        @wraps(function)
        def asked(ports: Ports, *args: Any, **kwargs: Any) -> Any:
            if ports.caller.kind is CallerKind.MACHINE:
                return function(ports, *args, **kwargs)
            if ports.caller.owes_factor:
                raise MustEnrol
            with _refusals():
                _check(ports, need, places, args, kwargs, function.__name__)
                return function(ports, *args, **kwargs)

        asked.need = need  # type: ignore[attr-defined]
        return cast(F, asked)

    return decorate


def own(function: F) -> F:
    """The decorated use case is about the account of whoever calls: for a signed-in person, never for a program's token."""
    of_account = enrolling(function)

    @wraps(of_account)
    def asked(ports: Ports, *args: Any, **kwargs: Any) -> Any:
        if ports.caller.owes_factor:
            raise MustEnrol
        return of_account(ports, *args, **kwargs)

    return cast(F, asked)


def enrolling(function: F) -> F:
    """As `own`, and also for who must set up a second factor: nothing else is."""

    @wraps(function)
    def asked(ports: Ports, *args: Any, **kwargs: Any) -> Any:
        if ports.caller.kind not in (CallerKind.PERSON, CallerKind.MACHINE):
            raise NotAllowed("This is for people who are signed in.", hint="Sign in with a browser.")
        return function(ports, *args, **kwargs)

    asked.need = Need(Right.LOOK, own=True)  # type: ignore[attr-defined]
    return cast(F, asked)


def own_or_tended(function: F) -> F:
    """As `own`, and for a program whose token names the right to change people."""
    for_people = own(function)

    @wraps(function)
    def asked(ports: Ports, *args: Any, **kwargs: Any) -> Any:
        return (function if ports.caller.tends_people else for_people)(ports, *args, **kwargs)

    asked.need = Need(Right.LOOK, own=True)  # type: ignore[attr-defined]
    return cast(F, asked)


def must(ports: Ports, right: Right, reach: Reach, what: str) -> None:
    """For what only shows inside of a use case. `what` is the act as words after 'to': 'name a file of the server'. Raises NotAllowed."""
    if ports.caller.kind is not CallerKind.MACHINE and not reach.allows(ports.caller, right):
        _refuse(ports, right, reach, what)


def must_see(ports: Ports, work: UnitOfWork, kind: str, name: Any) -> None:
    """Raises NotFound for what the caller may not look at."""
    if ports.caller.kind is not CallerKind.MACHINE and not whose.KINDS[kind](work, name).seen_by(ports.caller):
        raise NotFound(whose.NOUNS.get(kind, kind), str(name))


def visible(ports: Ports, items: Iterable[T], reach: Callable[[T], Reach]) -> tuple[T, ...]:
    """Those that the caller may look at, in their order."""
    if ports.caller.may(Right.LOOK, None):
        return tuple(items)
    return tuple(item for item in items if reach(item).seen_by(ports.caller))


def _places(function: Callable[..., object], need: Need) -> Mapping[str, tuple[int, Any]]:
    """Argument -> its place after `ports`, and its default. What is not in the signature comes by its name (**changes)."""
    known = list(inspect.signature(function).parameters.values())[1:]
    found = {each.name: (place, each.default) for place, each in enumerate(known) if each.kind is not inspect.Parameter.VAR_KEYWORD}
    open_ended = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known)
    for _, argument in need.where:
        if argument not in found and not open_ended:
            raise TypeError(f"{function.__module__}.{function.__name__} has no argument {argument}")
    return found


def _check(
    ports: Ports, need: Need, places: Mapping[str, tuple[int, Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any], name: str
) -> None:
    given = []
    for kind, argument in need.where:
        place, default = places.get(argument, (len(args), None))
        value = args[place] if place < len(args) else kwargs.get(argument, default)
        if value is not None and value is not inspect.Parameter.empty:
            given.append((kind, value))
    if not given and (need.each or (need.anywhere and ports.caller.may_somewhere(need.right))):
        return
    reaches = [SITE]
    if given:
        with ports.database.read() as work:
            reaches = [whose.KINDS[kind](work, value) for kind, value in given]
        for (kind, value), reach in zip(given, reaches, strict=True):
            if kind not in _NEW and not reach.seen_by(ports.caller):
                raise NotFound(whose.NOUNS.get(kind, kind), str(value))
        if need.right is Right.LOOK:
            return
    for reach in reaches:
        if not reach.allows(ports.caller, need.right):
            _refuse(ports, need.right, reach, name.replace("_", " "))


_thread = threading.local()


@contextmanager
def _refusals() -> Iterator[None]:
    """A refusal inside is written when the outermost use case is left: only then is no transaction of this thread open any more."""
    depth = getattr(_thread, "depth", 0)
    _thread.depth = depth + 1
    try:
        yield
    finally:
        _thread.depth = depth
        if depth == 0:
            told, _thread.told = getattr(_thread, "told", None), None
            if told is not None:
                told()


def _refuse(ports: Ports, right: Right, reach: Reach, what: str) -> None:
    who = ports.caller.name
    log.warning("refused: %s may not %s (%s) in %s, from %s", who, what, right, reach, ports.caller.address or "here")
    tell = partial(audit.refused, ports, what, right, reach.labs)
    if getattr(_thread, "depth", 0):
        _thread.told = tell
    else:
        tell()
    raise NotAllowed(f"You may not do this: it needs the right '{right}' in {reach}.", hint="Ask an administrator for it.")


_NEW = frozenset({"affinity", "made_profile"})
"""What is not there yet, so that nobody can be told whether it is."""

ALONE: Mapping[str, str] = {
    name: why
    for why, names in {
        "a lab PC asks: its leased address is the proof": (
            "asking.ask asking.ticket asking.heartbeat asking.proven boots.tell enrol.meet finding.find hardware.tell terminal_deeds.do"
            " leaving.goodbye leaving.back orders.give orders.confirm asking.in_front"
        ),
        "a job does it that was asked for by a use case which has its right": (
            " backups.do_backup canaries.do_canary canaries.trial exports.do_export flattening.do_flatten garbage.do_garbage"
            " imports.do_import"
            " imports.do_blank publishing.do_publish rescue.do_files scrubbing.do_scrub session_start.do_session draining.drain"
            " draining.call_off emptying.take rubbish.look rubbish.rubbish_of templates.do_template"
        ),
        "the engine does it by itself": (
            " audit.cut figures.figures figures.ready flattening.wanted flattening.deep jobs.unfinished jobs.run leaving.stop_due"
            " orders.expire power_times.keep scrubbing.due"
            " scrubbing.wanted sessions.mend sessions.remind templates.keep"
        ),
        "a part of use cases that have their rights": (
            "catalogue.must_be_whole imports.import_upload jobs.enqueue jobs.enqueue_in orders.in_lab people.insert people.confirmed"
            " people.lately power_times.wall specials.take specials.release specials.free terminals.insert rights.must rights.must_see"
            " rights.visible"
        ),
        "it looks itself for labs where the caller has the right": "audit.page audit.verbs audit.everything audit.verify",
        "it asks itself: to look, to type, and into a session are three rights": (
            "consoles.buy consoles.spend consoles.connect consoles.check consoles.may_type consoles.open_now consoles.run_of"
        ),
        "the API's own book of requests, by who sent them": "repeating.begin repeating.end repeating.forget",
        "what was refused is written on whoever's behalf": "audit.refused audit.denied audit.flush",
        "somebody at a shell of the controller, who can read the state folder anyway": "setup.init setup.sign_in_code",
        "the door itself: a code, a password or a token is the proof": (
            "setup.known setup.has_people setup.is_done sign_in.first sign_in.by_code sign_in.with_password sign_in.with_phone"
            " sign_in.caller_of sign_in.leave tokens.caller_of campus.caller_of"
        ),
    }.items()
    for name in names.split()
}
"""Public functions of use cases that ask for no right: module.function -> why not. A test compares with what there is."""
