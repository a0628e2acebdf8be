# SPDX-License-Identifier: MIT
"""`make desktop-test`: the desktop guest boots, and a terminal with xfreerdp shows it."""
