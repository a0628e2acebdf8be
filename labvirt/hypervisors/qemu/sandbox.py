# SPDX-License-Identifier: MIT
"""The sandbox around QEMU as a prefix of argv: pure. QEMU sees its own folder, its read-only layers, /usr, and
nothing else.

1. bubblewrap makes mount, pid, ipc and uts namespaces. The network namespace stays shared: SPICE listens on the lab's
gateway.
2. As root the mounts are made with root's rights (the state folder may be closed to the guest's user); after them
setpriv becomes
   the guest's user with no capability and no way to get one. Not as root a user namespace gives the right to mount.
3. No --die-with-parent: guests outlive the controller. --as-pid-1: QEMU starts no child, so nothing is there to be
waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from labvirt.contracts.hypervisor import LaunchSpec
from labvirt.hypervisors.qemu import layout
from labvirt.system import privileges


def prefix(spec: LaunchSpec, *, root: bool, kvm: bool, kvm_group: int | None = None) -> tuple[str, ...]:
    """What stands before QEMU's own argv. `kvm_group` is the group that may open /dev/kvm when others may not."""
    return _around(_files(spec, kvm=kvm), root=root, uid=spec.uid, groups=() if kvm_group is None else (kvm_group,))


def tpm_prefix(spec: LaunchSpec, *, root: bool) -> tuple[str, ...]:
    """What stands before the argv of the TPM's emulator: it sees /usr and the file of its state, and no network."""
    state = ("--bind", str(spec.folder / layout.TPM_STATE), layout.TPM_INSIDE)
    return _around(("--unshare-net", *_system(), *state, "--remount-ro", "/"), root=root, uid=spec.uid)


def _around(files: Iterable[str], *, root: bool, uid: int | None, groups: tuple[int, ...] = ()) -> tuple[str, ...]:
    if root:
        # PRIVILEGE: root, for the mounts and for becoming the guest's user; both are over before the program begins.
        inner = privileges.as_user(uid, groups=groups) if uid is not None else privileges.no_rights_as_root()
        return "bwrap", *_namespaces(), *files, "--", *inner
    # bubblewrap refuses to be started with capabilities by somebody who is not root: the engine's ambient ones go
    # first.
    outer = privileges.without_inherited_rights()
    return *outer, "bwrap", "--unshare-user", *_namespaces(), *files, "--"


def _namespaces() -> tuple[str, ...]:
    return (
        *("--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts"),
        *("--hostname", "guest", "--clearenv", "--setenv", "PATH", "/usr/bin:/usr/sbin", "--chdir", "/"),
    )


def _system() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in ("bin", "sbin", "lib", "lib64"):
        yield from ("--symlink", f"usr/{name}", f"/{name}")
    for folder in ("/etc", "/run", "/images"):  # bubblewrap would make them for root's eyes only
        yield from ("--perms", "0755", "--dir", folder)
    yield from ("--ro-bind-try", "/etc/localtime", "/etc/localtime")  # for a clock that shows local time
    yield from ("--proc", "/proc", "--dev", "/dev")


def _files(spec: LaunchSpec, *, kvm: bool) -> Iterator[str]:
    yield from _system()
    if kvm:
        yield from ("--dev-bind", "/dev/kvm", "/dev/kvm")
    yield from ("--bind", str(spec.folder), layout.GUEST)
    # Mounted over themselves: a mount point cannot be replaced, so what is read back later is what was written before.
    yield from ("--ro-bind", str(spec.folder / layout.RECORD), f"{layout.GUEST}/{layout.RECORD}")
    if spec.spice is not None:
        yield from ("--ro-bind", str(spec.spice.tls), f"{layout.GUEST}/{layout.TLS}")
    for layer in layout.shared_layers(spec):
        yield from ("--ro-bind", str(layer.host), layer.inside)
    yield from ("--remount-ro", "/")  # its root is memory of the host
