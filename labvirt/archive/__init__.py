# SPDX-License-Identifier: MIT
"""Backups: one tar file with a manifest, written while everything runs, and unpacked by rules of its own."""
