# SPDX-License-Identifier: MIT
"""labvirt image ..."""

from __future__ import annotations

import click

from labvirt import shapes
from labvirt.cli import errors, image_work, words
from labvirt.cli.amounts import counted, moment, size
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.cli.version import version_lines
from labvirt.domain.dependencies import Dependent
from labvirt.usecases import garbage, images
from labvirt.usecases.catalogue import ImageView


@click.group(cls=Noun)
def image() -> None:
    """Disk images and their versions, which are never written again."""


for _each in image_work.COMMANDS:
    image.add_command(_each)


def _published(each: ImageView) -> str:
    return f"v{each.image.published}" if each.image.published else "none"


def _strange(each: ImageView) -> str:
    """What a person should know before he trusts it; empty is well."""
    damaged = [detail.version.label for detail in each.details if detail.damage]
    told = [
        f"in the recycle bin since {moment(each.image.binned_at)}" if each.image.binned_at else "",
        f"damaged: {', '.join(damaged)}" if damaged else "",
        counted(len(each.orphans), "orphan") if each.orphans else "",
    ]
    return "; ".join(part for part in told if part)


@image.command("list")
@pass_session
def list_images(session: Session) -> None:
    """All images, also those in the recycle bin."""
    with session.ports() as ports:
        found = images.everything(ports)
    session.table(
        [shapes.image(each) for each in found],
        ("NAME", "PUBLISHED", "VERSIONS", "REAL USE", "PROFILES", "DRAFTS", "STATE", "NOTE"),
        (
            (
                each.image.name,
                _published(each),
                len(each.versions),
                size(each.used_bytes),
                ", ".join(each.profiles),
                ", ".join(draft.name for draft in each.drafts if draft.alive),
                _strange(each) or "well",
                each.image.note,
            )
            for each in found
        ),
        empty="There is no image. Try the tiny one: labvirt image build tiny",
    )


@image.command("show")
@click.argument("name", type=words.NAME)
@pass_session
def show_image(session: Session, /, name: str) -> None:
    """Show one image with its versions. Size, real use, checksum, parent, author, canary, users; drafts; orphans."""
    with session.ports() as ports:
        found = images.one(ports, name)
    before = f", before it v{found.image.previous}: labvirt version rollback {name}" if found.image.previous else ""
    session.show(
        shapes.image(found),
        [
            f"{name}: published {_published(found)}{before}",
            f"  used by {', '.join(found.profiles) or 'no profile'}; {size(found.used_bytes)} on the disk",
            *(
                [f"  in the recycle bin since {moment(found.image.binned_at)}: labvirt image restore {name}"]
                if found.image.binned_at
                else []
            ),
            *([f"  {found.image.note}"] if found.image.note else []),
            *(line for detail in found.details for line in version_lines(detail)),
            *(f"  draft {draft.name}: {draft.state}, of {draft.owner}, on v{draft.parent}" for draft in found.drafts if draft.alive),
            *(f"  orphan {orphan.file}: {size(orphan.used_bytes)}, taken by: labvirt image gc" for orphan in found.orphans),
        ],
    )


@image.command("delete")
@click.argument("name", type=words.NAME)
@pass_session
def delete_image(session: Session, /, name: str) -> None:
    """Put it into the recycle bin. With all its versions; only when nobody uses it."""
    with session.ports() as ports:
        gone = images.bin(ports, name, by=session.who)
    session.show(gone, [f"{name} is in the recycle bin. Take it out again: labvirt image restore {name}"])


@image.command("restore")
@click.argument("name", type=words.NAME)
@pass_session
def restore_image(session: Session, /, name: str) -> None:
    """Take it out of the recycle bin, as it was."""
    with session.ports() as ports:
        back = images.restore(ports, name, by=session.who)
    session.show(back, [f"{name} is back."])


@image.command("note")
@click.argument("name", type=words.NAME)
@click.argument("text", type=words.TEXT)
@pass_session
def note_image(session: Session, /, name: str, text: str) -> None:
    """Write TEXT beside it, for people."""
    with session.ports() as ports:
        changed = images.set_note(ports, name, text)
    session.show(changed, [f"{name}: {changed.note or 'no note'}"])


@image.command("needs")
@click.argument("which", metavar="NAME[:N]", type=words.IMAGE_AT)
@pass_session
def needs_image(session: Session, /, which: tuple[str, int | None]) -> None:
    """Say who needs the image, or its version N. By rows and by the headers of real files: what a delete would meet."""
    name, number = which
    label = f"{name} v{number}" if number else name
    with session.ports() as ports:
        found = garbage.dependents(ports, name, number)

    def row(each: Dependent) -> tuple[object, ...]:
        return each.need, each.name, "yes" if each.holds else "only the removal of the file", each.why

    session.table(found, ("KIND", "NAME", "KEEPS IT FROM THE BIN", "WHY"), map(row, found), empty=f"Nobody needs {label}.")


@image.command("check")
@click.argument("name", type=words.NAME, required=False)
@pass_session
@click.pass_context
def check_images(ctx: click.Context, session: Session, name: str | None) -> None:
    """Look whether all files are what they should be. Of all versions, or of one image's; `scrub` reads every byte."""
    with session.ports() as ports:
        found = images.check(ports, name)
    session.show(
        {"ok": not found, "findings": found},
        [f"{each.severity}: {each.sentence} {each.fix}".rstrip() for each in found] or ["All files are as they should be."],
    )
    if found:
        ctx.exit(errors.NO)
