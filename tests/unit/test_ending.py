# SPDX-License-Identifier: MIT
"""A long proof that is told to end."""

from __future__ import annotations

import subprocess
import sys

PROOF = """
import sys
from tests.system import ending
if "in-order" in sys.argv:
    ending.in_order()
else:
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
try:
    print("goes on", flush=True)
    sys.stdin.readline()
finally:
    print("clears away", flush=True)
    sys.stdin.readline()
    print("cleared", flush=True)
"""


def told_twice(*words: str) -> tuple[int, bool]:
    """Its exit code, and whether it cleared away."""
    argv = [sys.executable, "-c", PROOF, *words]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as proof:
        assert proof.stdout is not None
        assert proof.stdout.readline() == "goes on\n"
        proof.terminate()
        assert proof.stdout.readline() == "clears away\n"
        proof.terminate()
        rest, _ = proof.communicate("\n", timeout=30)
        return proof.returncode, "cleared" in rest


def test_a_second_sigterm_does_not_end_the_clearing_away() -> None:
    assert told_twice("in-order") == (143, True)
    assert told_twice() == (143, False)  # what the second one did
