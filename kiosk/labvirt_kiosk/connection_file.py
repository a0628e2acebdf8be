# SPDX-License-Identifier: MIT
"""The `.vv` and `.rdp` files: the controller's text, with what only this terminal may add. Pure."""

from __future__ import annotations

from labvirt_kiosk.ticket import Ticket
from labvirt_kiosk.trouble import BadAnswer, Refused

OTHER_AUTHORITY = "The controller vouches for this computer with a certificate that this terminal does not know; tell your administrator"


STICKS = "0x08,-1,-1,-1,1|-1,-1,-1,-1,0"
"""Which devices remote-viewer hands to the guest by itself: class 8 is mass storage, and nothing else (libusbredir: usbredirfilter.h)."""

_OURS = ("password", "delete-this-file", "enable-usbredir", "enable-usb-autoshare", "usb-filter")


def render_vv(text: str, ticket: Ticket | None, authority: str = "", *, usb: bool = False) -> str:
    """remote-viewer's file with the ticket's secret in it, and the order to delete it once it is read. With `usb` the viewer hands sticks
    to the guest as they are plugged in, else it has no USB at all.

    Lines of the controller that speak of password, deletion or USB do not survive. With `authority` (PEM) the file must name that one and
    no other, once: raises Refused.
    """
    if authority:
        named = [line.partition("=")[2] for line in text.splitlines() if _key(line, "=") == "ca"]
        if [each.replace("\\n", "\n").split() for each in named] != [authority.split()]:
            raise Refused(OTHER_AUTHORITY)
    lines = [line for line in text.splitlines() if _key(line, "=") not in _OURS]
    if "[virt-viewer]" not in lines:
        raise BadAnswer("the controller's vv file has no [virt-viewer] section")
    ours = ["delete-this-file=1", f"enable-usbredir={int(usb)}"]
    ours += ["enable-usb-autoshare=1", f"usb-filter={STICKS}"] if usb else []
    ours += [f"password={_escaped(ticket.secret)}"] if ticket else []
    at = lines.index("[virt-viewer]") + 1
    return "\n".join([*lines[:at], *ours, *lines[at:]]) + "\n"


def render_rdp(text: str, ticket: Ticket | None) -> str:
    """The RDP file with the ticket's user. No password: the RDP clients here take it on their standard input."""
    hidden = ("password", "password 51") + (("username",) if ticket and ticket.user else ())
    lines = [line for line in text.splitlines() if _key(line, ":") not in hidden]
    if not any(_key(line, ":") == "full address" for line in lines):
        raise BadAnswer("the controller's rdp file does not say where to connect")
    return "\r\n".join([*lines, *([f"username:s:{ticket.user}"] if ticket and ticket.user else [])]) + "\r\n"


def _key(line: str, separator: str) -> str:
    return line.partition(separator)[0].strip().lower()


def _escaped(value: str) -> str:
    """`value` as GKeyFile reads it back: backslashes doubled, a leading space as \\s."""
    escaped = value.replace("\\", "\\\\")
    return "\\s" + escaped[1:] if escaped.startswith(" ") else escaped
