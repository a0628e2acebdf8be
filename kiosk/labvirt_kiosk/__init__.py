# SPDX-License-Identifier: MIT
"""The kiosk program of a terminal: asks the controller what to show, and shows it.

Runs on a plain Python 3.11. Only the version lives here; `kiosk/README.md` tells the boot story.
"""

from __future__ import annotations

__version__ = "0.1.0"
