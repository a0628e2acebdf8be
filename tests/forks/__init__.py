# SPDX-License-Identifier: MIT
"""Instant clones that have become somebody of their own: `make forks` with a hundred, tests/contracts/test_qemu_forks.py with a few."""
