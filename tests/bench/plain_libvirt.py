# SPDX-License-Identifier: MIT
"""The baseline: a libvirtd of our own, `virsh create`, a plain bridge and one plain dnsmasq; as a careful person would do it by hand.

libvirtd lives in mount and pid namespaces (bwrap) in the place's network namespace: the host's libvirt is neither used nor seen,
and everything ends with the bwrap process.
"""

from __future__ import annotations

import time
from pathlib import Path

from labvirt.demo.place import Place
from labvirt.errors import HostNotReady
from labvirt.system import files, process
from tests.bench.ground import must

BRIDGE = "plain0"
NETWORK = "10.78.0"

# libvirt insists that this user exists, even if another is configured; Debian makes it with libvirt-daemon-system.
USER = "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin\n"
GROUPS = "libvirt-qemu:x:64055:\nkvm:x:64056:\n"

FOLDERS = {
    "etc": "/etc/libvirt",
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "cache": "/var/cache/libvirt",
    "log": "/var/log/libvirt",
}

QEMU_CONF = """user = "root"
group = "root"
cgroup_controllers = []
stdio_handler = "file"
"""
LIBVIRTD_CONF = """auth_unix_rw = "none"
unix_sock_group = "root"
"""

DOMAIN = """<domain type="qemu">
  <name>{name}</name>
  <memory unit="MiB">{memory_mib}</memory>
  <vcpu>1</vcpu>
  <os><type arch="x86_64" machine="q35">hvm</type></os>
  <features><acpi/><apic/></features>
  <cpu mode="maximum"/>
  <devices>
    <disk type="file" device="disk">
      <driver name="qemu" type="qcow2"/>
      <source file="{disk}"/>
      <target dev="vda" bus="virtio"/>
    </disk>
    <interface type="bridge"><source bridge="{bridge}"/><model type="virtio"/><rom enabled="no"/></interface>
    <serial type="unix"><source mode="bind" path="{serial}"/></serial>
    <graphics type="vnc"><listen type="socket" socket="{vnc}"/></graphics>
    <video><model type="vga"/></video>
    <rng model="virtio"><backend model="random">/dev/urandom</backend></rng>
    <memballoon model="none"/>
  </devices>
</domain>
"""


class PlainLibvirt:
    """One private libvirtd. Its guests are named by the caller."""

    def __init__(self, place: Place, image: Path, memory_mib: int) -> None:
        self._place = place
        self._image = image
        self._memory_mib = memory_mib
        self._folder = place.folder / "plain"
        self._uri = f"qemu:///system?socket={self._folder}/run/libvirt-sock"

    def start(self) -> None:
        """libvirtd answers. To be called on the main thread: bwrap ends with the thread that started it. Raises HostNotReady."""
        for name in (*FOLDERS, "guests"):
            files.private_folder(self._folder / name)
        for name, text in {
            "etc/qemu.conf": QEMU_CONF,
            "etc/libvirtd.conf": LIBVIRTD_CONF,
            "passwd": Path("/etc/passwd").read_text(encoding="utf-8") + USER,
            "group": Path("/etc/group").read_text(encoding="utf-8") + GROUPS,
        }.items():
            (self._folder / name).write_text(text, encoding="utf-8")
        self._network()
        argv = ["ip", "netns", "exec", self._place.namespace, "bwrap", "--die-with-parent", "--unshare-pid", "--dev-bind", "/", "/"]
        # What libvirtd writes lies in our folder. The tmpfs below make the places for it without touching the host's.
        argv += ["--proc", "/proc", "--tmpfs", "/run", "--tmpfs", "/var/lib", "--tmpfs", "/var/cache", "--tmpfs", "/var/log"]
        for ours, theirs in FOLDERS.items():
            argv += ["--bind", str(self._folder / ours), theirs]
        for name in ("passwd", "group"):
            argv += ["--ro-bind", str(self._folder / name), f"/etc/{name}"]
        argv += ["libvirtd", "--config", "/etc/libvirt/libvirtd.conf"]
        running = process.spawn_detached(argv, log=self._folder / "libvirtd.log")
        deadline = time.monotonic() + 30
        while not process.run(self._virsh("uri"), timeout=20).ok:
            if time.monotonic() > deadline or process.wait_end(running, 0.1):
                last = files.read_tail(self._folder / "libvirtd.log").strip().rpartition("\n")[2]
                raise HostNotReady(f"The private libvirtd did not start: {last}", hint="apt-get install libvirt-daemon bubblewrap")

    def overlay(self, name: str) -> Path:
        """A new overlay, as qemu-img makes it."""
        disk = self._new_disk(name)
        must(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(self._image), "-F", "qcow2", str(disk)])
        return disk

    def copy(self, name: str) -> Path:
        """A full copy of the image's file."""
        disk = self._new_disk(name)
        must(["cp", str(self._image), str(disk)])
        return disk

    def create(self, name: str, disk: Path) -> Path:
        """The guest runs; the path of its serial line."""
        folder = disk.parent
        definition = folder / "domain.xml"
        definition.write_text(
            DOMAIN.format(
                name=name, memory_mib=self._memory_mib, disk=disk, bridge=BRIDGE, serial=folder / "serial.sock", vnc=folder / "vnc.sock"
            ),
            encoding="utf-8",
        )
        must(self._virsh("create", str(definition)), timeout=600)
        return folder / "serial.sock"

    def destroy(self, name: str) -> None:
        """The guest and its disk are gone."""
        must(self._virsh("destroy", name), timeout=600)
        files.remove_tree(self._folder / "guests" / name)

    def _new_disk(self, name: str) -> Path:
        return files.private_folder(self._folder / "guests" / name) / "disk.qcow2"

    def _virsh(self, *words: str) -> list[str]:
        return ["virsh", "--quiet", "--connect", self._uri, *words]

    def _network(self) -> None:
        namespace = self._place.namespace
        must(["ip", "-n", namespace, "link", "add", BRIDGE, "type", "bridge"])
        must(["ip", "-n", namespace, "address", "add", f"{NETWORK}.1/24", "dev", BRIDGE])
        must(["ip", "-n", namespace, "link", "set", BRIDGE, "up"])
        argv = ["ip", "netns", "exec", namespace, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--no-ping"]
        argv += [f"--interface={BRIDGE}", "--bind-interfaces", f"--dhcp-range={NETWORK}.10,{NETWORK}.250,1h", "--user=root"]
        argv += [f"--dhcp-leasefile={self._folder / 'leases'}", "--pid-file="]
        process.spawn_detached(argv, log=self._folder / "dnsmasq.log")
