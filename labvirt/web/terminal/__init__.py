# SPDX-License-Identifier: MIT
"""What terminals hear (docs/reference/terminal-protocol.md): the question, the ticket, the heartbeat."""
