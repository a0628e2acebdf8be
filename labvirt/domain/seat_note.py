# SPDX-License-Identifier: MIT
"""What a guest is told of who it is, in its firmware as opt/labvirt/seat: an instant clone has no other way to know.

`run=lab-a-07.g3 name=lab-a-07 uuid=...`, and blanks to SEAT_NOTE_LENGTH. Always as long: Linux has read in the template how long each of
the firmware's files is, and reads so many bytes in the clone. images/fork/labvirt-fork reads it.
"""

from __future__ import annotations

import uuid

from labvirt.domain.guest import RunId

SEAT_NOTE = "seat"
"""Its NAME in LaunchSpec.told."""

SEAT_NOTE_LENGTH = 256


def seat_note(run: RunId, *, name: str, uuid: uuid.UUID) -> str:
    """`name`: its host name. `uuid`: that of its machine (SMBIOS), from which a cold start has its machine-id."""
    return f"run={run} name={name} uuid={uuid}".ljust(SEAT_NOTE_LENGTH)
