# SPDX-License-Identifier: MIT
"""The only doors to the machine: processes, files, locks, sockets, TAP devices, rights, clock.

Nothing here knows labs or guests. Foreign failures come out as OSError or as a result that says what happened; the
rooms that call translate them into sentences.
"""

from __future__ import annotations
