# SPDX-License-Identifier: MIT
"""/labs/{lab}/pools: desktops that wait for their seats."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from labvirt import shapes
from labvirt.domain.addresses import LAST_SEAT
from labvirt.domain.pool import KEPT_MINUTES, LONGEST_MINUTES, Pool
from labvirt.usecases import pools
from labvirt.usecases.pools import PoolView
from labvirt.usecases.ports import Ports
from labvirt.web.api.model import Told, shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("pools", "Warm pools: desktops of a lab that are made before anybody asks.")

POOL = shape(Pool)
NOW = shape(
    Pool,
    lambda view: shapes.pool_view(view),
    name="PoolNow",
    waiting=dict[str, int] | None,
    served=dict[str, int] | None,
    holds=str | None,
    last_refill_seconds=float | None,
)

Count = Annotated[int, Field(ge=0, le=LAST_SEAT)]


class PoolTold(Told):
    """How many wait: `ready` run already, `paused` are clones that are loaded and stand still, `prespawned` are processes that wait for
    their state. What is not named is 0. One that has waited for `minutes` is made anew."""

    ready: Count = 0
    paused: Count = 0
    prespawned: Count = 0
    minutes: Annotated[int, Field(ge=1, le=LONGEST_MINUTES)] = KEPT_MINUTES


@noun.get("/labs/{lab}/pools", Many(NOW, key=lambda each: each.pool.profile), cli="pool list")
def list_(ports: Ports, lab: str, asked: Paged) -> tuple[PoolView, ...]:
    """The warm pools of the lab: what is wanted, what waits now, and who was served from where.

    `served` counts the starts of its seats since the engine began: `ready`, `paused`, `prespawned`, `clone` (an instant clone that did not
    wait), `boot`. `holds`: why no more are being made. All four are null while the engine does not answer."""
    return pools.views(ports, lab)


@noun.get("/labs/{lab}/pools/{profile}", POOL)
def show(ports: Ports, lab: str, profile: str) -> Pool:
    """How many are wanted of one profile. Where there is no pool: none."""
    return pools.one(ports, lab, profile)


@noun.put("/labs/{lab}/pools/{profile}", POOL, guarded_by="pools_show", cli="pool set")
def put(ports: Ports, lab: str, profile: str, told: PoolTold) -> Pool:
    """Let exactly so many wait, from now on."""
    return pools.put(ports, lab, profile, **told.given())


@noun.delete("/labs/{lab}/pools/{profile}", guarded_by="pools_show", cli="pool remove")
def remove(ports: Ports, lab: str, profile: str) -> None:
    """Let none wait any more."""
    pools.remove(ports, lab, profile)
