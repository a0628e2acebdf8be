# SPDX-License-Identifier: MIT
"""Who may pass: nobody without a sign-in, except through the routes that are declared open. A route that nobody thought of is closed."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Request

from labvirt.domain.caller import Caller, CallerKind
from labvirt.errors import NotAllowed, NotSignedIn
from labvirt.usecases import campus, sign_in, tokens
from labvirt.usecases.ports import Ports
from labvirt.web.asgi import Scope
from labvirt.web.ui import knock, routes
from labvirt.web.ui.knock import NOBODY_TRUSTED, Knock, Proxy

NOT_SIGNED_IN = NotSignedIn(hint="Open the first page and sign in.")

ASK_FOR_TOKEN = {"www-authenticate": 'Bearer realm="LabVirt"'}
"""What programs are told beside 401 by native routes (RFC 9110, 11.6.1)."""


class Guard:
    """On whose behalf a request acts: a program's token, a browser's cookie, or the word of a trusted proxy. Asked for every request, so
    that what changes in people's rights counts at once. Safe from any thread."""

    def __init__(self, ports: Ports, proxy: Proxy = NOBODY_TRUSTED) -> None:
        self._ports = ports
        self.proxy = proxy

    def knock(self, request: Request) -> Knock:
        return knock.of_request(request, self.proxy)

    def caller(self, who: Knock, *, touch: bool = True) -> Caller:
        """Nobody's rights are none. Raises DatabaseError. An Authorization that is not good is nobody's, whatever cookie comes with it."""
        if who.bearer is not None:
            found = tokens.caller_of(self._ports, who.bearer, address=who.address)
        else:
            found = sign_in.caller_of(self._ports, who.token, address=who.address, touch=touch) if who.token else None
            if found is None and who.user:
                found = campus.caller_of(self._ports, who.user, address=who.address, group=self.proxy.group)
        return found or Caller(kind=CallerKind.TERMINAL, name="nobody", address=who.address)

    def caller_of_scope(self, scope: Scope, *, touch: bool = False) -> Caller:
        """The same for native routes. It looks into the database: call it in a thread."""
        return self.caller(knock.of_scope(scope, self.proxy), touch=touch)

    def caller_of_request(self, request: Request) -> Caller:
        return self.caller(self.knock(request), touch=request.endpoint not in routes.PASSIVE)


def is_somebody(caller: Caller) -> bool:
    return caller.kind in (CallerKind.PERSON, CallerKind.TOKEN)


def is_ready(caller: Caller) -> bool:
    """Is it somebody who owes nothing before they may go on? Native routes ask this one."""
    return is_somebody(caller) and not caller.owes_factor


def somebody(caller: Caller) -> Caller | None:
    """The caller, if it is somebody who may go on."""
    return caller if is_ready(caller) else None


def may_pass(request: Request, caller: Caller) -> bool:
    """May this request go on? Unknown addresses are closed too: only who is signed in learns what exists.

    A terminal that takes the wrong address or method hears just that (404, 405): there is no route behind it.
    """
    if request.endpoint is None and request.path.startswith("/terminals/"):
        return True
    return request.endpoint in routes.OPEN or is_somebody(caller)


def must_enrol(request: Request, caller: Caller) -> bool:
    """Is something else asked of who must set up a second factor first?"""
    return caller.owes_factor and request.endpoint not in routes.OPEN | routes.ENROLLING


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
