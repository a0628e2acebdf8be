# SPDX-License-Identifier: MIT
"""`labvirt` and `python -m labvirt`."""

from __future__ import annotations

from labvirt.bootstrap import main

if __name__ == "__main__":
    main()
