# SPDX-License-Identifier: MIT
"""Labs that are switched on and off by the clock. What is due is domain.power_times'; here it is kept, once."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from labvirt.domain.audit import changed
from labvirt.domain.power_order import PowerWord
from labvirt.domain.power_policy import DEFAULT, WHOLE_LAB, OnPowerOff, PowerPolicy
from labvirt.domain.power_times import PowerTimes, Turn
from labvirt.domain.right import Right
from labvirt.errors import Conflict, LabVirtError
from labvirt.usecases import orders, waking
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs

log = logging.getLogger(__name__)

TIMES = frozenset({"on", "off", "days", "occupied", "grace_seconds"})
CHANGEABLE = TIMES | {"on_power_off"}
BY = "the clock"


@needs(Right.LOOK, lab="lab")
def one(ports: Ports, lab: str) -> PowerTimes:
    """Of a lab without times: none. Raises NotFound."""
    with ports.database.read() as work:
        return work.power_times.get(work.labs.one(lab).name) or PowerTimes(lab=lab)


@needs(Right.DESIGN, lab="lab")
def change(ports: Ports, lab: str, **changes: Any) -> PowerTimes:
    """The lab's times with these fields of `CHANGEABLE` replaced, which count from now on, and what happens to guests whose terminals are
    switched off (`on_power_off`); all of it or nothing. Raises NotFound, InvalidInput."""
    assert changes.keys() <= CHANGEABLE, changes
    times = {name: value for name, value in changes.items() if name in TIMES}
    with ports.database.write() as work:
        old = new = work.power_times.get(work.labs.one(lab).name) or PowerTimes(lab=lab)
        if times:
            new = replace(old, **times).from_now(wall(ports))
            work.power_times.put(new)
        before, after = changed(old, new)
        if "on_power_off" in changes:
            policy: OnPowerOff = changes["on_power_off"]
            was = work.power_policies.get(lab, WHOLE_LAB)
            work.power_policies.put(PowerPolicy(lab=lab, seat=WHOLE_LAB, on_power_off=policy))
            before |= {"on_power_off": str(was.on_power_off if was else DEFAULT)}
            after |= {"on_power_off": str(policy)}
        ports.note(
            work,
            lab,
            f"changed: {', '.join(sorted(changes)) or 'nothing'} of its power",
            verb="change",
            noun="lab",
            lab=lab,
            before=before,
            after=after,
        )
        work.commit()
    return new


def keep(ports: Ports) -> None:
    """What is due now is done, once: the terminals are woken, or their orders wait. One lab's trouble is not another's."""
    now = wall(ports)
    with ports.database.read() as work:
        due = [(times.lab, turn, day) for times in work.power_times.list() for turn in Turn if (day := times.due(turn, now)) is not None]
    for lab, turn, day in due:
        try:
            if turn is Turn.ON:
                _wake(ports, lab, day)
            else:
                _switch_off(ports, lab, day)
        except LabVirtError as error:
            log.warning("the lab %s could not be switched %s: %s", lab, turn, error)


def wall(ports: Ports) -> datetime:
    """What the clock on the host's wall says."""
    return ports.clock.now().astimezone()


def _wake(ports: Ports, lab: str, day: date) -> None:
    """Before it is written down: a packet that is sent twice harms nobody, one that never was keeps a class waiting."""
    try:
        waking.wake_lab(ports, lab, by=BY)
    except Conflict as error:  # nobody to wake is no reason to try again each minute
        log.info("%s", error)
    with ports.database.write() as work:
        times = work.power_times.get(lab)
        if times is not None:
            work.power_times.put(times.keep(Turn.ON, day))
        work.commit()


def _switch_off(ports: Ports, lab: str, day: date) -> None:
    """Written down together with the orders."""
    with ports.database.write() as work:
        times = work.power_times.get(lab)
        if times is None or times.due(Turn.OFF, wall(ports)) != day:
            return
        orders.in_lab(ports, work, lab, PowerWord.SHUTDOWN, by=BY, occupied=times.occupied, grace_seconds=times.grace_seconds)
        work.power_times.put(times.keep(Turn.OFF, day))
        work.commit()
    ports.poke()
