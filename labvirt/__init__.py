# SPDX-License-Identifier: MIT
"""LabVirt: one virtual machine for each seat of a computer lab.

Only the version lives here; `docs/architecture.md` explains the rooms, `labvirt/bootstrap/` joins them.
"""

from __future__ import annotations

__version__ = "0.1.0.dev0"
