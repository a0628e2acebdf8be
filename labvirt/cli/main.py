# SPDX-License-Identifier: MIT
"""The root of the command line: finds the noun's module when it is needed, and turns every error into a sentence and
an exit code.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from keyword import iskeyword
from typing import Any

import click

from labvirt import __version__
from labvirt.cli import errors, words
from labvirt.cli.app import App
from labvirt.cli.session import Command, Noun, Session
from labvirt.errors import LabVirtError

MODULES = {
    "init": "site",
    "code": "site",
    "doctor": "site",
    "verify": "site",
    "version": "version",
    "overview": "site",
    "serve": "serving",
    "engine": "serving",
    "web": "serving",
    "demo": "demo",
    "lab": "lab",
    "terminal": "terminal",
    "class": "terminal_class",
    "profile": "profile",
    "template": "template",
    "pool": "pool",
    "image": "image",
    "admin": "admin",
    "rescue": "rescue",
    "job": "job",
    "guest": "guest",
    "console": "console",
    "host": "host",
    "kiosk": "kiosk",
    "settings": "settings",
    "audit": "audit",
    "backup": "backup",
    "restore": "backup",
    "person": "person",
    "group": "group",
    "token": "token",
}
"""Command -> the module that holds it, as an attribute of the same name (with _ behind a word of Python's own)."""


def _version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"LabVirt {__version__}")
        ctx.exit()


class Root(Noun):
    """`labvirt`."""

    def __init__(self, app: App) -> None:
        super().__init__("labvirt", help="LabVirt: one virtual machine for each seat of a computer lab.")
        self._app = app
        self.params.append(
            click.Option(["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_version, help="LabVirt's own.")
        )

        self.params.extend(
            (
                click.Option(["--controller"], envvar="LABVIRT_CONTROLLER", metavar="URL", help="Do it there: https://HOST:PORT"),
                click.Option(["--token-file"], envvar="LABVIRT_TOKEN_FILE", type=words.FILE, help="Holds the token for it."),
                click.Option(
                    ["--ca"], envvar="LABVIRT_CA", type=words.FILE, help="The only authority that its certificate may be of (PEM)."
                ),
            )
        )

    def invoke(self, ctx: click.Context) -> Any:
        url, token, ca = (ctx.params.pop(name) for name in ("controller", "token_file", "ca"))
        session = ctx.find_object(Session)
        if url and session is not None:
            from labvirt.cli.controller import Controller  # HTTP and TLS: not for those who stay here

            session.controller = Controller.of(url, token, ca)
        return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = MODULES.get(cmd_name)
        if module is None:
            return None
        attribute = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        found: Command | Noun = getattr(importlib.import_module(f"labvirt.cli.{module}"), attribute)
        return found

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Runs and exits; never with a trace."""
        typed = list(sys.argv[1:] if args is None else args)
        session = Session(self._app)
        extra = {"prog_name": "labvirt", **extra, "standalone_mode": False, "obj": session}
        try:
            code = super().main(typed, *rest, **extra)
            sys.stdout.flush()
        except LabVirtError as error:
            code = errors.report(error, as_json=session.as_json or "--json" in typed)
        except click.UsageError as error:
            hint = f"Help: {error.ctx.command_path} --help" if error.ctx else "Help: labvirt --help"
            code = errors.report_wrong_use(error.format_message(), hint, as_json=session.as_json or "--json" in typed)
        except click.ClickException as error:
            code = errors.report_wrong_use(error.format_message(), "", as_json=session.as_json)
        except (click.Abort, KeyboardInterrupt):
            code = errors.INTERRUPTED
        except BrokenPipeError:
            sys.stderr.close()  # whoever read us has gone: nobody is left to tell
            code = errors.NO
        except Exception as error:  # noqa: BLE001 - the last net: it is written down, and people get a sentence
            code = errors.report_unexpected(error, session.state / "logs" / "command.log", as_json=session.as_json)
        sys.exit(code if isinstance(code, int) else errors.DONE)
