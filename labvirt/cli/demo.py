# SPDX-License-Identifier: MIT
"""labvirt demo."""

from __future__ import annotations

from pathlib import Path

import click

from labvirt.cli.app import DemoWish
from labvirt.cli.session import Command, Session, pass_session


@click.command(cls=Command)
@click.option("--terminals", type=int, default=4, help="How many terminals (default 4).")
@click.option("--check", is_flag=True, help="Do it once, judge from outside, end with 0 only if everything holds.")
@click.option(
    "--json",
    "report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --check: where the report goes (default: stdout).",
)
@click.option("--pictures", type=click.Path(path_type=Path, file_okay=False), help="Where screenshots stay.")
@click.option("--hypervisor", type=click.Choice(["qemu", "libvirt", "fake"]), default="qemu", help="Default: qemu.")
@click.option("--deadline-seconds", type=float, default=300.0, help="A check that takes longer has failed (default 300).")
@pass_session
@click.pass_context
def demo(
    ctx: click.Context,
    session: Session,
    terminals: int,
    check: bool,
    report: Path | None,
    pictures: Path | None,
    hypervisor: str,
    deadline_seconds: float,
) -> None:
    """A lab on this one machine, with real guests and viewers; Ctrl-C removes all of it."""
    ctx.exit(
        session.app.demo(
            DemoWish(
                terminals=terminals,
                check=check,
                json_path=report,
                pictures=pictures,
                hypervisor=hypervisor,
                deadline_seconds=deadline_seconds,
            )
        )
    )


# `--json FILE` of the demo takes a file: the common flag of the same name would swallow it.
demo.params = [param for param in demo.params if param.name != "as_json"]
