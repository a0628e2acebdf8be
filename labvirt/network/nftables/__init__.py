# SPDX-License-Identifier: MIT
"""The packet filter: ruleset.py and rules.py say what stands (pure), doer.py puts it there, listing.py reads it back."""
