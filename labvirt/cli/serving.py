# SPDX-License-Identifier: MIT
"""labvirt serve, and the two processes it starts (hidden)."""

from __future__ import annotations

import click

from labvirt.cli.app import ServeOptions
from labvirt.cli.session import Command, Session, pass_session


@click.command(cls=Command)
@click.option(
    "--listen",
    multiple=True,
    metavar="HOST:PORT",
    help="Where to answer HTTP; may be repeated; also unix:PATH "
    "(default: 0.0.0.0 and the setting controller_port, or only the sockets handed over by systemd).",
)
@click.option("--hypervisor", type=click.Choice(["qemu", "libvirt", "fake"]), help="What runs guests (default: qemu).")
@click.option("--accelerator", type=click.Choice(["auto", "kvm", "tcg"]), help="Default: auto.")
@pass_session
@click.pass_context
def serve(ctx: click.Context, session: Session, listen: tuple[str, ...], hypervisor: str | None, accelerator: str | None) -> None:
    """Start engine and web and keep both running until SIGTERM or Ctrl-C. Guests live on."""
    options = ServeOptions(listen=listen, hypervisor=hypervisor, accelerator=accelerator)
    ctx.exit(session.app.serve(session.state, options))


@click.command(cls=Command, hidden=True)
@pass_session
@click.pass_context
def engine(ctx: click.Context, session: Session) -> None:
    """The process that acts."""
    ctx.exit(session.app.engine(session.state))


@click.command(cls=Command, hidden=True)
@pass_session
@click.pass_context
def web(ctx: click.Context, session: Session) -> None:
    """The process that answers, on sockets that were handed to it."""
    ctx.exit(session.app.web(session.state))
