# SPDX-License-Identifier: MIT
"""What people and terminals want, one file per noun. Each function takes the ports first, writes its wish in one
unit of work together with a line of history, and pokes the engine. Nothing here acts on the machine; nothing here
knows SQL, HTTP or QEMU.
"""
