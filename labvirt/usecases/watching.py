# SPDX-License-Identifier: MIT
"""Looking at a guest's screen: who may, asked before a picture is shown."""

from __future__ import annotations

from labvirt.domain.right import Right
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs


@needs(Right.WATCH, guest="name")
def may_watch(ports: Ports, name: str) -> None:
    """Whoever calls may see the pictures of this guest. Raises NotFound, NotAllowed."""
