# SPDX-License-Identifier: MIT
"""Opens a TAP device that exists already. Making, filtering and removing TAPs is the network room's work."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct

# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000


def open_tap(name: str) -> int:
    """A descriptor of the TAP `name` of this network namespace, for `-netdev tap,fd=`. The caller closes it.

    With virtio headers, so that large packets pass in one piece; QEMU turns them off for other cards. Raises OSError:
    ENODEV when there is no such interface, EBUSY when another process has it open, EPERM without the right.
    """
    # TUNSETIFF makes a missing interface, unfiltered and outside the bridge. So it must exist before; if it vanishes in
    # between, what we make is not persistent and goes with the descriptor.
    try:
        socket.if_nametoindex(name)
    except OSError as error:  # Python's own has no errno
        raise OSError(errno.ENODEV, "there is no such network interface", name) from error
    # PRIVILEGE: CAP_NET_ADMIN, or being the TAP's owner. `name` is an InterfaceName: 15 letters and digits at most.
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        request = struct.pack("16sH22x", name.encode("ascii"), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
