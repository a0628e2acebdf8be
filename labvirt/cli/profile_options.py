# SPDX-License-Identifier: MIT
"""The options of `labvirt profile add` and `set`, and the fields they become."""

from __future__ import annotations

from typing import Any

import click

from labvirt.cli import words
from labvirt.cli.session import given
from labvirt.domain.profile import Clock, Firmware, Machine, Mode, Nic, Profile, Protocol, SessionPolicy, Sound, Video
from labvirt.errors import InvalidInput

FORGET: dict[str, tuple[str, Any]] = {
    "all_labs": ("labs", frozenset()),
    "no_user": ("user", None),
    "no_ready_port": ("ready_port", None),
    "no_overlay_cap": ("overlay_cap_mib", None),
    "no_max_guests": ("max_guests", None),
    "no_restart_days": ("restart_days", None),
    "no_extra": ("extra", ()),
    "no_checks": ("checks", ()),
    "no_home": ("home", None),
}
"""Flag of `set` -> the field it empties, and what it is then."""


def machine_options(command: Any) -> Any:
    """What both `add` and `set` take."""
    for option in reversed(
        (
            click.option("--cpus", type=int, help="Virtual processors (default 1)."),
            click.option("--firmware", type=words.choice(Firmware), help="Default: bios."),
            click.option("--machine", type=words.choice(Machine), help="Default: q35."),
            click.option("--clock", type=words.choice(Clock), help="What the hardware clock shows (default: utc; Windows: localtime)."),
            click.option("--nic", type=words.choice(Nic), help="Network card (default: virtio)."),
            click.option("--sound", type=words.choice(Sound), help="Default: none."),
            click.option("--video", type=words.choice(Video), help="Default: std."),
            click.option("--hyperv/--no-hyperv", default=None, help="Hyper-V enlightenments: Windows runs smoother."),
            click.option("--tpm/--no-tpm", default=None, help="A TPM 2.0 of its own (Windows 11); needs the firmware uefi."),
            click.option(
                "--instant-clone/--no-instant-clone",
                default=None,
                help="Guests start as clones of one that was booted and frozen: in a blink, sharing its memory.",
            ),
            click.option("--extra", type=words.EXTRA, multiple=True, help="Further QEMU arguments, each of those allowed."),
            click.option("--protocol", type=words.choice(Protocol), help="How terminals see it (default: spice)."),
            click.option("--mode", type=words.choice(Mode), help="Default: snapshot."),
            click.option("--position", type=int, help="The lowest that can be started is taken (default 100)."),
            click.option("--lab-position", "lab_positions", type=words.LAB_POSITION, multiple=True, help="Another position in one lab."),
            click.option("--lab", "labs", type=words.NAME, multiple=True, help="Only for this lab (may be repeated)."),
            click.option("--active/--inactive", default=None, help="Inactive: nobody gets it."),
            click.option("--max-guests", type=int, help="Never more of them at once, in all labs together."),
            click.option("--start-guests", type=int, help="So many seats of each lab start with the host (default 0)."),
            click.option("--restart-days", type=int, help="A guest without a viewer gets a fresh run after so long."),
            click.option("--overlay-cap", "overlay_cap_mib", type=int, help="MiB it may write; then it is paused, and told why."),
            click.option("--session-policy", type=words.choice(SessionPolicy), help="What a session does with clients (default: refuse)."),
            click.option("--drain-seconds", type=int, help="Policy drain: how long clients are warned (default 300)."),
            click.option(
                "--user",
                type=words.TEXT,
                help="The guest's account for RDP: each connection gets a new password, set by the guest's agent.",
            ),
            click.option("--ready-port", type=int, help="TCP port whose answering means ready."),
            click.option(
                "--home", type=words.TEXT, help="Where its person's work is kept: nfs://SERVER/PATH or smb://SERVER/SHARE, with %SEAT% ..."
            ),
            click.option("--check", "checks", type=words.CHECK, multiple=True, help="Check files that canaries run, each by name."),
            click.option("--note", type=words.TEXT, help="For people."),
        )
    ):
        command = option(command)
    return command


def forgetting_options(command: Any) -> Any:
    """What only `set` takes."""
    for option in reversed(
        (
            click.option("--all-labs", is_flag=True, help="For every lab again."),
            click.option("--no-user", is_flag=True, help="Forget the account."),
            click.option("--no-ready-port", is_flag=True, help="Running is ready."),
            click.option("--no-overlay-cap", is_flag=True, help="It may write as long as the host has space."),
            click.option("--no-max-guests", is_flag=True, help="As many as there are seats."),
            click.option("--no-restart-days", is_flag=True, help="It may run for ever."),
            click.option("--no-extra", is_flag=True, help="No further QEMU arguments."),
            click.option("--no-home", is_flag=True, help="What is written is forgotten."),
            click.option("--no-checks", is_flag=True, help="Canaries run no checks of its own; the files stay."),
        )
    ):
        command = option(command)
    return command


def changes(options: dict[str, Any], before: Profile | None = None) -> dict[str, Any]:
    """Fields that were asked for, with their new values. `before`: the profile that is changed; its positions in labs that are not named
    stay. Raises InvalidInput when one is set and forgotten at once."""
    found = {name: value for name, value in given(**options).items() if name not in FORGET and value != ()}
    if "labs" in found:
        found["labs"] = frozenset(found["labs"])
    if "lab_positions" in found:
        positions = dict(before.lab_positions) if before else {}
        positions |= dict(found["lab_positions"])
        found["lab_positions"] = tuple((lab, positions[lab]) for lab in sorted(positions) if positions[lab] is not None)
    for flag, (field, empty) in FORGET.items():
        if options.get(flag):
            if field in found:
                raise InvalidInput(field, "cannot be set and forgotten at once")
            found[field] = empty
    return found
