# SPDX-License-Identifier: MIT
"""What the matrix asks the routes: their addresses about a lab, and what a writing one is sent so that it would really do it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flask import Flask

from labvirt.web.ui.profile_form import NO_PROFILE, shown
from labvirt.web.ui.routes import ROUTES

from .two_labs import CODES, NUMBERS

NAMES: Mapping[str, str] = {"lab": "{lab}", "guest": "{lab}-01", "filename": "labvirt.css", "id": "0" * 32}
"""What stands in an address for a variable of a route."""
ADDRESSES: Mapping[str, str] = {
    "pages.terminal": "/terminal/{lab}-t01",
    "pages.terminal_power": "/terminal/{lab}-t01/power",
    "people.one": "/people/anna",
    "people.change": "/people/anna",
    "people.change_group": "/people/groups/nobodys",
    "settings.page": "/settings?level=lab:{lab}",
    "audit.export": "/audit/export.csv",
    "seat.page": "/seats/{lab}-01",
    "seat.now": "/seats/{lab}-01/now",
    "seat.act": "/seats/{lab}-01/act",
    "hosts.service": "/hosts/here/service",
    "profiles.one": "/profiles/{lab}-desk",
    "profiles.preview": "/profiles/{lab}-desk/preview?lab={lab}",
    "profiles.edit": "/profiles/{lab}-desk/edit",
    "profiles.change": "/profiles/{lab}-desk/edit",
    "profiles.do": "/profiles/{lab}-desk/do",
    "images.one": "/images/{lab}-disk",
    "images.canary": "/images/{lab}-disk/1/canary.png",
    "images.do": "/images/{lab}-disk/do",
    "drafts.one": "/drafts/{lab}-disk.d1",
    "drafts.now": "/drafts/{lab}-disk.d1/now",
    "drafts.do": "/drafts/{lab}-disk.d1/do",
    "jobs.one": "/jobs/{number}",
    "jobs.one_part": "/jobs/{number}/part",
    "jobs.cancel": "/jobs/{number}/cancel",
    "search.page": "/search?q=lab",
    "search.found": "/search/found?q=lab",
}
"""Routes whose variables are called `name` or `number`, and those that want words."""
_PROFILE = {
    **{name: value for name, value in shown(NO_PROFILE).items() if isinstance(value, str)},
    "labs": "{lab}",
    "disk": "{lab}-disk",
    "disk_version": "",
    "disk_bus": "virtio",
    "active": "yes",
}
FORMS: Mapping[str, Mapping[str, str]] = {
    "people.ask_second_factor": {"demand": "off"},
    "settings.change": {"level": "lab:{lab}", "key": "language", "value": "es"},
    "pages.terminal_power": {"do": "restart"},
    "pages.lab_power_deed": {"do": "restart"},
    "uploads.begin": {"name": "new", "format": "raw", "size": "1"},
    "consoles.buy": {"guest": "{lab}-01", "view_only": "on"},
    "tell.tell": {"minutes": "5", "sentence": "hello"},
    "labmap.place": {"seat": "1", "room": "", "x": "1", "y": "1"},
    "labmap.room": {"room": "Room 12", "columns": "4", "rows": "4"},
    "labmap.plan": {"do": "start", "seats": "1"},
    "labmap.act": {"do": "start", "seats": "1"},
    "seat_profiles.plan": {"profile": "+usual", "seats": "1"},
    "seat_profiles.do": {"profile": "+usual", "seats": "1"},
    "seat.act": {"do": "start"},
    "pools.change": {"profile": "{lab}-desk", "ready": "1", "minutes": "60"},
    "images.blank": {"name": "empty", "gib": "1"},
    "welcome.lab": {"name": "lab-c", "network": "10.79.0.0/24", "dhcp": "own"},
    "welcome.image": {"name": "blank", "gib": "1"},
    "welcome.profile": {
        "name": "{lab}-first",
        "image": "{lab}-disk",
        "memory_mib": "64",
        "cpus": "1",
        "protocol": "spice",
        "mode": "snapshot",
    },
    "inbox.adopt": {"do": "adopt", "code": "{code}", "lab": "{lab}"},
    "inbox.change": {"do": "activate", "name": "{lab}-t01"},
    "profiles.add": {**_PROFILE, "name": "{lab}-new"},
    "profiles.change": {**_PROFILE, "mode": "administrative"},
    "profiles.do": {"do": "clone", "new_name": "{lab}-copy"},
    "images.do": {"do": "undo"},
    "drafts.start": {"profile": "{lab}-desk", "lab": "{lab}"},
    "drafts.do": {"do": "keep"},
}
"""What a writing route is sent, so that it would really do it."""
REALLY = frozenset({"inbox.adopt", "inbox.change", "profiles.do", "images.do", "drafts.start", "drafts.do", "jobs.cancel"})
"""Routes that tell on the next page that something was refused, if it was: who may must not be told so the first time."""


def about(text: str, lab: str) -> str:
    """An address or a field, about what belongs to this lab."""
    return text.format(lab=lab, number=NUMBERS[lab], code=CODES[lab])


def form(endpoint: str, lab: str) -> dict[str, str]:
    return {key: about(value, lab) for key, value in FORMS.get(endpoint, {}).items()}


def rules(flask: Flask) -> Iterator[tuple[str, str, str]]:
    """(endpoint, method, address with {lab}) of every route but those that are open."""
    for rule in flask.url_map.iter_rules():
        if rule.endpoint.startswith("api."):
            continue  # tests/api/test_roles.py
        address = ADDRESSES.get(rule.endpoint, rule.rule)
        for name in rule.arguments:
            address = address.replace(f"<{name}>", NAMES.get(name, "{lab}")).replace(f"<path:{name}>", NAMES.get(name, "{lab}"))
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            if ROUTES[rule.endpoint].right is not None and rule.endpoint != "pages.leave":
                yield rule.endpoint, method, address
