# SPDX-License-Identifier: MIT
"""What is seen inside the checks' process: the pytest plugin and the fixture `guest`. Standard library and pytest only, no other room."""

from __future__ import annotations
