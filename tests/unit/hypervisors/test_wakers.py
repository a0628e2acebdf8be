# SPDX-License-Identifier: MIT
"""Whether somebody still wakes a clone is read off a word, and whether a libvirt is this host's off its address."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labvirt.errors import Unsupported
from labvirt.hypervisors import wakers
from labvirt.hypervisors.libvirt.connection import is_local
from labvirt.hypervisors.libvirt.driver import LibvirtHypervisor
from labvirt.hypervisors.libvirt.templates import LibvirtTemplates
from labvirt.system.process import identify


def test_a_waker_is_going_until_it_is_done() -> None:
    with wakers.waking() as one, wakers.waking() as other:
        assert one != other
        assert wakers.is_going(one)
        assert wakers.is_going(other)
    assert not wakers.is_going(one)


def test_a_waker_in_another_process_is_going_while_that_one_lives() -> None:
    lines = ("import sys; from labvirt.hypervisors import wakers", "with wakers.waking() as word: print(word, flush=True); input()")
    script = "\n".join(lines)
    with subprocess.Popen((sys.executable, "-c", script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        word = other.stdout.readline().strip()
        assert wakers.is_going(word)
        other.kill()
    assert not wakers.is_going(word)


@pytest.mark.parametrize("word", ["", "x", "1:2", "1:2:3:4", "PID:0:0"])
def test_a_word_of_nobody_is_not_going(word: str) -> None:
    assert not wakers.is_going(word.replace("PID", str(os.getpid())))


def test_a_process_that_has_the_number_of_a_dead_one_is_another() -> None:
    with subprocess.Popen(("cat",), stdin=subprocess.PIPE) as other:
        found = identify(other.pid)
        assert found is not None
        assert wakers.is_going(f"{found.pid}:{found.start_ticks}:0")
        assert not wakers.is_going(f"{found.pid}:{found.start_ticks - 1}:0")


LOCAL = ("qemu:///system", "qemu:///session", "qemu+unix:///system?socket=/run/x/libvirt-sock")
REMOTE = ("qemu+ssh://root@host/system", "qemu+tls://host/system", "qemu://host/system", "qemu+libssh2://host/system", "qemu+ext:///system")


def test_only_a_libvirt_of_this_host_clones_and_the_others_say_why(tmp_path: Path) -> None:
    for uri in LOCAL:
        assert is_local(uri)
        driver = LibvirtHypervisor(uri, owner="site-1", accelerator="tcg", templates=tmp_path)
        assert isinstance(driver.templates(), LibvirtTemplates)
        driver.close()
    for uri in REMOTE:
        assert not is_local(uri)
        driver = LibvirtHypervisor(uri, owner="site-1", accelerator="tcg", templates=tmp_path)
        with pytest.raises(Unsupported, match="not this host's"):
            driver.templates()
        driver.close()
