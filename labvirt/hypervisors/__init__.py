# SPDX-License-Identifier: MIT
"""What runs guests: qemu/ (QEMU itself, over QMP), libvirt/ (through libvirt), fake.py (a simulator with memory)."""

from __future__ import annotations
