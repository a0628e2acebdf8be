# SPDX-License-Identifier: MIT
"""Consoles in a browser: a ticket is bought over HTTP, the WebSocket spends it and ends at the guest's socket. Native async throughout."""
