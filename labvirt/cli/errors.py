# SPDX-License-Identifier: MIT
"""Errors on the command line: which exit code, and what is printed where. One table; the most specific class wins.

0 done, 1 the answer is no, 2 wrong use, 3 the host is not able.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

from labvirt import errors as e

DONE, NO, WRONG_USE, NOT_ABLE = 0, 1, 2, 3

EXIT_CODES: dict[type[e.LabVirtError], int] = {
    e.LabVirtError: NO,
    e.InvalidInput: WRONG_USE,
    e.NotFound: NO,
    e.Conflict: NO,
    e.NotAllowed: NO,
    e.TooManyRequests: NO,
    e.Unsupported: NOT_ABLE,
    e.Exhausted: NO,
    e.HostNotReady: NOT_ABLE,
    e.EngineAway: NOT_ABLE,
    e.DatabaseError: NOT_ABLE,
    e.DriverError: NO,
}

DEBUG_VARIABLE = "LABVIRT_DEBUG"


def exit_code(error: e.LabVirtError) -> int:
    """The exit code of this error: that of its nearest ancestor in the table."""
    return next(EXIT_CODES[cls] for cls in type(error).__mro__ if cls in EXIT_CODES)


def report(error: e.LabVirtError, *, as_json: bool) -> int:
    """Sentence and hint are on stderr, with --json also an object on stdout; gives the exit code."""
    extra = {
        key: value
        for key in ("field", "noun", "name", "by", "guest", "state", "resource", "retry_seconds")
        if isinstance(value := getattr(error, key, None), str | int)
    }
    return _print(exit_code(error), error.code, error.sentence, error.hint, as_json=as_json, extra=extra)


def report_wrong_use(sentence: str, hint: str, *, as_json: bool) -> int:
    """For words that click itself refused."""
    return _print(WRONG_USE, "wrong-use", sentence, hint, as_json=as_json, extra={})


def report_unexpected(error: BaseException, log: Path, *, as_json: bool) -> int:
    """A programmer's mistake: one sentence; the trace goes to `log` if that can be written."""
    trace = "".join(traceback.format_exception(error))
    if os.environ.get(DEBUG_VARIABLE):
        sys.stderr.write(trace)
    hint = f"Set {DEBUG_VARIABLE}=1 to see where, and please report it."
    try:
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600), "a") as file:
            file.write(trace)
        hint = f"Please report it with the last lines of {log}."
    except OSError:
        pass
    sentence = f"This is a mistake in LabVirt ({type(error).__name__})."
    return _print(NO, "unexpected", sentence, hint, as_json=as_json, extra={})


def _print(code: int, name: str, sentence: str, hint: str, *, as_json: bool, extra: dict[str, str | int]) -> int:
    sys.stderr.write(f"labvirt: {_line(sentence)}\n" + (f"  {_line(hint)}\n" if hint else ""))
    if as_json:
        told = {"error": {"code": name, "sentence": sentence, "hint": hint, "exit_code": code, **extra}}
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    return code


def _line(text: str) -> str:
    """What came from outside cannot move the cursor of a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
