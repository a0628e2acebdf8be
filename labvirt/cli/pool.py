# SPDX-License-Identifier: MIT
"""labvirt pool ..."""

from __future__ import annotations

import click

from labvirt import shapes
from labvirt.cli import words
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.contracts.engine import PoolStatus
from labvirt.domain.pool import KEPT_MINUTES, Pool, SpareKind
from labvirt.usecases import pools as cases


@click.group(cls=Noun)
def pool() -> None:
    """Warm pools: desktops of a lab that are made before anybody asks, and wait for their seats.

    \b
    labvirt pool set lab-a desktop --paused 12
    labvirt pool list lab-a
    """


@pool.command("list")
@click.argument("lab", type=words.NAME)
@pass_session
def list_pools(session: Session, /, lab: str) -> None:
    """What is wanted, what waits now, and from where seats were served since the engine began."""
    with session.ports() as ports:
        found = cases.views(ports, lab)
    if session.as_json:
        session.show([shapes.pool_view(each) for each in found])
        return
    session.table(
        found,
        ("PROFILE", *(kind.upper() for kind in SpareKind), "SERVED", "WAITS FOR"),
        ((each.pool.profile, *(_count(each, kind) for kind in SpareKind), _served(each.now), _holds(each.now)) for each in found),
        empty=f"Nothing waits in {lab}: each desktop is started when its seat asks. labvirt pool set {lab} PROFILE --paused 4",
    )


@pool.command("set")
@click.argument("lab", type=words.NAME)
@click.argument("profile", type=words.NAME)
@click.option("--ready", type=int, default=0, help="So many run already, each like any running desktop.")
@click.option("--paused", type=int, default=0, help="So many clones are loaded and stand still: little memory, and there in a blink.")
@click.option("--prespawned", type=int, default=0, help="Of so many clones only the process waits, without its state.")
@click.option("--minutes", type=int, default=KEPT_MINUTES, help=f"What waited so long is made anew (default: {KEPT_MINUTES}).")
@pass_session
def set_pool(session: Session, /, lab: str, profile: str, ready: int, paused: int, prespawned: int, minutes: int) -> None:
    """Let exactly so many wait, from now on: what is not named is 0. --paused and --prespawned want a profile with instant clones."""
    with session.ports() as ports:
        new = cases.put(ports, lab, profile, ready=ready, paused=paused, prespawned=prespawned, minutes=minutes)
    session.show(shapes.plain(new), [_wanted(new)])


@pool.command("remove")
@click.argument("lab", type=words.NAME)
@click.argument("profile", type=words.NAME)
@pass_session
def remove_pool(session: Session, /, lab: str, profile: str) -> None:
    """Let none wait any more. Desktops that somebody uses stay."""
    with session.ports() as ports:
        cases.remove(ports, lab, profile)
    session.show({"lab": lab, "profile": profile}, [f"No {profile} waits in {lab} any more."])


def _wanted(new: Pool) -> str:
    if not new.total:
        return f"No {new.profile} waits in {new.lab}."
    counts = ", ".join(f"{new.count(kind)} {kind}" for kind in SpareKind if new.count(kind))
    return f"Of {new.profile} there wait in {new.lab}: {counts}; each is made anew after {new.minutes} minutes."


def _count(each: cases.PoolView, kind: SpareKind) -> str:
    """Waiting of wanted."""
    wanted = each.pool.count(kind)
    waiting = "?" if each.now is None else dict(each.now.waiting).get(kind, 0)
    return f"{waiting} of {wanted}" if wanted or waiting not in (0, "?") else "-"


def _served(now: PoolStatus | None) -> str:
    return "?" if now is None else ", ".join(f"{name} {count}" for name, count in now.served if count) or "nobody yet"


def _holds(now: PoolStatus | None) -> str:
    return "the engine does not answer" if now is None else now.holds
