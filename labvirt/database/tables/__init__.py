# SPDX-License-Identifier: MIT
"""The tables as they are now. What may not be twice is held by a constraint, whoever writes.

How they came to be is in migrations/; a test compares both. Times are ISO 8601 text in UTC, addresses are text,
lists and small maps are JSON.
"""

from __future__ import annotations

from labvirt.database.tables.audit import audit, audit_stumps
from labvirt.database.tables.columns import metadata
from labvirt.database.tables.guests import guest_disks, guests, hosts, messages
from labvirt.database.tables.images import canaries, drafts, images, versions
from labvirt.database.tables.people import api_tokens, grants, groups, members, people, sign_ins
from labvirt.database.tables.places import (
    boots,
    classes,
    hardware,
    heartbeats,
    lab_dhcp,
    labs,
    rooms,
    seat_places,
    settings,
    strangers,
    terminals,
)
from labvirt.database.tables.pools import pools, spares
from labvirt.database.tables.power import departures, power_orders, power_policies, power_times
from labvirt.database.tables.profiles import profile_labs, profile_positions, profile_slots, profiles
from labvirt.database.tables.records import facts, job_lines, jobs, kept_answers

__all__ = [
    "NOUNS",
    "api_tokens",
    "audit",
    "audit_stumps",
    "boots",
    "canaries",
    "classes",
    "departures",
    "drafts",
    "facts",
    "grants",
    "groups",
    "guest_disks",
    "guests",
    "hardware",
    "heartbeats",
    "hosts",
    "images",
    "job_lines",
    "jobs",
    "kept_answers",
    "lab_dhcp",
    "labs",
    "members",
    "messages",
    "metadata",
    "people",
    "pools",
    "power_orders",
    "power_policies",
    "power_times",
    "profile_labs",
    "profile_positions",
    "profile_slots",
    "profiles",
    "rooms",
    "seat_places",
    "settings",
    "sign_ins",
    "spares",
    "strangers",
    "terminals",
    "versions",
]

NOUNS = {
    "labs": "lab",
    "lab_dhcp": "lab",
    "classes": "terminal class",
    "hosts": "host",
    "images": "image",
    "versions": "version",
    "profiles": "profile",
    "profile_slots": "profile",
    "profile_labs": "profile",
    "terminals": "terminal",
    "guests": "guest",
    "guest_disks": "guest",
    "profile_positions": "profile",
    "canaries": "canary",
    "drafts": "draft",
    "jobs": "job",
    "job_lines": "job",
    "power_orders": "order",
    "people": "person",
    "person_groups": "group",
    "api_tokens": "token",
    "sign_ins": "sign-in",
    "rooms": "room",
    "seat_places": "seat",
    "pools": "pool",
    "spares": "spare",
}
"""What people call a row of each table; a part of something is called by its whole."""
