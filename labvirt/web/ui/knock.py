# SPDX-License-Identifier: MIT
"""What a request says of who sends it, read once for Flask's routes and native ones alike; and whom to believe about that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from flask import Request

from labvirt.errors import InvalidInput
from labvirt.web.asgi import Scope, header

COOKIE = "labvirt_sign_in"
SECURE_COOKIE = f"__Host-{COOKIE}"
"""Over HTTPS: no other host of the domain, and nobody on the way, can set it (RFC 6265bis, 4.1.3.2)."""
UNIX = "unix"
LONGEST = 512


@dataclass(frozen=True, slots=True)
class Proxy:
    """Peers that are believed when they say who somebody is and from where. `unix`: those on a Unix socket. Without any, nobody is."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    unix: bool = False
    user_header: str = "X-Remote-User"
    group: str = ""

    @classmethod
    def parse(cls, peers: tuple[str, ...], user_header: str = "X-Remote-User", group: str = "") -> Proxy:
        """Raises InvalidInput for what is neither an address, a network nor 'unix'."""
        networks = []
        for each in peers:
            try:
                networks += [] if each == UNIX else [ip_network(each)]
            except ValueError as error:
                raise InvalidInput("trusted_proxy", f"{each!r} is no address, network or unix") from error
        return cls(tuple(networks), UNIX in peers, user_header, group)

    def trusts(self, peer: str) -> bool:
        if not peer:
            return self.unix
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self.networks if network.version == address.version)


NOBODY_TRUSTED = Proxy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """`address` is the browser's, `user` who the trusted proxy says it is ('' : nobody, or nobody trusted said so), `token` the cookie's
    value, `bearer` a program's secret (None: the request has no Authorization)."""

    address: str
    https: bool
    host: str
    agent: str
    token: str
    bearer: str | None
    user: str

    @property
    def cookie_name(self) -> str:
        return SECURE_COOKIE if self.https else COOKIE


def of_request(request: Request, proxy: Proxy) -> Knock:
    return _read(lambda name: request.headers.get(name, ""), request.remote_addr or "", request.is_secure, proxy)


def of_scope(scope: Scope, proxy: Proxy) -> Knock:
    client = scope.get("client")
    return _read(
        lambda name: header(scope, name.lower().encode("latin-1")),
        client[0] if client else "",
        scope.get("scheme") in ("https", "wss"),
        proxy,
    )


def _read(said: Callable[[str], str], peer: str, https: bool, proxy: Proxy) -> Knock:
    trusted = proxy.trusts(peer)
    if trusted:
        https = https or said("X-Forwarded-Proto").rpartition(",")[2].strip().lower() == "https"
    cookie = SECURE_COOKIE if https else COOKIE
    kind, _, secret = said("Authorization").partition(" ")
    return Knock(
        # The last word is the one that the trusted peer added itself.
        address=(said("X-Forwarded-For").rpartition(",")[2].strip()[:64] if trusted else "") or peer,
        https=https,
        host=said("Host"),
        agent=said("User-Agent")[:LONGEST],
        token=_cookie(said("Cookie"), cookie)[:LONGEST],
        bearer=secret.strip()[:LONGEST] if kind.lower() == "bearer" else None,
        user=said(proxy.user_header)[:LONGEST] if trusted else "",
    )


def _cookie(cookies: str, name: str) -> str:
    try:
        morsel = SimpleCookie(cookies).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""
