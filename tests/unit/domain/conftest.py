# SPDX-License-Identifier: MIT
"""No property of the domain is about time: a busy machine must not fail it."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("domain", deadline=None)
settings.load_profile("domain")
