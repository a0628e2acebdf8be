# SPDX-License-Identifier: MIT
"""Errors on the command line: which exit code, and what is printed where. One table; the most specific class wins.

0 done, 1 the answer is no, 2 wrong use, 3 the host is not able.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from labvirt import errors as e
from labvirt.domain.job import Job, JobError, JobState

DONE, NO, WRONG_USE, NOT_ABLE = 0, 1, 2, 3
INTERRUPTED = 130
"""128 + SIGINT, as shells do."""

EXIT_CODES: dict[type[e.LabVirtError], int] = {
    e.LabVirtError: NO,
    e.InvalidInput: WRONG_USE,
    e.NotFound: NO,
    e.Conflict: NO,
    e.NotAllowed: NO,
    e.TooManyRequests: NO,
    e.Cancelled: NO,
    e.Cancelled: NO,
    e.Unsupported: NOT_ABLE,
    e.Exhausted: NO,
    e.HostNotReady: NOT_ABLE,
    e.EngineAway: NOT_ABLE,
    e.DatabaseError: NOT_ABLE,
    e.DriverError: NO,
}

DEBUG_VARIABLE = "LABVIRT_DEBUG"


def exit_code(error: e.LabVirtError) -> int:
    """The exit code of this error: that of its nearest ancestor in the table; of one from a controller elsewhere that of its code."""
    return exit_code_of(error.code) if "code" in vars(error) else exit_code_class(type(error))


def exit_code_class(kind: type[e.LabVirtError]) -> int:
    return next(EXIT_CODES[cls] for cls in kind.__mro__ if cls in EXIT_CODES)


def report(error: e.LabVirtError, *, as_json: bool) -> int:
    """Sentence and hint are on stderr, with --json also an object on stdout; gives the exit code."""
    extra = {
        key: value
        for key in ("field", "noun", "name", "by", "guest", "state", "resource", "retry_seconds")
        if isinstance(value := getattr(error, key, None), str | int)
    }
    return _print(exit_code(error), error.code, error.sentence, error.hint, as_json=as_json, extra=extra)


def report_job(job: Job, *, as_json: bool) -> int:
    """What a job that did not go well ended with, as if the command itself had failed with it."""
    if job.state is JobState.CANCELLED:
        error = JobError(code=e.Cancelled.code, sentence=f"The job {job.number} was cancelled.")
    else:
        error = job.error or JobError(code=e.LabVirtError.code, sentence=f"The job {job.number} is {job.state}.")
    hint = error.hint or f"What it did: labvirt job show {job.number}"
    return _print(exit_code_of(error.code), error.code, error.sentence, hint, as_json=as_json, extra={"job": job.number})


def report_far_job(number: int, error: Mapping[str, str], *, as_json: bool) -> int:
    """The same for a job of a controller elsewhere, whose error is known as JSON."""
    hint = error["hint"] or f"What it did: labvirt job show {number}"
    return _print(exit_code_of(error["code"]), error["code"], error["sentence"], hint, as_json=as_json, extra={"job": number})


def exit_code_of(code: str) -> int:
    """The exit code of the error with this stable name; NO for one that nobody knows."""
    return next((exit_code_class(each) for each in _tree(e.LabVirtError) if each.code == code), NO)


def _tree(root: type[e.LabVirtError]) -> Iterator[type[e.LabVirtError]]:
    yield root
    for each in root.__subclasses__():
        yield from _tree(each)


def report_wrong_use(sentence: str, hint: str, *, as_json: bool) -> int:
    """For words that click itself refused."""
    return _print(WRONG_USE, "wrong-use", sentence, hint, as_json=as_json, extra={})


def report_unexpected(error: BaseException, log: Path, *, as_json: bool) -> int:
    """A programmer's mistake: one sentence; the trace goes to `log` if that can be written."""
    trace = "".join(traceback.format_exception(error))
    if os.environ.get(DEBUG_VARIABLE):
        sys.stderr.write(trace)
    hint = f"Set {DEBUG_VARIABLE}=1 to see where, and please report it."
    if _append(log, trace):
        hint = f"Please report it with the last lines of {log}."
    sentence = f"This is a mistake in LabVirt ({type(error).__name__})."
    return _print(NO, "unexpected", sentence, hint, as_json=as_json, extra={})


@contextmanager
def logged(log: Path) -> Iterator[None]:
    """What the house logs meanwhile goes to `log`, not to the terminal; nowhere when that cannot be written."""

    class ToFile(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            _append(log, self.format(record) + "\n")

    handler = ToFile(logging.INFO)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    house = logging.getLogger("labvirt")
    house.addHandler(handler)
    try:
        yield
    finally:
        house.removeHandler(handler)


def _append(log: Path, text: str) -> bool:
    try:
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600), "a") as file:
            file.write(text)
    except OSError:
        return False
    return True


def _print(code: int, name: str, sentence: str, hint: str, *, as_json: bool, extra: dict[str, str | int]) -> int:
    sys.stderr.write(f"labvirt: {harmless(sentence)}\n" + (f"  {harmless(hint)}\n" if hint else ""))
    if as_json:
        told = {"error": {"code": name, "sentence": sentence, "hint": hint, "exit_code": code, **extra}}
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    return code


def harmless(text: str) -> str:
    """As one line that cannot move the cursor of a terminal, wherever it came from."""
    return "".join(c if c.isprintable() else " " for c in text)
