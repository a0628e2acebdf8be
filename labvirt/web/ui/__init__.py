# SPDX-License-Identifier: MIT
"""What people see in a browser: the first page, its live events, the door (sign-in by one-time code)."""
