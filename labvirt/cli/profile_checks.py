# SPDX-License-Identifier: MIT
"""labvirt profile checks ..."""

from __future__ import annotations

from pathlib import Path

import click

from labvirt.cli import words
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.errors import InvalidInput
from labvirt.usecases import profiles

LARGEST = 256 << 10


@click.group("checks", cls=Noun)
def checks() -> None:
    """What canaries of a profile must pass. Pytest files with a `guest` fixture."""


@checks.command("list")
@click.argument("profile", type=words.NAME)
@pass_session
def list_checks(session: Session, /, profile: str) -> None:
    """The names of its check files."""
    with session.ports() as ports:
        found = profiles.one(ports, profile).checks
    session.table(found, ("NAME",), ((name,) for name in found), empty=f"{profile} has no check: labvirt profile checks add {profile} FILE")


@checks.command("add")
@click.argument("profile", type=words.NAME)
@click.argument("file", type=words.FILE)
@click.option("--name", type=words.CHECK, help="What it is called here (default: the name of FILE).")
@pass_session
def add_check(session: Session, /, profile: str, file: Path, name: str | None) -> None:
    """Copy a FILE to the profile's checks. Python for pytest; one of the same name is replaced.

    \b
    labvirt profile checks add office test_office.py
    """
    name = name or words.CHECK.convert(file.name, None, None)
    with session.ports() as ports:
        changed = profiles.put_check(ports, profile, name, text_of(file))
    session.show(changed, [f"{profile} has the checks {', '.join(changed.checks)}."])


@checks.command("show")
@click.argument("profile", type=words.NAME)
@click.argument("name", type=words.CHECK)
@pass_session
def show_check(session: Session, /, profile: str, name: str) -> None:
    """The text of one check file."""
    with session.ports() as ports:
        text = profiles.get_check(ports, profile, name)
    session.show({"profile": profile, "name": name, "text": text}, text.splitlines())


@checks.command("remove")
@click.argument("profile", type=words.NAME)
@click.argument("name", type=words.CHECK)
@pass_session
def remove_check(session: Session, /, profile: str, name: str) -> None:
    """Canaries do not run it any more; its file is gone."""
    with session.ports() as ports:
        changed = profiles.remove_check(ports, profile, name)
    session.show(changed, [f"{profile} has {'the checks ' + ', '.join(changed.checks) if changed.checks else 'no check'}."])


def text_of(file: Path) -> str:
    """What is in it. Raises InvalidInput."""
    try:
        with file.open("rb") as opened:
            data = opened.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise InvalidInput("file", f"{file} is larger than {LARGEST >> 10} KiB")
        return data.decode()
    except (OSError, ValueError) as error:
        raise InvalidInput("file", f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8 text'}") from error
