# SPDX-License-Identifier: MIT
"""libvirt's errors as ours, by error code: the one table, and the one door where they are translated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import libvirt

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

_Make = Callable[[str, str, str], LabVirtError]
"""libvirt's words, our operation, the subject -> the error."""

_WORDS_OF_BAD_IMAGES = (
    "Image is not in qcow2 format",
    "Unsupported qcow2 version",
    "Image is corrupt",
    "qcow2: Image",
    "Could not open backing file",
    "header too small",
    "L1 table",
)


class Ended(HypervisorError):
    """The run's domain is gone. A HypervisorError for everybody outside of this driver."""

    def __init__(self, run: object) -> None:
        super().__init__(f"{run} does not run.", subject=str(run), hint="Start the guest again.")


def _gone(words: str, operation: str, subject: str) -> LabVirtError:
    return Ended(subject)


def _timeout(words: str, operation: str, subject: str) -> LabVirtError:
    return DriverTimeout(
        f"{subject}: libvirt could not {operation} in time: {words}.",
        operation=operation,
        subject=subject,
        hint="The machine may be stuck; kill it if it stays so: labvirt guest stop NAME --how kill",
    )


def _lost(words: str, operation: str, subject: str) -> LabVirtError:
    return OutcomeUnknown(
        f"The connection to libvirt broke while it should {operation} {subject}: {words}.",
        operation=operation,
        subject=subject,
        hint="Look whether libvirtd runs (systemctl status libvirtd); guests go on without it.",
    )


def _closed(words: str, operation: str, subject: str) -> LabVirtError:
    return HostNotReady(
        f"libvirt does not answer: {words}.", hint="Start it: systemctl start libvirtd (apt-get install libvirt-daemon-system)."
    )


def _denied(words: str, operation: str, subject: str) -> LabVirtError:
    return HostNotReady(f"libvirt does not let us in: {words}.", hint="Add LabVirt's user to its group: adduser labvirt libvirt")


def _unsupported(words: str, operation: str, subject: str) -> LabVirtError:
    return Unsupported(f"{operation}: {words}", "libvirt")


def _memory(words: str, operation: str, subject: str) -> LabVirtError:
    return Exhausted("memory", f"There is not enough memory to {operation} {subject}.", hint="Stop guests, or give them less memory.")


def _refused(words: str, operation: str, subject: str) -> LabVirtError:
    if any(part in words for part in _WORDS_OF_BAD_IMAGES):
        return ImageDamaged(
            f"{subject}: a disk cannot be used: {words}.",
            operation=operation,
            subject=subject,
            hint="Choose another version of its image.",
        )
    return HypervisorError(
        f"libvirt could not {operation} {subject}: {words}.",
        operation=operation,
        subject=subject,
        hint="The words are QEMU's or libvirt's; the log of libvirtd may say more.",
    )


TABLE: dict[int, _Make] = {
    libvirt.VIR_ERR_NO_DOMAIN: _gone,
    libvirt.VIR_ERR_OPERATION_INVALID: _gone,
    libvirt.VIR_ERR_OPERATION_TIMEOUT: _timeout,
    libvirt.VIR_ERR_RESOURCE_BUSY: _timeout,
    libvirt.VIR_ERR_RPC: _lost,
    libvirt.VIR_ERR_INVALID_CONN: _lost,
    libvirt.VIR_ERR_NO_CONNECT: _closed,
    libvirt.VIR_ERR_AUTH_FAILED: _denied,
    libvirt.VIR_ERR_AUTH_CANCELLED: _denied,
    libvirt.VIR_ERR_AUTH_UNAVAILABLE: _denied,
    libvirt.VIR_ERR_ACCESS_DENIED: _denied,
    libvirt.VIR_ERR_OPERATION_DENIED: _denied,
    libvirt.VIR_ERR_NO_SUPPORT: _unsupported,
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: _unsupported,
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED: _unsupported,
    libvirt.VIR_ERR_NO_MEMORY: _memory,
    libvirt.VIR_ERR_OPERATION_FAILED: _refused,
    libvirt.VIR_ERR_INTERNAL_ERROR: _refused,
    libvirt.VIR_ERR_DOM_EXIST: _refused,
    libvirt.VIR_ERR_XML_ERROR: _refused,
    libvirt.VIR_ERR_INVALID_ARG: _refused,
}
"""Codes that are relied on. A code that is not here is refused with libvirt's words."""

_TRANSPORT = frozenset({libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE, libvirt.VIR_FROM_STREAMS})


def translate(error: libvirt.libvirtError, operation: str, subject: str) -> LabVirtError:
    """`operation` reads after 'could not': 'start'."""
    words = " ".join((error.get_error_message() or "no reason was given").split()).rstrip(".")[:600]
    code = error.get_error_code()
    if code == libvirt.VIR_ERR_SYSTEM_ERROR and error.get_error_domain() in _TRANSPORT:
        # The socket itself: refused at the beginning of a connection, or broken in the middle of a call.
        return _closed(words, operation, subject) if operation == "connect to" else _lost(words, operation, subject)
    return TABLE.get(code, _refused)(words, operation, subject)


@contextmanager
def translated(operation: str, subject: str) -> Iterator[None]:
    try:
        yield
    except libvirt.libvirtError as error:
        raise translate(error, operation, subject) from error
