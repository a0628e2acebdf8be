# SPDX-License-Identifier: MIT
"""The only room that knows everybody: it joins settings, drivers, database, engine, web and command line.

What a command does not need is imported when it is needed: `labvirt --help` must not wait for drivers.
"""

from __future__ import annotations

from labvirt.bootstrap.backups import restore
from labvirt.bootstrap.errands import build_tiny, demo, doctor
from labvirt.bootstrap.kiosk import build_kiosk, current_kiosk, make_stick
from labvirt.bootstrap.opening import ports, settings_of
from labvirt.bootstrap.processes import engine, serve, web
from labvirt.bootstrap.site import init
from labvirt.cli.app import App

__all__ = [
    "app",
    "build_kiosk",
    "build_tiny",
    "current_kiosk",
    "demo",
    "doctor",
    "engine",
    "init",
    "main",
    "make_stick",
    "ports",
    "restore",
    "serve",
    "web",
]


def main() -> None:
    """The entry point of `labvirt`."""
    from labvirt.cli.main import Root

    Root(app()).main()


def app() -> App:
    """What the command line is handed."""
    return App(
        ports=ports,
        init=init,
        mac_prefix=lambda state: settings_of(state).mac_prefix,
        serve=serve,
        engine=engine,
        web=web,
        demo=demo,
        doctor=doctor,
        build_tiny=build_tiny,
        build_kiosk=build_kiosk,
        kiosk=current_kiosk,
        make_stick=make_stick,
        restore=restore,
    )
