# SPDX-License-Identifier: MIT
"""Which HTTP status an error of the tree gets: one table, most specific class wins (RFC 9110 section 15)."""

from __future__ import annotations

from labvirt import errors as e

RETRY_SECONDS = 2
RETRY_LASTING_SECONDS = 30
"""A person must mend something first."""

STATUS: dict[type[e.LabVirtError], int] = {
    e.LabVirtError: 500,
    e.InvalidInput: 400,
    e.NotFound: 404,
    e.Conflict: 409,
    e.NotAllowed: 403,
    e.NotSignedIn: 401,
    e.TooManyRequests: 429,
    e.Cancelled: 409,
    e.Unsupported: 501,
    e.Exhausted: 503,
    e.HostNotReady: 503,
    e.EngineAway: 503,
    e.DatabaseError: 503,
    e.DriverError: 502,
    e.DriverTimeout: 504,
    e.DiskError: 507,
}


def status_of(error: e.LabVirtError) -> int:
    """The status for this error: that of its nearest ancestor in the table."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def retry_after(error: e.LabVirtError) -> int | None:
    """Seconds for the Retry-After header; None where trying again does not help. Every 503 has one: terminals never give up."""
    if isinstance(error, e.TooManyRequests):
        return error.retry_seconds
    if error.retryable:
        return RETRY_SECONDS
    return RETRY_LASTING_SECONDS if status_of(error) == 503 else None
