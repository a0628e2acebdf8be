# SPDX-License-Identifier: MIT
"""docs/reference/command-line.md names every command, option and key; nothing else stands there as if it existed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import click

from labvirt.cli.main import MODULES, Root
from labvirt.domain.canary import Canary, CanaryStep
from labvirt.domain.draft import Draft, DraftState
from labvirt.domain.guest import GuestState, RunId
from labvirt.domain.image import DiskChoice
from tests.cli.conftest import Line, keep_something

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield f"{path} {name}", found
        if isinstance(found, click.Group):
            yield from commands(found, f"{path} {name}")


def test_every_command_and_option_is_on_the_page(bare: Line) -> None:
    page = PAGE.read_text()
    missing = []
    for path, command in commands(Root(bare.app()), "labvirt"):
        section = re.search(rf"^#+ `{re.escape(path)}`.*?(?=^#+ |\Z)", page, re.MULTILINE | re.DOTALL)
        if section is None:
            missing.append(path)
            continue
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name not in ("state_option", "state", "as_json"):
                missing += [f"{path} {word}" for word in (*parameter.opts, *parameter.secondary_opts) if f"`{word}" not in section[0]]
    assert missing == []
    assert "`--state" in page
    assert "`--json" in page


def test_no_command_is_on_the_page_that_does_not_exist(bare: Line) -> None:
    known = {path for path, _ in commands(Root(bare.app()), "labvirt")}
    assert set(re.findall(r"^#+ `(labvirt [^`]+)`", PAGE.read_text(), re.MULTILINE)) <= known
    assert len(known) > 50


ARGUMENTS = {"source", "format", "place", "resumed", "boot", "override"}
"""Of jobs: what a kind was asked for is its own matter."""


def an_old_seat_and_what_was_kept(line: Line) -> None:
    """A seat that runs an old version, a canary, a draft, a kept overlay, something in the recycle bin."""
    with line.ports() as ports:
        now = ports.clock.now()
        with ports.database.write() as work:
            first = work.images.version("tiny", 1)
            assert first is not None
            for number, binned in ((2, None), (3, now)):
                path = PurePosixPath(f"tiny/v{number}-x/disk.qcow2")
                work.images.add_version(replace(first, number=work.images.next_number("tiny"), file=path, binned_at=binned))
            work.images.publish("tiny", 2, expected=1)
            step = CanaryStep(name="it starts", ok=True)
            work.canaries.put(Canary(image="tiny", version=1, profile="desk", at=now, seconds=1.0, steps=(step,)))
            work.drafts.add(
                Draft(
                    name="tiny.d9",
                    image="tiny",
                    parent=1,
                    pointer=1,
                    profile="desk",
                    lab="lab-a",
                    place=0,
                    state=DraftState.KEPT,
                    since=now,
                    made_at=now,
                    touched_at=now,
                    owner="anna",
                )
            )
            guest = work.guests.one("lab-a-01").moved(GuestState.RUNNING, now)
            disks = (DiskChoice(place=0, image="tiny", version=1),)
            work.guests.update(replace(guest, profile="desk", disks=disks, run=RunId("lab-a-01", 1)))
            work.profiles.add(replace(work.profiles.one("desk"), name="other", memory_mib=128))
            work.commit()
    keep_something(line)


def test_every_key_that_is_printed_is_on_the_page(line: Line) -> None:
    page = PAGE.read_text()
    line.json("guest", "start", "pc-01")
    line.json("terminal", "add", "pc-02", "--lab", "lab-a", "--class", "rdp")  # lacks %USER%
    line.does_jobs = False
    line.json("admin", "start", "desk", "--detach")
    an_old_seat_and_what_was_kept(line)

    def keys(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for key, each in value.items():
                yield key
                yield from keys(each)
        elif isinstance(value, list):
            for each in value:
                yield from keys(each)

    for words in (
        ["lab", "list"],
        ["terminal", "list"],
        ["class", "list"],
        ["class", "show", "rdp"],
        ["profile", "list"],
        ["image", "list"],
        ["guest", "list"],
        ["host", "show"],
        ["guest", "explain", "pc-01"],
        ["guest", "restart-old", "--dry-run"],
        ["image", "show", "tiny"],
        ["image", "needs", "tiny"],
        ["image", "gc", "--dry-run"],
        ["version", "show", "tiny", "1"],
        ["version", "list", "tiny"],
        ["profile", "show", "desk"],
        ["profile", "diff", "desk", "other"],
        ["profile", "preview", "desk", "--lab", "lab-a"],
        ["admin", "list", "--all"],
        ["admin", "show", "tiny"],
        ["rescue", "list"],
        ["job", "list"],
        ["job", "show", "1"],
        ["overview"],
        ["audit", "list"],
        ["audit", "verify"],
        ["verify"],
        ["version"],
        ["code"],
    ):
        told = line.json(*words)
        assert told, words
        assert {key for key in keys(told) if f"`{key}`" not in page} - ARGUMENTS == set(), words


def test_every_command_has_its_module_and_help(bare: Line) -> None:
    for name in MODULES:
        result = bare.run(name, "--help")
        assert result.exit_code == 0
        assert "--state" in result.stdout
    assert bare.run("--help").stdout.count("\n") > 15
