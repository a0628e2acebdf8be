# SPDX-License-Identifier: MIT
"""The packet filter: ruleset.py and rules.py say what stands (pure), doer.py puts it there, listing.py reads it back, known.py remembers
it for as long as nobody else changes anything."""
