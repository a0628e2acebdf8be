# SPDX-License-Identifier: MIT
"""Backups: written while the site lives, read as if somebody hostile had made them."""
