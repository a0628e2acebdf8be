# SPDX-License-Identifier: MIT
"""The rules for a run that lives: it serves, is to be stopped, to be replaced, to stand still, to be adopted, or to be left alone."""

from __future__ import annotations

from datetime import timedelta

from labvirt.domain import actions as act
from labvirt.domain.guest import Due, Guest, GuestState, Purpose, RunId, StopHow, Wish
from labvirt.domain.lab import OnLeave
from labvirt.domain.observed import ObservedRun, RunState, Tries
from labvirt.domain.profile import Profile
from labvirt.domain.round import Round, pause_seconds, stop_of

CONFIRM_SECONDS = 2.0
"""Between the two observations that prove a left-over."""

SETTLED_SECONDS = 60.0
"""A run that has been up so long forgets the failures before it."""

BUTTON_PRESSES = 6
"""So often an ACPI power button is pressed, BUTTON_SECONDS apart, before a person is told that the guest ignores it."""
BUTTON_SECONDS = 10.0
"""A guest that still boots does not hear it; one that goes down does not mind a second press."""

RESUMES = 5

OLD_AT_ONCE = 3
"""So many guests are replaced for their age at a time: the rest of the lab stays ready."""


QUIET_SECONDS = 60.0
"""So long a machine that is just being started may say nothing: an engine that died over it left it half made, or the host has much to
do. Nobody in front of it is told to call the help desk for that."""


def own(round_: Round, row: Guest, run: ObservedRun) -> None:
    """The run that its row calls its own lives."""
    if row.generation > run.run.generation:
        _over(round_, row, run)
    elif row.wish is Wish.RUNNING:
        if not _due(round_, row, run.run):
            _serving(round_, row, run)
    else:
        round_.quarantine(
            run.run,
            "run-unclear",
            f"{run.run} runs; its row wishes it stopped, and nothing shows that the wish is newer than the run.",
            f"labvirt guest fresh {row.name}",
        )


def _over(round_: Round, row: Guest, run: ObservedRun) -> None:
    """The wish has moved on from this run: that is the explicit word of its own row."""
    now = round_.now
    how = row.stop_how if row.wish is Wish.STOPPED else StopHow.STOP
    if row.state in (GuestState.STOPPED, GuestState.FAILED) and row.name not in round_.asked:
        stop = stop_of(row, run.run, how, own=True, why="it runs although it was believed to be over")
        _suspect(round_, row, run.run, stop, "run-believed-over", f"{run.run} runs although its row says {row.state}.")
        return
    tries = round_.old.stops.get(run.run)
    if tries is None or tries.generation != row.generation:
        tries = Tries(generation=row.generation, count=0, at=now)
    if how is StopHow.SHUTDOWN:
        pause = BUTTON_SECONDS
        if tries.count >= BUTTON_PRESSES and now >= tries.at + pause:
            round_.report(
                "power-button-ignored",
                f"{row.name} does not react to its power button, pressed {tries.count} times.",
                f"labvirt guest stop {row.name} --how stop",
                row.name,
            )
            round_.stops[run.run] = tries
            return
    else:
        pause = pause_seconds(tries.count)
        if tries.count and row.wish is Wish.RUNNING:
            how = StopHow.KILL  # a fresh run was asked for, and the old one did not go politely
    if tries.count and now < tries.at + pause:
        round_.stops[run.run] = tries
        round_.wakes.append(tries.at + pause)
        return
    round_.stops[run.run] = Tries(generation=row.generation, count=tries.count + 1, at=now)
    why = "it is to be stopped" if row.wish is Wish.STOPPED else "a fresh run was asked for"
    round_.actions.append(stop_of(row, run.run, how, own=True, why=why))


def _due(round_: Round, row: Guest, run: RunId) -> bool:
    """Whoever sits there was told; the row itself has the explicit word, so the brake has no say."""
    if not round_.passed(row.due_at):
        return False
    if row.due is Due.FRESH:
        round_.refresh(row, run, "the time that was told has come: it gets a fresh run")
    else:
        round_.retire(row, "the time that was told has come: it is stopped")
    return True


def _serving(round_: Round, row: Guest, run: ObservedRun) -> None:
    if run.state is RunState.SILENT:
        if row.state is GuestState.STARTING and row.started_at and not round_.passed(row.started_at + timedelta(seconds=QUIET_SECONDS)):
            round_.note(row, GuestState.STARTING, "its machine does not answer yet")
            return
        round_.note(row, GuestState.SILENT, run.reason or "its machine does not answer")
        return
    profile = round_.seen.profiles.get(row.profile or "")
    if run.state is RunState.PAUSED:
        _paused(round_, row, run, profile)
        return
    if row.state in (GuestState.WANTED, GuestState.STARTING, GuestState.FAILED):
        if run.run not in round_.seen.awaiting:
            round_.actions.append(act.AwaitReady(guest=row.name, generation=row.generation, run=run.run))
        return
    since = round_.running_since[run.run] = round_.old.running_since.get(run.run, round_.now)
    resumed = round_.old.resumes.get(run.run)
    if resumed is not None and round_.now < since + SETTLED_SECONDS:
        round_.resumes[run.run] = resumed
    if row.failures:
        if round_.now >= since + SETTLED_SECONDS:
            round_.actions.append(act.Settle(guest=row.name, generation=row.generation))
        else:
            round_.wakes.append(since + SETTLED_SECONDS)
    if _too_much(round_, row, run.run, profile) or _left(round_, row, run) or _too_old(round_, row, run, profile):
        return
    round_.note(row, GuestState.CONNECTED if run.viewed else GuestState.RUNNING, "")


def _left(round_: Round, row: Guest, run: ObservedRun) -> bool:
    """Is the viewer away for so long that the lab's policy acts? Only seats have one."""
    lab = round_.seen.labs.get(row.lab)
    if run.viewed:
        round_.viewed.add(run.run)
        return False
    if run.run not in round_.old.viewed and row.state is not GuestState.CONNECTED:
        return False
    round_.viewed.add(run.run)
    left = round_.left[run.run] = round_.old.left.get(run.run, round_.now)
    if lab is None or lab.on_leave is OnLeave.KEEP or row.purpose is not Purpose.SEAT:
        return False
    due = left + lab.leave_grace_seconds
    if round_.now < due:
        round_.wakes.append(due)
        return False
    if lab.on_leave is OnLeave.RESET:
        round_.refresh(row, run.run, "its viewer has left: the next one gets a fresh run")
    else:
        round_.retire(row, "its viewer has left: it is stopped")
    return True


def _too_old(round_: Round, row: Guest, run: ObservedRun, profile: Profile | None) -> bool:
    """Has it run for the days that its profile gives it? Nobody is disturbed, and few at a time."""
    if profile is None or profile.restart_days is None or row.purpose is not Purpose.SEAT or row.started_at is None or run.viewed:
        return False
    if not round_.passed(row.started_at + timedelta(days=profile.restart_days)):
        return False
    coming = sum(
        1 for one in round_.seen.guests or () if one.wish is Wish.RUNNING and one.state in (GuestState.WANTED, GuestState.STARTING)
    )
    going = sum(1 for action in round_.actions if isinstance(action, act.Refresh))
    if coming + going >= OLD_AT_ONCE:
        return False
    days = f"{profile.restart_days} day{'' if profile.restart_days == 1 else 's'}"
    round_.refresh(row, run.run, f"it has run for {days} without a fresh start: it gets one")
    return True


# --- paused, or to be


def _too_much(round_: Round, row: Guest, run: RunId, profile: Profile | None) -> bool:
    """Has it written more than it may, under a driver that does not look at that itself?"""
    if not _beyond(round_, row, run, profile) or profile is None:
        return False
    round_.capped.add(run)
    round_.actions.append(act.Pause(guest=row.name, generation=row.generation, run=run, reason=_cap_words(row, profile)))
    return True


def _beyond(round_: Round, row: Guest, run: RunId, profile: Profile | None) -> bool:
    if profile is None or profile.overlay_cap_mib is None or round_.seen.written is None or not has_cap(row):
        return False
    return round_.seen.written.get(run, 0) > profile.overlay_cap_mib << 20


def has_cap(row: Guest) -> bool:
    """Is there a limit to what it writes? What an admin session writes is a draft, and that may grow."""
    return row.purpose is not Purpose.ADMIN


def _cap_words(row: Guest, profile: Profile | None) -> str:
    much = f"{profile.overlay_cap_mib} MiB, as much as it may" if profile and profile.overlay_cap_mib else "as much as it may"
    return f"it has written {much}; the administrator gives it a fresh machine (labvirt guest fresh {row.name})"


def _paused(round_: Round, row: Guest, run: ObservedRun, profile: Profile | None) -> None:
    capped = run.capped or run.run in round_.old.capped or _beyond(round_, row, run.run, profile)
    if capped:  # more room on the host does not help: it would only write on
        round_.capped.add(run.run)
        round_.note(row, GuestState.PAUSED, _cap_words(row, profile))
        return
    round_.note(row, GuestState.PAUSED, run.reason or "its machine was paused")
    if profile is not None and profile.overlay_cap_mib and round_.seen.written is not None and run.run not in round_.seen.written:
        return  # nobody knows yet how much it has written
    _resume(round_, row, run.run)


def _resume(round_: Round, row: Guest, run: RunId) -> None:
    tries = round_.old.resumes.get(run, Tries(generation=row.generation, count=0, at=round_.now))
    round_.resumes[run] = tries
    if tries.count >= RESUMES:
        round_.report(
            "resume-given-up",
            f"{row.name} is paused and pauses again whenever it is resumed.",
            f"labvirt guest fresh {row.name}",
            row.name,
        )
    elif round_.seen.disk_room:
        due = tries.at + pause_seconds(tries.count)
        if round_.now < due:
            round_.wakes.append(due)
            return
        round_.resumes[run] = Tries(generation=row.generation, count=tries.count + 1, at=round_.now)
        round_.actions.append(act.Resume(guest=row.name, generation=row.generation, run=run))


# --- a run lives that its row does not call its own


def other(round_: Round, row: Guest, run: ObservedRun, *, may_adopt: bool) -> bool:
    """True when it was adopted."""
    if run.run.generation >= row.generation:
        if row.wish is Wish.RUNNING and may_adopt:
            state = {RunState.PAUSED: GuestState.PAUSED, RunState.SILENT: GuestState.SILENT}.get(run.state, GuestState.RUNNING)
            round_.actions.append(act.Adopt(guest=row.name, generation=row.generation, run=run.run, state=state, reason=run.reason))
            return True
        round_.quarantine(
            run.run,
            "run-newer-than-row",
            f"{run.run} runs, and the database knows {row.name} only up to generation {row.generation}: it may be an older copy.",
            f"labvirt guest start {row.name}",
        )
    elif row.run is None:
        round_.quarantine(
            run.run,
            "run-unknown",
            f"{run.run} runs, and the row of {row.name} does not know any run.",
            f"labvirt guest fresh {row.name}",
        )
    else:
        stop = stop_of(row, run.run, StopHow.STOP, own=False, why=f"the run of {row.name} is {row.run} now")
        _suspect(round_, row, run.run, stop, "run-left-over", f"{run.run} runs although {row.name} is served by {row.run} now.")
    return False


def _suspect(round_: Round, row: Guest, run: RunId, stop: act.Stop, code: str, sentence: str) -> None:
    first = round_.suspects[run] = round_.old.suspects.get(run, round_.now)
    if round_.now - first < CONFIRM_SECONDS:
        round_.wakes.append(first + CONFIRM_SECONDS)
        round_.unproven += row.name not in round_.asked
        round_.report(code, sentence, f"labvirt guest fresh {row.name}", row.name)
    elif row.name in round_.asked:
        round_.actions.append(stop)
    else:
        round_.unasked.append(stop)
