# SPDX-License-Identifier: MIT
"""docs/explanation/states.md shows the table of states that the program has. Write it anew: python -m
tests.unit.domain.test_states_page
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from labvirt.domain import guest
from labvirt.domain.guest import TRANSITIONS, GuestState

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "states.md"

ALIVE = ("running", "connected", "paused", "silent")

WORDS = {
    "wanted": "Somebody wants it; it waits for its turn. The reason says its place and what the host lacks.",
    "starting": "It is being made; the reason says which step, or what it waits for.",
    "running": "It runs and is ready.",
    "connected": "It runs, and a viewer is seen (display event or flow table).",
    "paused": "The host's disk is full (it goes on by itself when there is room again), or it has written as much as it may.",
    "silent": "Its process lives and does not answer. Nothing is done to it without a person's word.",
    "stopping": "It was told to stop; the reason says how.",
    "stopped": "It is off. Its terminal's next question wants it again.",
    "failed": "It could not be started too often in a row; the reason says why. Asking again tries again.",
}

HEAD = """\
# States of a guest

This page is made from `labvirt/domain/guest.py` (`TRANSITIONS`); a test keeps it equal.

A guest's row has a *wish* (running or stopped, with a generation that grows with every change of the wish) and a *state*
(what the engine last saw). A wish is written before the act, a state after it. Each try to start is a *run* of its own,
with its own folder and its own generation.
"""

RULES = """\
## Which differences the engine mends, and how carefully

| seen | done |
|---|---|
| wanted, nothing runs | queued as [class start](class-start.md) says: in a fair order, as many at once as the host bears |
| the wish moved on from the run that lives | stopped as the wish says (power button, off, kill) |
| a run lives that is older than the row's own | stopped after two observations at least 2 s apart; if many, held and reported |
| a run lives that is newer than the row, wanted | adopted: the row takes it over |
| a run lives that is newer than the row, not wanted; or without a row | left running, reported |
| the process is gone, nobody wished it | started again after 10, 20, 40 s; `failed` after the fourth time if the host is not overloaded |
| the guest switched itself off | `stopped`, until its terminal asks again |
| the viewer has been away for the lab's grace time | kept, replaced by a fresh run, or stopped: the lab's policy (seats only) |
| the time has come that was told to whoever sits there | stopped, or replaced by a fresh run; many at once if many were told |
| a seat runs for longer than its profile's `restart_days`, nobody looks | replaced by a fresh run, three at a time |
| paused (disk full) and there is room again | resumed, at most five times in a row |
| paused because it has written as much as its profile allows | left so and said, until somebody gives it a fresh run |
| a folder or TAP whose row proves that it is over | removed; what a seat or a rescued seat had written is kept for `rescue_hours` |
| the disk is low | what was kept goes, the oldest first |
| a folder or TAP that nobody can account for | left, reported |
| the database or the hypervisor cannot be read | nothing |

Many means more than 3 in a minute, or more than a tenth of the living guests if that is more: then none is stopped until a
person says so (`labvirt guest fresh NAME`).
"""


def render() -> str:
    lines = [HEAD, "```mermaid", "stateDiagram-v2", "    [*] --> wanted", "    state alive {"]
    lines += [f"        {name}" for name in ALIVE]
    lines += ["    }"]
    for state, nexts in TRANSITIONS.items():
        if state.value in ALIVE:
            continue
        lines += ["    " + state.value + " --> alive"] if {GuestState(name) for name in ALIVE} <= nexts else []
        lines += [f"    {state} --> {other}" for other in GuestState if other in nexts and other.value not in ALIVE]
    shared = frozenset.intersection(*(TRANSITIONS[GuestState(name)] for name in ALIVE))
    lines += [f"    alive --> {other}" for other in GuestState if other in shared and other.value not in ALIVE]
    lines += ["```", "", "Inside `alive` every state may follow every other.", ""]
    lines += ["| state | means | may become |", "|---|---|---|"]
    for state in GuestState:
        nexts = ", ".join(other.value for other in GuestState if other in TRANSITIONS[state] and other is not state)
        lines.append(f"| `{state}` | {WORDS[state.value]} | {nexts} |")
    return "\n".join([*lines, "", RULES])


def test_the_page_shows_the_table() -> None:
    assert PAGE.read_text() == render(), "python -m tests.unit.domain.test_states_page"


def test_every_state_is_explained_and_alive_ones_are_one_family() -> None:
    assert set(WORDS) == {state.value for state in GuestState}
    family = {frozenset(TRANSITIONS[GuestState(name)]) | {GuestState(n) for n in ALIVE} for name in ALIVE}
    assert len(family) == 1
    assert {GuestState(name) for name in ALIVE} == {state for state in GuestState if _guest(state).alive}


def _guest(state: GuestState) -> guest.Guest:
    return guest.Guest(name="lab-01", lab="lab", seat=1, wish=guest.Wish.RUNNING, generation=1, state=state, since=datetime.now(UTC))


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(render())
