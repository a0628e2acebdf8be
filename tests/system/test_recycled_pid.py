# SPDX-License-Identifier: MIT
"""A guest dies while nobody looks, and an innocent process gets its number: it is not taken for the guest, and nothing is done to it.

Made certain by a pid namespace of the house's own, in which the next number can be chosen (ns_last_pid, pid_namespaces(7)).
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import MakeHouse
from tests.system.house import House, argv_of, guest, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]

INIT = """
import os, signal
signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler it would not wake pause()
while True:
    try:
        os.wait()
    except ChildProcessError:
        signal.pause()
"""
"""Process 1: buries whoever is orphaned."""


@pytest.fixture(scope="module")
def house(make_house: MakeHouse, tiny: Path) -> House:
    house = make_house()
    house.set_up(tiny, 2)
    return house


@pytest.fixture
def init(house: House) -> Iterator[int]:
    """Process 1 of a pid namespace in the house's network namespace, as we see it."""
    unshare = ("unshare", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child=KILL")
    argv = ("ip", "netns", "exec", house.namespace, *unshare, sys.executable, "-c", INIT)
    outer = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        yield int(wait_for(lambda: children.read_text().split(), "the namespace is there")[0])
    finally:
        outer.kill()
        outer.wait(timeout=20)


def number_inside(pid: int) -> int:
    """The process's number in its innermost but one namespace: what the engine sees (QEMU has a namespace of its own below)."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("NSpid:"))
    return int(line.split()[2])


def test_an_innocent_process_with_a_guests_number_is_left_alone(house: House, init: int) -> None:
    into = ("nsenter", f"--target={init}", "--pid", "--mount", "--")
    house.serve(argv_before=into)
    house.switch_on(2)
    house.all_ready()
    pid = house.machines()[guest(1)]
    number = number_inside(pid)
    other = house.facts(2)["boot_id"]
    engine = house.part("engine")
    house.kill(engine, signal.SIGSTOP)  # nobody looks
    house.kill(pid)
    wait_for(lambda: house.gone(pid), "the guest is gone")
    take = (
        "import os,sys,time\n"
        "for _ in range(2000):\n"
        "  open('/proc/sys/kernel/ns_last_pid','w').write(str(int(sys.argv[1])-1))\n"
        "  child=os.fork()\n"
        "  if child==0:\n"
        "    if os.getpid()!=int(sys.argv[1]): os._exit(0)\n"
        "    os.setsid(); print('mine',flush=True); time.sleep(600); os._exit(0)\n"
        "  if child==int(sys.argv[1]): os._exit(0)\n"
        "  os.waitpid(child,0)\n"
        "os._exit(7)\n"
    )
    argv = ("ip", "netns", "exec", house.namespace, *into, sys.executable, "-c", take, str(number))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as taking:
        assert taking.stdout is not None
        assert taking.stdout.readline() == "mine\n", "the number could not be had"
        innocent = wait_for(lambda: _with_number(house, number, pid), "the innocent process is seen")
        # Two lives of the engine meet it: the one that knew the guest, and one that knows nothing.
        house.kill(engine, signal.SIGCONT)
        wait_for(lambda: house.machines().get(guest(1), pid) != pid, "the guest comes back as another process", 90)
        assert _alive(innocent)
        house.kill(engine)
        wait_for(lambda: house.part("engine") not in (0, engine), "the next engine is there")
        house.wait_engine()
        house.call("guest", "stop", guest(1), "--how", "kill")
        wait_for(lambda: house.state_of(1) == "stopped", "the guest is stopped", 60)
        assert _alive(innocent)
        assert house.facts(2)["boot_id"] == other
        house.verify_clean()
        house.kill(innocent)  # control: it could be killed all the time
        wait_for(lambda: not _alive(innocent), "the innocent process is gone")


def _with_number(house: House, number: int, dead: int) -> int:
    for pid in house.processes():
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended since it was listed
        line = next(line for line in status.splitlines() if line.startswith("NSpid:"))
        numbers = [int(word) for word in line.split()[1:]]
        if len(numbers) == 2 and numbers[1] == number and pid != dead and "time.sleep(600)" in " ".join(argv_of(pid)):
            return pid
    return 0


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except (FileNotFoundError, ProcessLookupError):
        return False
