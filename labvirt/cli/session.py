# SPDX-License-Identifier: MIT
"""One call of `labvirt`: which state folder, tables or JSON, and the way to the use cases. Commands get it as their
first argument.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labvirt.cli.app import App
from labvirt.cli.errors import harmless
from labvirt.domain.caller import Caller, CallerKind
from labvirt.domain.names import one_line
from labvirt.shapes import plain
from labvirt.usecases.ports import Ports

if TYPE_CHECKING:
    from labvirt.cli.controller import Controller


class Session:
    """`--state` and `--json` may stand anywhere; the last word wins."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.state_option: str | None = None
        self.as_json = False
        self.controller: Controller | None = None
        """Elsewhere; None: this machine."""

    @property
    def state(self) -> Path:
        from labvirt.config import state_folder  # pydantic takes its time: not for --help

        return state_folder(self.state_option)

    @property
    def who(self) -> str:
        """Who asks, for the audit: the account behind sudo, else that of this process."""
        name = os.environ.get("SUDO_USER") or ""
        if not name:
            try:
                name = pwd.getpwuid(os.getuid()).pw_name
            except KeyError:
                name = f"uid {os.getuid()}"
        return one_line(name, 64)

    @contextmanager
    def ports(self) -> Iterator[Ports]:
        """On behalf of who called it: whoever may read the state folder may everything."""
        with self.app.ports(self.state) as ports:
            yield ports.on_behalf_of(Caller(kind=CallerKind.MACHINE, name=self.who))

    def say(self, sentence: str) -> None:
        """A message for people, on stderr with --json (stdout is the machine's)."""
        click.echo(harmless(sentence), err=self.as_json)

    def show(self, data: Any, lines: Iterable[str] = ()) -> None:
        """The JSON document, or these lines."""
        if self.as_json:
            document = json.dumps(plain(data), ensure_ascii=False)
            # A name out of a guest's disk may be no text at all: then it is written in escapes.
            sys.stdout.write((document if document.isprintable() else json.dumps(plain(data))) + "\n")
            return
        for line in lines:
            click.echo(harmless(line))

    def table(self, data: Any, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
        """The JSON document, or a table; `empty` is the sentence for a table without rows."""
        listed = [tuple("" if cell is None else harmless(str(cell)) for cell in row) for row in rows]
        if self.as_json or not listed:
            self.show(data, [empty])
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in listed:
            table.add_row(*(Text(cell) for cell in row))
        console = Console(highlight=False, markup=False)
        if not console.is_terminal:
            console.width = 400  # for grep and cut: no line is folded
        console.print(table)


def _remember(attribute: str) -> Any:
    def note(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        session = ctx.find_object(Session)
        if session is not None and value:
            setattr(session, attribute, value)

    return note


def common_options() -> list[click.Parameter]:
    """Those that every command has."""
    return [
        click.Option(
            ["--state"],
            metavar="DIR",
            expose_value=False,
            is_eager=True,
            callback=_remember("state_option"),
            help="Everything LabVirt keeps (or LABVIRT_STATE; default /var/lib/labvirt).",
        ),
        click.Option(
            ["--json", "as_json"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_remember("as_json"),
            help="One JSON document on stdout, messages on stderr.",
        ),
    ]


class Command(click.Command):
    """A command with the common options. With --controller it is carried out there."""

    def invoke(self, ctx: click.Context) -> Any:
        session = ctx.find_object(Session)
        if session is None or session.controller is None:
            return super().invoke(ctx)
        from labvirt.cli import far  # imports HTTP and TLS: not for --help

        return far.carry_out(session, ctx, session.controller)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(common_options())


class Noun(click.Group):
    """A group of verbs, with the common options."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(common_options())


pass_session = click.make_pass_decorator(Session)


def given(**options: Any) -> dict[str, Any]:
    """Those options that were given."""
    return {name: value for name, value in options.items() if value is not None}
