# SPDX-License-Identifier: MIT
"""Keeps contracts.trials: profiles' own check files, run by pytest in a process without rights; ports, serial lines and pictures.

What a check file may use is in inside/, which alone is seen in that process; the rest runs in the engine or a command.
"""

from __future__ import annotations
