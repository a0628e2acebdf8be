# SPDX-License-Identifier: MIT
"""One poke speaks for everybody who comes before it is sent, and nobody's wish is left without one."""

from __future__ import annotations

import threading

import pytest

from labvirt.errors import EngineAway
from labvirt.usecases.pokes import Pokes

PATIENCE_SECONDS = 60


def test_who_comes_while_one_is_being_sent_is_spoken_for_by_the_next() -> None:
    pokes, sent = Pokes(), 0
    arrived, go_on = threading.Semaphore(0), threading.Event()

    def poke() -> None:
        nonlocal sent
        sent += 1
        arrived.release()
        assert go_on.wait(PATIENCE_SECONDS)

    first = threading.Thread(target=pokes.send, args=(poke,))
    first.start()
    assert arrived.acquire(timeout=PATIENCE_SECONDS)
    others = [threading.Thread(target=pokes.send, args=(poke,)) for _ in range(20)]
    for other in others:
        other.start()
    for _ in range(200):  # all but one of them go home at once
        if sum(other.is_alive() for other in others) == 1:
            break
        next(other for other in others if other.is_alive()).join(0.1)
    assert sum(other.is_alive() for other in others) == 1
    assert sent == 1
    go_on.set()
    for thread in (first, *others):
        thread.join(PATIENCE_SECONDS)
    assert sent == 2


def test_an_engine_that_is_away_is_asked_again_the_next_time() -> None:
    pokes = Pokes()

    def fails() -> None:
        raise EngineAway

    for _ in range(2):
        with pytest.raises(EngineAway):
            pokes.send(fails)
    sent: list[bool] = []
    pokes.send(lambda: sent.append(True))
    assert sent == [True]
