# SPDX-License-Identifier: MIT
"""From a browser to a guest and back, until one of them or a reason from outside ends it. Each direction waits for its slower side."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from labvirt.web.console.browser import Browser, Ended, Ending
from labvirt.web.console.guest_end import GuestEnd
from labvirt.web.console.rfb import ClientStream, Refused
from labvirt.web.console.serial_lines import Ear, Line

GREETING_SECONDS = 15.0
"""A screen that says nothing for so long at the beginning belongs to a guest that hangs."""


async def first_of(*work: Coroutine[Any, Any, None]) -> Ended:
    """Why the first of these ended. All have ended afterwards."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
        raise AssertionError("a console ended without a reason")
    except Ended as ended:
        return ended
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def show(browser: Browser, end: GuestEnd) -> None:
    """The screen's words, as they come. Raises Ended."""
    try:
        data = await asyncio.wait_for(end.hear(), GREETING_SECONDS)
    except TimeoutError as error:
        raise Ended(Ending.NOT_READY, "The guest's screen does not answer: it may hang.") from error
    while True:
        await browser.say(data)
        data = await end.hear()


async def tell(browser: Browser, end: GuestEnd, *, view_only: bool) -> None:
    """What the browser may say to the screen. Raises Ended."""
    stream = ClientStream(view_only=view_only)
    while True:
        try:
            through = stream.take(await browser.hear())
        except Refused as refused:
            raise Ended(Ending.NOT_UNDERSTOOD, str(refused)) from refused
        if through:
            await end.say(through)


async def read_out(browser: Browser, ear: Ear) -> None:
    """What the serial line says. Raises Ended."""
    while True:
        await browser.say(await ear.hear())


async def type_in(browser: Browser, line: Line, *, view_only: bool) -> None:
    """What is typed into the serial line; of who may only look, it is dropped. Raises Ended."""
    while True:
        data = await browser.hear()
        if not view_only:
            await line.say(data)
