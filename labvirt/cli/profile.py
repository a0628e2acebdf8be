# SPDX-License-Identifier: MIT
"""labvirt profile ..."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

import click

from labvirt import shapes
from labvirt.cli import words
from labvirt.cli.amounts import counted
from labvirt.cli.profile_checks import checks
from labvirt.cli.profile_options import changes, forgetting_options, machine_options
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.domain.advice import Advice, advise
from labvirt.domain.profile import Profile, SessionPolicy, SlotKind
from labvirt.usecases import profiles
from labvirt.usecases.administration import AdministrativeView


@click.group(cls=Noun)
def profile() -> None:
    """What guests are made of."""


profile.add_command(checks)


def _disk(profile_: Profile) -> list[str]:
    told = []
    for placed in profile_.placed():
        slot = placed.slot
        what = str(slot.kind) if slot.kind is not SlotKind.DISK else f"{slot.image}" + (f"@{slot.version}" if slot.version else "")
        told.append(f"{what}:{slot.bus}")
    return told


_VIRTIO = "virtio hands whole rings of packets over and is the fastest; the guest needs its driver (Linux has it, Windows: NetKVM)."


def _lines(each: Profile) -> list[str]:
    windows = [word for word, on in (("Hyper-V", each.hyperv), ("TPM", each.tpm), ("instant clones", each.instant_clone)) if on]
    limits = [
        f"at most {each.max_guests} at once" if each.max_guests else "",
        f"{each.start_guests} per lab start with the host" if each.start_guests else "",
        f"a fresh run after {each.restart_days} days" if each.restart_days else "",
        f"may write {each.overlay_cap_mib} MiB" if each.overlay_cap_mib else "",
    ]
    policy = f"{each.session_policy}" + (f" ({each.drain_seconds} s)" if each.session_policy is SessionPolicy.DRAIN else "")
    return [
        f"{each.name}: {each.memory_mib} MiB, {each.cpus} CPU, {each.protocol}, {each.mode}, position {each.position}"
        + ("" if each.active else ", not active"),
        f"  disks {' '.join(_disk(each))}",
        f"  {each.machine}, {each.firmware}, clock {each.clock}, NIC {each.nic}, video {each.video}, sound {each.sound}"
        + "".join(f", {word}" for word in windows),
        *([f"  further arguments: {' '.join(each.extra)}"] if each.extra else []),
        f"  labs: {', '.join(sorted(each.labs)) or 'all'}"
        + "".join(f"; position {position} in {lab}" for lab, position in each.lab_positions)
        + (f"; user {each.user}" if each.user else "")
        + (f"; ready when TCP port {each.ready_port} answers" if each.ready_port else ""),
        *([f"  homes on {each.home}"] if each.home else []),
        *([f"  {'; '.join(limit for limit in limits if limit)}"] if any(limits) else []),
        f"  clients during an admin session: {policy}; checks: {', '.join(each.checks) or 'none'}",
        *([f"  {each.note}"] if each.note else []),
    ]


def _advised(found: Iterable[Advice]) -> list[str]:
    """What would run better, and why."""
    return [
        line
        for each in found
        for line in (f"advice: {each.sentence}", f"  {each.reason}", *(f"  {n}. {step}" for n, step in enumerate(each.steps, 1)))
    ]


def _nic_reason(profile_: Profile, changed: dict[str, Any]) -> list[str]:
    """Who switches the network card hears why it matters."""
    if "nic" not in changed:
        return []
    found = [each for each in advise(profile_) if each.field == "nic"]
    return [f"  {each.sentence} {each.reason}" for each in found] or [f"  {_VIRTIO}"]


def _beside(view: AdministrativeView) -> list[str]:
    """Its administrative side."""
    return [
        f"administrative: {view.command}" + (f" (not now: {view.why_not})" if view.why_not else ""),
        f"  {view.what_happens}",
        *(
            f"  disk {disk.place}: {disk.image} from {f'v{disk.version}' if disk.version else 'nothing'}"
            + (f", seats are pinned to v{disk.pinned}" if disk.pinned else "")
            + (f", {disk.open.name} is {disk.open.state} by {disk.open.owner}" if disk.open else "")
            + (f", kept: {' '.join(draft.name for draft in disk.kept)}" if disk.kept else "")
            + (f", {counted(len(disk.clients), 'client')}" if disk.clients else "")
            for disk in view.disks
        ),
    ]


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
    """Show one profile. Its administrative side stands beside it, and advice with reasons."""
    with session.ports() as ports:
        found = profiles.one(ports, name)
        beside = profiles.administrative(ports, name)
        advised = profiles.advice(ports, name)
    session.show(
        shapes.plain(found) | {"administrative": shapes.plain(beside), "advice": shapes.plain(advised)},
        [*_lines(found), *_beside(beside), *_advised(advised)],
    )


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
@machine_options
@pass_session
def add_profile(session: Session, /, name: str, **options: Any) -> None:
    """A new profile.

    \b
    labvirt profile add office --memory 2048 --disk tiny:virtio
    labvirt profile add win11 --memory 4096 --disk win11:sata --firmware uefi --tpm --hyperv --clock localtime
    """
    with session.ports() as ports:
        added = profiles.add(ports, Profile(name=name, **changes(options)))
    found = (each for each in advise(added) if each.field != "checks")  # nobody has any on the first day
    session.show(added, [*_lines(added), *_advised(found)])


@profile.command("set")
@click.argument("name", type=words.NAME)
@click.option("--memory", "memory_mib", type=int, help="MiB.")
@click.option("--disk", "slots", type=words.SLOT, multiple=True, help="All its disks anew, in order; as for `add`.")
@forgetting_options
@machine_options
@pass_session
def set_profile(session: Session, /, name: str, **options: Any) -> None:
    """Change a profile. Running guests keep what they were started with.

    \b
    labvirt profile set office --nic virtio
    labvirt profile set office --session-policy drain --drain-seconds 600
    labvirt profile set office --lab-position lab-a=10 --lab-position lab-b=
    """
    with session.ports() as ports:
        before = profiles.one(ports, name) if options["lab_positions"] else None
        wanted = changes(options, before)
        changed = profiles.change(ports, name, **wanted)
    session.show(changed, [*_lines(changed), *_nic_reason(changed, wanted)])


@profile.command("clone")
@click.argument("name", type=words.NAME)
@click.argument("new_name", type=words.NAME)
@pass_session
def clone_profile(session: Session, /, name: str, new_name: str) -> None:
    """Copy everything under a NEW_NAME. Its checks too; the copy is inactive at first."""
    with session.ports() as ports:
        made = profiles.clone(ports, name, new_name)
    session.show(made, [*_lines(made), f"Nobody gets it yet: labvirt profile set {new_name} --active"])


@profile.command("preview")
@click.argument("name", type=words.NAME)
@click.option("--lab", type=words.NAME, required=True, help="Where the seat is.")
@click.option("--seat", type=click.IntRange(1, 4095), default=1, help="Which seat (default 1).")
@pass_session
def preview_profile(session: Session, /, name: str, lab: str, seat: int) -> None:
    """Show the command line a guest would start with. Nothing is started."""
    with session.ports() as ports:
        command = profiles.preview(ports, name, lab, seat)
    session.show({"profile": name, "lab": lab, "seat": seat, "command_line": command}, [shlex.join(command)])


@profile.command("diff")
@click.argument("name", type=words.NAME)
@click.argument("other", type=words.NAME)
@pass_session
def diff_profiles(session: Session, /, name: str, other: str) -> None:
    """What two profiles have otherwise."""
    with session.ports() as ports:
        found = profiles.difference(ports, name, other)
    session.table(
        found,
        ("FIELD", name.upper(), other.upper()),
        ((each.field, each.one, each.other) for each in found),
        empty=f"{name} and {other} are the same but for their names.",
    )


@profile.command("remove")
@click.argument("name", type=words.NAME)
@pass_session
def remove_profile(session: Session, /, name: str) -> None:
    """Remove a profile that nobody uses."""
    with session.ports() as ports:
        gone = profiles.remove(ports, name)
    session.show({"removed": gone.name}, [f"{gone.name} is removed."])
