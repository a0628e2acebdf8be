# SPDX-License-Identifier: MIT
"""labvirt image ..."""

from __future__ import annotations

from pathlib import Path

import click

from labvirt.cli import errors, shapes, words
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.domain.image import Version
from labvirt.usecases import images


@click.group(cls=Noun)
def image() -> None:
    """Disk images and their versions, which are never written again."""


def _size(count: int) -> str:
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _version(each: Version) -> str:
    return (
        f"  v{each.number}: {each.stage}, {_size(each.size_bytes)} ({_size(each.virtual_bytes)} inside), {each.made_at:%F %T} {each.note}"
    )


@image.command("list")
@pass_session
def list_images(session: Session) -> None:
    """All images."""
    with session.ports() as ports:
        found = images.everything(ports)
    session.table(
        [shapes.image(each) for each in found],
        ("NAME", "PUBLISHED", "VERSIONS", "SIZE", "PROFILES"),
        (
            (
                each.image.name,
                f"v{each.image.published}" if each.image.published else "none",
                len(each.versions),
                _size(sum(version.size_bytes for version in each.versions)),
                ", ".join(each.profiles),
            )
            for each in found
        ),
        empty="There is no image. Try the tiny one: labvirt image build tiny",
    )


@image.command("show")
@click.argument("name", type=words.NAME)
@pass_session
def show_image(session: Session, /, name: str) -> None:
    """One image with its versions."""
    with session.ports() as ports:
        found = images.one(ports, name)
    session.show(
        shapes.image(found),
        [
            f"{name}: published {f'v{found.image.published}' if found.image.published else 'none'}",
            f"  used by {', '.join(found.profiles) or 'no profile'}",
            *map(_version, found.versions),
        ],
    )


def _add(session: Session, /, name: str, file: Path, format: str, note: str, publish: bool) -> None:
    with session.ports() as ports:
        version = images.add(ports, name, file, format=format, note=note, publish=publish)
    session.show(version, [f"{version.label} is {'published' if publish else 'a draft'}.", _version(version)])


@image.command("add")
@click.argument("name", type=words.NAME)
@click.option("--file", type=click.Path(path_type=Path), required=True, help="The disk to copy; it is not changed and not used.")
@click.option("--format", type=click.Choice(["qcow2", "raw"]), required=True, help="Named, never guessed.")
@click.option("--note", type=words.TEXT, default="", help="For people.")
@click.option("--publish/--draft", default=True, help="Is it what guests start from? (default: yes)")
@pass_session
def add_image(session: Session, /, name: str, file: Path, format: str, note: str, publish: bool) -> None:
    """Copy a disk file into the store as the image's next version."""
    _add(session, name, file.absolute(), format, note, publish)


@image.command("build")
@click.argument("recipe", type=click.Choice(["tiny"]))
@click.option("--name", type=words.NAME, help="Name of the image (default: that of the recipe).")
@click.option("--publish/--draft", default=True, help="Is it what guests start from? (default: yes)")
@pass_session
def build_image(session: Session, /, recipe: str, name: str | None, publish: bool) -> None:
    """Build a test guest from Debian packages and add it."""
    with session.ports():
        pass  # a missing site is said before minutes of work
    session.say(f"Building or reusing the {recipe} guest ...")
    _add(session, name or recipe, session.app.build_tiny(), "qcow2", f"built by the recipe {recipe}", publish)


@image.command("publish")
@click.argument("name", type=words.NAME)
@click.argument("version", type=click.IntRange(min=1))
@pass_session
def publish_image(session: Session, /, name: str, version: int) -> None:
    """Guests that start from now on use VERSION; going back is the same."""
    with session.ports() as ports:
        published = images.publish(ports, name, version)
    session.show(published, [f"{name} v{version} is published."])


@image.command("check")
@click.argument("name", type=words.NAME, required=False)
@pass_session
@click.pass_context
def check_images(ctx: click.Context, session: Session, name: str | None) -> None:
    """Are the files of all versions (or of one image's) what they should be?"""
    with session.ports() as ports:
        found = images.check(ports, name)
    session.show(
        {"ok": not found, "findings": found},
        [f"{each.severity}: {each.sentence} {each.fix}".rstrip() for each in found] or ["All files are as they should be."],
    )
    if found:
        ctx.exit(errors.NO)
