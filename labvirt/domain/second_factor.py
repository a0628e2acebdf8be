# SPDX-License-Identifier: MIT
"""Of whom the site asks a second factor beside the password."""

from __future__ import annotations

from enum import StrEnum

from labvirt.domain.person import Person


class Demand(StrEnum):
    """Who must have one. Who has one anyway is always asked for it."""

    OFF = "off"
    ADMINISTRATORS = "administrators"
    """Whoever looks after the whole site."""
    EVERYBODY = "everybody"

    def asks(self, person: Person) -> bool:
        """Must this person have one?"""
        return self is Demand.EVERYBODY or (self is Demand.ADMINISTRATORS and person.administers)
