# SPDX-License-Identifier: MIT
"""Who may pass: nobody without a sign-in, except through the routes that are named here. A route that nobody thought of is closed."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Request

from labvirt.domain.caller import Caller, CallerKind, Grant
from labvirt.domain.right import Role
from labvirt.errors import NotAllowed
from labvirt.web.asgi import Scope, header
from labvirt.web.ui.sign_in import COOKIE, SignIns

OPEN = frozenset(
    {
        *("pages.door", "pages.enter", "pages.health", "static"),
        *("terminals.ticket", "terminals.heartbeat", "terminals.deed", "terminals.boot", "terminals.tell_hardware"),
    }
)
"""Endpoints for everybody. The terminals' look at the lease of the address that asks."""

NOT_SIGNED_IN = NotAllowed("You are not signed in.", hint="Open the first page and enter a one-time code: labvirt code")


def is_signed_in(request: Request, sign_ins: SignIns) -> bool:
    return sign_ins.valid(request.cookies.get(COOKIE))


def may_pass(request: Request, sign_ins: SignIns) -> bool:
    """May this request go on? Unknown addresses are closed too: only who is signed in learns what exists.

    A terminal that takes the wrong address or method hears just that (404, 405): there is no route behind it.
    """
    if request.endpoint is None and request.path.startswith("/terminals/"):
        return True
    return request.endpoint in OPEN or is_signed_in(request, sign_ins)


def caller(request: Request, sign_ins: SignIns) -> Caller:
    """On whose behalf this request acts. Nobody's rights are none. (A one-time code still buys everything: people come next.)"""
    address = request.remote_addr or ""
    person = _person(sign_ins.who(request.cookies.get(COOKIE)), address)
    return person or Caller(kind=CallerKind.TERMINAL, name="nobody", address=address)


def caller_of(scope: Scope, sign_ins: SignIns) -> Caller | None:
    """The same for native routes; None: nobody is signed in."""
    return _person(sign_ins.who_header(header(scope, b"cookie")), (scope.get("client") or ("",))[0])


def _person(name: str | None, address: str) -> Caller | None:
    if name is None:
        return None
    everything = (Grant(Role.ADMINISTRATOR),)
    return Caller(kind=CallerKind.PERSON, name=name, grants=everything, address=address, sign_in=name)


def check_origin(request: Request) -> None:
    """Raises NotAllowed for a writing request that a page of somebody else has sent (Fetch Metadata, else Origin; OWASP CSRF cheat sheet).

    Programs that are no browser send neither header, and carry no cookie that somebody could ride on.
    """
    check_sender(request.method, request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin"), request.host)


def check_sender(method: str, site: str | None, origin: str | None, host: str) -> None:
    """The same rule from the values of the headers, for routes that are not Flask's."""
    if method in ("GET", "HEAD", "OPTIONS"):
        return
    foreign = site not in ("same-origin", "none") if site is not None else origin is not None and urlsplit(origin).netloc != host
    if foreign:
        raise NotAllowed("This was sent by a page of another site.", hint="Use LabVirt's own pages.")
