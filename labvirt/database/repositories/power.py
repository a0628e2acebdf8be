# SPDX-License-Identifier: MIT
"""Orders to terminals, the times and policies of labs, goodbyes, hardware: all go with their terminal or lab."""

from __future__ import annotations

from sqlalchemy import delete, select

from labvirt.database import statements, tables
from labvirt.database.mapping import power as rows
from labvirt.database.store import Store
from labvirt.domain.hardware import HardwareReport
from labvirt.domain.power_order import OPEN, PowerOrder
from labvirt.domain.power_policy import Departure, PowerPolicy
from labvirt.domain.power_times import PowerTimes
from labvirt.errors import NotFound

ORDERS_KEPT = 20
"""Of each terminal: the newest."""

_orders = tables.power_orders.c
_OPEN = tuple(sorted(str(state) for state in OPEN))


class OrderRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, order: PowerOrder) -> PowerOrder:
        """Raises NotFound (terminal)."""
        row = rows.order_row(order)
        self._store.write(tables.power_orders, statements.adding(tables.power_orders, tuple(row)), row)
        kept = select(_orders.number).where(_orders.terminal == order.terminal).order_by(_orders.number.desc()).limit(ORDERS_KEPT)
        self._store.change(delete(tables.power_orders).where(_orders.terminal == order.terminal, _orders.number.not_in(kept)))
        added = self.open_of(order.terminal)
        assert added is not None
        return added

    def get(self, number: int) -> PowerOrder | None:
        return next(iter(self._where(number=number)), None)

    def open_of(self, terminal: str) -> PowerOrder | None:
        for state in _OPEN:
            if found := self._where(terminal=terminal, state=state):
                return found[0]
        return None

    def open(self) -> tuple[PowerOrder, ...]:
        query = select(tables.power_orders).where(_orders.state.in_(_OPEN)).order_by(_orders.number)
        return tuple(self._store.read(rows.order_of, row) for row in self._store.rows(query))

    def last(self, count: int, terminal: str | None = None) -> tuple[PowerOrder, ...]:
        query = select(tables.power_orders).order_by(_orders.number.desc()).limit(count)
        if terminal is not None:
            query = query.where(_orders.terminal == terminal)
        return tuple(self._store.read(rows.order_of, row) for row in self._store.rows(query))

    def update(self, order: PowerOrder) -> None:
        row = {"number": order.number, **rows.order_row(order)}
        statement = statements.changing(tables.power_orders, tuple(row))
        if self._store.write(tables.power_orders, statement, statements.with_old(tables.power_orders, row)) == 0:
            raise NotFound("order", str(order.number))

    def _where(self, **equal: object) -> tuple[PowerOrder, ...]:
        return tuple(self._store.read(rows.order_of, row) for row in self._store.find(tables.power_orders, **equal))


class PowerTimesRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, lab: str) -> PowerTimes | None:
        found = self._store.find(tables.power_times, lab=lab)
        return self._store.read(rows.times_of, found[0]) if found else None

    def list(self) -> tuple[PowerTimes, ...]:
        return tuple(self._store.read(rows.times_of, row) for row in self._store.find(tables.power_times))

    def put(self, times: PowerTimes) -> None:
        row = rows.times_row(times)
        self._store.write(tables.power_times, statements.putting(tables.power_times, tuple(row)), row)

    def remove(self, lab: str) -> None:
        self._store.change(delete(tables.power_times).where(tables.power_times.c.lab == lab))


class PowerPolicyRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, lab: str, seat: int) -> PowerPolicy | None:
        found = self._store.find(tables.power_policies, lab=lab, seat=seat)
        return self._store.read(rows.policy_of, found[0]) if found else None

    def of_lab(self, lab: str) -> tuple[PowerPolicy, ...]:
        return tuple(self._store.read(rows.policy_of, row) for row in self._store.find(tables.power_policies, lab=lab))

    def put(self, policy: PowerPolicy) -> None:
        row = rows.policy_row(policy)
        self._store.write(tables.power_policies, statements.putting(tables.power_policies, tuple(row)), row)

    def remove(self, lab: str, seat: int) -> None:
        columns = tables.power_policies.c
        self._store.change(delete(tables.power_policies).where(columns.lab == lab, columns.seat == seat))


class DepartureRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, terminal: str) -> Departure | None:
        found = self._store.find(tables.departures, terminal=terminal)
        return self._store.read(rows.departure_of, found[0]) if found else None

    def list(self) -> tuple[Departure, ...]:
        return tuple(self._store.read(rows.departure_of, row) for row in self._store.find(tables.departures))

    def put(self, departure: Departure) -> None:
        row = rows.departure_row(departure)
        self._store.write(tables.departures, statements.putting(tables.departures, tuple(row)), row)

    def remove(self, terminal: str) -> None:
        self._store.change(delete(tables.departures).where(tables.departures.c.terminal == terminal))


class HardwareRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, terminal: str) -> HardwareReport | None:
        found = self._store.find(tables.hardware, terminal=terminal)
        return self._store.read(rows.hardware_of, found[0]) if found else None

    def list(self) -> tuple[HardwareReport, ...]:
        return tuple(self._store.read(rows.hardware_of, row) for row in self._store.find(tables.hardware))

    def put(self, report: HardwareReport) -> None:
        row = rows.hardware_row(report)
        self._store.write(tables.hardware, statements.putting(tables.hardware, tuple(row)), row)
