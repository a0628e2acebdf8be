# SPDX-License-Identifier: MIT
"""labvirt profile ..."""

from __future__ import annotations

from typing import Any

import click

from labvirt.cli import words
from labvirt.cli.session import Noun, Session, given, pass_session
from labvirt.domain.profile import Clock, Firmware, Machine, Mode, Nic, Profile, Protocol, SlotKind, Sound, Video
from labvirt.errors import InvalidInput
from labvirt.usecases import profiles


@click.group(cls=Noun)
def profile() -> None:
    """What guests are made of."""


def _disk(profile_: Profile) -> list[str]:
    told = []
    for placed in profile_.placed():
        slot = placed.slot
        what = str(slot.kind) if slot.kind is not SlotKind.DISK else f"{slot.image}" + (f"@{slot.version}" if slot.version else "")
        told.append(f"{what}:{slot.bus}")
    return told


def _lines(each: Profile) -> list[str]:
    return [
        f"{each.name}: {each.memory_mib} MiB, {each.cpus} CPU, {each.protocol}, {each.mode}, position {each.position}"
        + ("" if each.active else ", not active"),
        f"  disks {' '.join(_disk(each))}",
        f"  {each.machine}, {each.firmware}, clock {each.clock}, NIC {each.nic}, video {each.video}, sound {each.sound}",
        f"  labs: {', '.join(sorted(each.labs)) or 'all'}"
        + (f"; user {each.user}" if each.user else "")
        + (f"; ready when TCP port {each.ready_port} answers" if each.ready_port else ""),
        *([f"  {each.note}"] if each.note else []),
    ]


def _options(command: Any) -> Any:
    for option in reversed(
        (
            click.option("--cpus", type=int, help="Virtual processors (default 1)."),
            click.option("--firmware", type=words.choice(Firmware), help="Default: bios."),
            click.option("--machine", type=words.choice(Machine), help="Default: q35."),
            click.option("--clock", type=words.choice(Clock), help="What the hardware clock shows (default: utc)."),
            click.option("--nic", type=words.choice(Nic), help="Network card (default: virtio)."),
            click.option("--sound", type=words.choice(Sound), help="Default: none."),
            click.option("--video", type=words.choice(Video), help="Default: std."),
            click.option("--protocol", type=words.choice(Protocol), help="How terminals see it (default: spice)."),
            click.option("--mode", type=words.choice(Mode), help="Default: snapshot."),
            click.option("--position", type=int, help="The lowest that can be started is taken (default 100)."),
            click.option("--lab", "labs", type=words.NAME, multiple=True, help="Only for this lab (may be repeated)."),
            click.option("--active/--inactive", default=None, help="Inactive: nobody gets it."),
            click.option("--user", type=words.TEXT, help="The guest's account, for RDP."),
            click.option("--ready-port", type=int, help="TCP port whose answering means ready."),
            click.option("--note", type=words.TEXT, help="For people."),
        )
    ):
        command = option(command)
    return command


def _changes(options: dict[str, Any]) -> dict[str, Any]:
    changes = given(**options)
    for field, kind in (("labs", frozenset), ("slots", tuple)):
        if field in changes:
            changes[field] = kind(changes[field])
            if not changes[field]:
                del changes[field]
    return changes


@profile.command("list")
@pass_session
def list_profiles(session: Session) -> None:
    """All profiles, in the order in which they are tried."""
    with session.ports() as ports:
        found = profiles.everything(ports)
    session.table(
        found,
        ("POSITION", "NAME", "MEMORY", "CPUS", "DISKS", "PROTOCOL", "LABS", "ACTIVE"),
        (
            (
                p.position,
                p.name,
                f"{p.memory_mib} MiB",
                p.cpus,
                " ".join(_disk(p)),
                p.protocol,
                ", ".join(sorted(p.labs)) or "all",
                "yes" if p.active else "no",
            )
            for p in found
        ),
        empty="There is no profile. Add one: labvirt profile add NAME --memory 2048 --disk IMAGE:virtio",
    )


@profile.command("show")
@click.argument("name", type=words.NAME)
@pass_session
def show_profile(session: Session, /, name: str) -> None:
    """One profile."""
    with session.ports() as ports:
        found = profiles.one(ports, name)
    session.show(found, _lines(found))


@profile.command("add")
@click.argument("name", type=words.NAME)
@click.option("--memory", "memory_mib", type=int, required=True, help="MiB.")
@click.option(
    "--disk",
    "slots",
    type=words.SLOT,
    multiple=True,
    required=True,
    help="IMAGE:BUS or IMAGE@VERSION:BUS, also cdrom:BUS and empty:BUS; repeated, in order: the first disk boots.",
)
@_options
@pass_session
def add_profile(session: Session, /, name: str, **options: Any) -> None:
    """A new profile."""
    with session.ports() as ports:
        added = profiles.add(ports, Profile(name=name, **_changes(options)))
    session.show(added, _lines(added))


@profile.command("set")
@click.argument("name", type=words.NAME)
@click.option("--memory", "memory_mib", type=int, help="MiB.")
@click.option("--disk", "slots", type=words.SLOT, multiple=True, help="All its disks anew, in order; as for `add`.")
@click.option("--all-labs", is_flag=True, help="For every lab again.")
@click.option("--no-user", is_flag=True, help="Forget the account.")
@click.option("--no-ready-port", is_flag=True, help="Running is ready.")
@_options
@pass_session
def set_profile(session: Session, /, name: str, all_labs: bool, no_user: bool, no_ready_port: bool, **options: Any) -> None:
    """Change a profile; running guests keep what they were started with."""
    changes = _changes(options)
    for flag, field, value in (
        (all_labs, "labs", frozenset()),
        (no_user, "user", None),
        (no_ready_port, "ready_port", None),
    ):
        if flag and field in changes:
            raise InvalidInput(field, "cannot be set and forgotten at once")
        if flag:
            changes[field] = value
    with session.ports() as ports:
        changed = profiles.change(ports, name, **changes)
    session.show(changed, _lines(changed))


@profile.command("clone")
@click.argument("name", type=words.NAME)
@click.argument("new_name", type=words.NAME)
@pass_session
def clone_profile(session: Session, /, name: str, new_name: str) -> None:
    """A copy under a NEW_NAME, inactive at first."""
    with session.ports() as ports:
        made = profiles.clone(ports, name, new_name)
    session.show(made, _lines(made))


@profile.command("remove")
@click.argument("name", type=words.NAME)
@pass_session
def remove_profile(session: Session, /, name: str) -> None:
    """Remove a profile that nobody uses."""
    with session.ports() as ports:
        gone = profiles.remove(ports, name)
    session.show({"removed": gone.name}, [f"{gone.name} is removed."])
