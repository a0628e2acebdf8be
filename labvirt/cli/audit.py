# SPDX-License-Identifier: MIT
"""labvirt audit: who did what, read, taken elsewhere, proven."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from labvirt.cli import errors, words
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.domain.audit import Outcome, Wanted
from labvirt.errors import InvalidInput
from labvirt.shapes import plain
from labvirt.usecases import audit as audit_case


@click.group(cls=Noun)
def audit() -> None:
    """Who did what, when and from where, and what happened by itself: one line each, never changed."""


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    for each in (
        click.option("--until", "until", type=words.MOMENT, help="Before this time."),
        click.option("--since", "since", type=words.MOMENT, help="From this time on."),
        click.option("--outcome", type=words.choice(Outcome), help="Only those that ended so."),
        click.option("--verb", type=words.TEXT, help="Only this deed: add, change, remove, publish, start ..."),
        click.option("--lab", type=words.TEXT, help="Only what belongs to this lab."),
        click.option("--who", type=words.TEXT, help="Only by this person, program or terminal."),
        click.option("--subject", type=words.TEXT, help="Only about this guest, terminal, lab ..."),
    ):
        command = each(command)
    return command


def _wanted(given: dict[str, Any]) -> Wanted:
    return Wanted(**given)


@audit.command("list")
@click.option("--count", type=click.IntRange(1, audit_case.MOST), default=50, help="How many lines (default 50).")
@click.option("--before", type=words.NUMBER, help="Only those with a smaller number: the next page.")
@_filters
@pass_session
def list_(session: Session, /, count: int, before: int | None, **given: Any) -> None:
    """What happened, newest first."""
    with session.ports() as ports:
        page = audit_case.page(ports, _wanted(given), before=before, count=count)
    session.table(
        [audit_case.shape(each) for each in page.entries],
        ("NUMBER", "AT (UTC)", "WHO", "FROM", "VERB", "SUBJECT", "WHAT", "OUTCOME"),
        (
            (
                each.number,
                f"{each.at:%F %T}",
                each.who,
                each.address,
                each.verb,
                f"{each.noun} {each.subject}".strip(),
                each.what,
                each.outcome,
            )
            for each in page.entries
        ),
        empty="Nothing is known.",
    )
    if page.older is not None and not session.as_json:
        session.say(f"There are more: labvirt audit list --before {page.older}")


@audit.command()
@click.argument("file", type=words.FILE)
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", help="JSON lines (default), or CSV for spreadsheets."
)
@_filters
@pass_session
def export(session: Session, /, file: Path, form: str, **given: Any) -> None:
    """Write the entries into a file that does not exist yet, newest first."""
    write = audit_case.as_csv if form == "csv" else audit_case.as_json_lines
    lines = 0
    with session.ports() as ports:
        entries = audit_case.everything(ports, _wanted(given))
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w", encoding="utf-8", newline="") as target:
                for line in write(entries):
                    target.write(line)
                    lines += 1
        except OSError as error:
            raise InvalidInput("file", f"cannot be written: {error.strerror}", hint="Choose another one.") from error
    many = lines - (form == "csv")
    session.show({"file": file, "entries": many}, [f"{many} entries are in {file}."])


@audit.command()
@click.option("--anchor", type=words.ANCHOR, help="An entry and its seal as you noted them elsewhere.")
@pass_session
@click.pass_context
def verify(ctx: click.Context, session: Session, /, anchor: tuple[int, str] | None) -> None:
    """Prove that no entry was changed, left out or put in; name the first that is not right."""
    with session.ports() as ports:
        proof = audit_case.verify(ports, anchor)
    lines = []
    if proof.stump is not None:
        lines.append(f"Entries up to number {proof.stump.up_to} were cut off for their age on {proof.stump.at:%F}.")
    if proof.broken is not None:
        lines.append(f"Entry {proof.broken.number} is broken: {proof.broken.why}.")
    else:
        lines.append(f"{proof.entries} entries, all as they were written.")
        lines.append(f"Note this elsewhere, and prove it later: labvirt audit verify --anchor {proof.last}:{proof.seal}")
    session.show({"ok": proof.broken is None} | plain(proof), lines)
    if proof.broken is not None:
        ctx.exit(errors.NO)
