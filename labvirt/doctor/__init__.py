# SPDX-License-Identifier: MIT
"""Checks of this host: each looks, changes nothing, and gives findings with the exact command that mends them."""
