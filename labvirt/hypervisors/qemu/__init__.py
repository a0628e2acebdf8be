# SPDX-License-Identifier: MIT
"""Guests as processes of QEMU: command.py and sandbox.py say how they are started, monitor.py speaks with them,
driver.py keeps the contract. Only the LGPL part of qemu.qmp is used, never qemu.qmp.legacy.
"""

from __future__ import annotations
