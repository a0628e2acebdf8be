# SPDX-License-Identifier: MIT
"""`labvirt serve` on a machine that is not able: each time an exit code, one sentence, and what to do."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.system import netns
from tests.system.conftest import MakeHouse
from tests.system.house import PORT, House, guest, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def house(make_house: MakeHouse, tiny: Path) -> House:
    house = make_house()
    house.set_up(tiny, 1)
    return house


def _refusal(house: House, **how: str | tuple[str, ...]) -> tuple[int, str]:
    """Exit code and words of a `serve` that must end by itself."""
    process = house.spawn(**how)  # type: ignore[arg-type]
    code = process.wait(timeout=40)
    words = house.last_words()
    assert "Traceback" not in words, words
    return code, words


def test_a_state_folder_that_is_not_set_up(make_house: MakeHouse) -> None:
    code, words = _refusal(make_house())
    assert code == 3
    assert "labvirt init" in words


def test_a_port_in_use(house: House) -> None:
    def occupy() -> socket.socket:
        return socket.create_server(("0.0.0.0", PORT))

    with netns.inside(house.namespace, occupy):
        code, words = _refusal(house)
    assert code == 3
    assert f"0.0.0.0:{PORT} is in use" in words
    assert "ss -ltnp" in words
    assert not house.part("engine")


def test_without_the_right_to_make_networks(house: House) -> None:
    """As root without CAP_NET_ADMIN: the engine lives, starts no guest, and says what it lacks; nothing is broken afterwards."""
    no_right = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", "--ambient-caps=-all")
    process = house.spawn(argv_before=no_right)
    try:
        told = wait_for(lambda: process.poll() is not None or _trouble(house), "the lack is said", 40)
        if process.poll() is not None:
            assert process.returncode == 3
            words = house.last_words()
            assert "Traceback" not in words, words
        else:
            words = " ".join(f"{finding['sentence']} {finding['fix']}" for finding in told)
        assert "CAP_NET_ADMIN" in words or "root" in words, words
        assert guest(1) not in house.machines()
    finally:
        process.terminate()
        process.wait(timeout=40)
    house.serve()  # control: with it, the same folder is served
    house.verify_clean()
    house.served[-1].terminate()
    assert house.served[-1].wait(timeout=40) == 0


def _trouble(house: House) -> list[dict[str, str]]:
    outcome = house.run("host", "show", "--engine")
    found = outcome.json["engine"]["findings"] if outcome.code == 0 else []
    return [finding for finding in found if finding["severity"] == "error"]


def test_a_second_controller_and_a_second_engine_on_one_folder(house: House) -> None:
    house.serve()
    first, engine = house.served[-1], house.part("engine")
    second = house.spawn("--listen", "127.0.0.1:8099")
    code, words = second.wait(timeout=40), house.last_words()
    assert code == 1
    assert "served already" in words
    alone = house.program("engine")
    assert alone.code == 1
    assert "already" in alone.sentence
    assert (first.poll(), house.part("engine")) == (None, engine)
    first.terminate()
    assert first.wait(timeout=40) == 0
