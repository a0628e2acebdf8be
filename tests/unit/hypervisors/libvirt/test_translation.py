# SPDX-License-Identifier: MIT
"""Every libvirt error becomes one of ours with a sentence and a hint; calls that never come back have an end."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import cast

import libvirt
import pytest

from labvirt.errors import (
    DriverTimeout,
    Exhausted,
    HostNotReady,
    HypervisorError,
    ImageDamaged,
    LabVirtError,
    OutcomeUnknown,
    Unsupported,
)
from labvirt.hypervisors.libvirt.connection import run_event_loop
from labvirt.hypervisors.libvirt.patience import Patience
from labvirt.hypervisors.libvirt.translation import TABLE, Ended, translate, translated

EXPECTED: dict[str, type[LabVirtError]] = {
    "VIR_ERR_NO_DOMAIN": Ended,
    "VIR_ERR_OPERATION_INVALID": Ended,
    "VIR_ERR_OPERATION_TIMEOUT": DriverTimeout,
    "VIR_ERR_RESOURCE_BUSY": DriverTimeout,
    "VIR_ERR_RPC": OutcomeUnknown,
    "VIR_ERR_INVALID_CONN": OutcomeUnknown,
    "VIR_ERR_NO_CONNECT": HostNotReady,
    "VIR_ERR_AUTH_FAILED": HostNotReady,
    "VIR_ERR_AUTH_CANCELLED": HostNotReady,
    "VIR_ERR_AUTH_UNAVAILABLE": HostNotReady,
    "VIR_ERR_ACCESS_DENIED": HostNotReady,
    "VIR_ERR_OPERATION_DENIED": HostNotReady,
    "VIR_ERR_NO_SUPPORT": Unsupported,
    "VIR_ERR_CONFIG_UNSUPPORTED": Unsupported,
    "VIR_ERR_OPERATION_UNSUPPORTED": Unsupported,
    "VIR_ERR_NO_MEMORY": Exhausted,
    "VIR_ERR_OPERATION_FAILED": HypervisorError,
    "VIR_ERR_INTERNAL_ERROR": HypervisorError,
    "VIR_ERR_DOM_EXIST": HypervisorError,
    "VIR_ERR_XML_ERROR": HypervisorError,
    "VIR_ERR_INVALID_ARG": HypervisorError,
}


def error_of(code: int, words: str | None = "words of libvirt", domain: int = libvirt.VIR_FROM_QEMU) -> libvirt.libvirtError:
    return cast(
        libvirt.libvirtError,
        SimpleNamespace(get_error_code=lambda: code, get_error_domain=lambda: domain, get_error_message=lambda: words),
    )


def test_the_table_holds_what_is_relied_on() -> None:
    assert {getattr(libvirt, name) for name in EXPECTED} == set(TABLE)
    for name, kind in EXPECTED.items():
        found = translate(error_of(getattr(libvirt, name)), "start", "lab-a-07.g3")
        assert type(found) is kind, name
        assert found.hint, name
        assert found.sentence.endswith("."), name


def test_every_other_code_is_said_with_libvirts_words() -> None:
    codes = {value for name, value in vars(libvirt).items() if name.startswith("VIR_ERR_") and isinstance(value, int)}
    assert len(codes) > 80
    for code in codes - set(TABLE):
        found = translate(error_of(code), "start", "lab-a-07.g3")
        assert isinstance(found, LabVirtError)
        assert "words of libvirt" in found.sentence
        assert found.hint


def test_the_same_code_means_another_thing_on_the_wire() -> None:
    """VIR_ERR_SYSTEM_ERROR is the socket's when it comes from the transport, and the host's otherwise."""
    wire = error_of(libvirt.VIR_ERR_SYSTEM_ERROR, "Connection refused", libvirt.VIR_FROM_RPC)
    assert isinstance(translate(wire, "connect to", "qemu:///system"), HostNotReady)
    assert isinstance(translate(wire, "start", "lab-a-07.g3"), OutcomeUnknown)
    host = error_of(libvirt.VIR_ERR_SYSTEM_ERROR, "Cannot allocate", libvirt.VIR_FROM_QEMU)
    assert type(translate(host, "start", "lab-a-07.g3")) is HypervisorError


@pytest.mark.parametrize("words", ["Image is not in qcow2 format", "qcow2: Image is corrupt; cannot be opened read/write"])
def test_a_bad_disk_is_an_image_that_is_damaged(words: str) -> None:
    assert isinstance(translate(error_of(libvirt.VIR_ERR_INTERNAL_ERROR, words), "start", "x"), ImageDamaged)
    assert isinstance(translate(error_of(libvirt.VIR_ERR_INTERNAL_ERROR, "no"), "start", "x"), HypervisorError)


def test_words_of_any_length_and_none_become_one_line() -> None:
    long = translate(error_of(libvirt.VIR_ERR_INTERNAL_ERROR, "a\nb " * 5000), "start", "x")
    assert len(long.sentence) < 1000
    assert "\n" not in long.sentence
    assert "no reason" in translate(error_of(libvirt.VIR_ERR_INTERNAL_ERROR, None), "start", "x").sentence


def test_a_real_error_goes_through_the_door_and_not_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    run_event_loop()
    connection = libvirt.open("test:///default")
    with pytest.raises(Ended) as caught, translated("look for", "nobody"):
        connection.lookupByName("nobody")
    assert isinstance(caught.value.__cause__, libvirt.libvirtError)
    assert isinstance(caught.value, HypervisorError)
    with pytest.raises(HostNotReady), translated("connect to", "x"):
        libvirt.open("qemu+unix:///system?socket=/nowhere/sock")
    assert capfd.readouterr().err == ""


def test_a_call_that_does_not_come_back_ends_and_the_next_one_is_told_at_once() -> None:
    patience, stuck, went = Patience(), threading.Event(), threading.Event()

    def never() -> None:
        went.set()
        stuck.wait(30)

    assert patience.within(10, "ask", "lab-a-01.g1", lambda: 5) == 5
    with pytest.raises(DriverTimeout, match=r"lab-a-01\.g1") as caught:
        patience.within(0.05, "ask", "lab-a-01.g1", never)
    assert caught.value.hint
    assert went.is_set()
    with pytest.raises(DriverTimeout):
        patience.within(10, "ask", "lab-a-01.g1", lambda: pytest.fail("a second call while the first is stuck"))
    assert patience.within(10, "ask", "lab-a-02.g1", lambda: "others are unaffected")
    stuck.set()
    for _ in range(1000):
        try:
            assert patience.within(10, "ask", "lab-a-01.g1", lambda: 7) == 7
            break
        except DriverTimeout:
            threading.Event().wait(0.01)
    else:
        pytest.fail("it never came back")


def test_what_a_call_raises_comes_out() -> None:
    with pytest.raises(ZeroDivisionError):
        Patience().within(10, "divide", "x", lambda: 1 // 0)
