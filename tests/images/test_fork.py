# SPDX-License-Identifier: MIT
"""What an instant clone renews inside (images/fork/labvirt-fork), run here: the machine's files are a folder, and what would change this
computer is a stub. In real guests: tests/contracts/test_qemu_forks.py, `make desktop-forks`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
from labvirt_recipe.content import FORK
from tiny_recipe import net_event, reseed
from tiny_recipe.net_event import net_event_program
from tiny_recipe.reseed import reseed_program

from labvirt.domain.guest import RunId
from labvirt.domain.seat_note import SEAT_NOTE_LENGTH, seat_note

OWN = uuid.UUID("6c616276-6972-4747-8e57-000000000007")
STUBS = {
    "labvirt-reseed": '[ ! -e "$STUBS/broken" ] || exit 1; cat >"$STUBS/fed"; echo reseed >>"$STUBS/said"',
    "mount": 'echo "mount $*" >>"$STUBS/said"',
    "systemctl": 'echo "systemctl $*" >>"$STUBS/said"',
    "udevadm": 'echo "udevadm $*" >>"$STUBS/said"',
    "ss": """echo 'u_str LISTEN users:(("xrdp",pid='$$',fd=3))'""",
    "pidof": "exit 1",
    "ssh-keygen": 'echo "ssh-keygen $*" >>"$STUBS/said"',
    # Time passes when somebody sleeps, and by so much more (hundredths of a second) as `late` says.
    "date": 'echo "date $2" >>"$STUBS/said"; echo "$2 $(cat "$STUBS/time")" >>"$STUBS/dated"; exec "$STUBS/pass" 0',
    "sleep": 'exec "$STUBS/pass" "$1"',
    "pass": """read -r time <"$STUBS/time"; read -r late <"$STUBS/late"; sed -i 1d "$STUBS/late"
        time=$(echo "$time $1 ${late:-2}" | awk '{ printf "%d", $1 + 100 * $2 + $3 }')
        echo $time >"$STUBS/time"; echo $((time / 100)) >"$LABVIRT_RTC"
        echo $time | awk '{ printf "%.2f 0.00\\n", ($1 - 95777) / 100 }' >"$LABVIRT_UPTIME" """,
}


class Machine:
    """A guest's files as the hook sees them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("stubs", "fw/seat", "kernel/random", "etc/ssh", "memory"):
            (folder / name).mkdir(parents=True)
        for name, body in STUBS.items():
            (folder / "stubs" / name).write_text(f"#!/bin/sh\n{body}\n")
            (folder / "stubs" / name).chmod(0o755)
        (folder / "kernel/random/uuid").write_text("11111111-2222-3333-4444-555555555555\n")
        (folder / "kernel/random/boot_id").write_text("the template's\n")
        (folder / "kernel/hostname").write_text("template\n")
        (folder / "etc/machine-id").write_text("0" * 32 + "\n")
        (folder / "rtc").write_text("1000\n")
        (folder / "uptime").write_text("42.58 0.00\n")
        (folder / "stubs/time").write_text("100035\n")
        (folder / "stubs/late").touch()
        (folder / "hwrng").write_bytes(b"x" * 4096)
        self.becomes("template", 1)

    def becomes(self, name: str, number: int) -> None:
        """QEMU gives it this number, and the host tells it who it is."""
        (self.folder / "vmgenid").write_bytes(bytes(40) + bytes([number]) * 16 + bytes(100))
        (self.folder / "fw/seat/raw").write_text(seat_note(RunId(name, number), name=name, uuid=OWN))

    def wake(self, *words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        there = self.folder
        environment = {
            "PATH": f"{there}/stubs:/usr/bin:/bin",
            "STUBS": f"{there}/stubs",
            "LABVIRT_RUN": f"{there}/run",
            "LABVIRT_FW_CFG": f"{there}/fw",
            "LABVIRT_VMGENID": f"{there}/vmgenid",
            "LABVIRT_KERNEL": f"{there}/kernel",
            "LABVIRT_RTC": f"{there}/rtc",
            "LABVIRT_UPTIME": f"{there}/uptime",
            "LABVIRT_HWRNG": f"{there}/hwrng",
            "LABVIRT_ETC": f"{there}/etc",
            "LABVIRT_MEMORY": f"{there}/memory",
        }
        done = subprocess.run(["sh", FORK, *words], env=environment, capture_output=True, text=True, timeout=60)
        assert code is None or done.returncode == code, done.stderr
        return done

    def said(self) -> list[str]:
        """What the stubs were asked for since the last time."""
        file = self.folder / "stubs/said"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def wrong(self) -> float:
        """So many seconds the clock was wrong when it was set last. The hardware's is half a second late in the mean."""
        told, time = (self.folder / "stubs/dated").read_text().splitlines()[-1].split()
        return abs(int(told[1:]) - int(time) / 100 - 0.5)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text().strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A template that was switched on."""
    made = Machine(tmp_path)
    made.wake()
    return made


def test_a_cold_start_only_remembers_which_machine_this_is(machine: Machine) -> None:
    assert machine.said() == []
    believed = [machine.read(name) for name in ("kernel/hostname", "etc/machine-id", "run/run")]
    assert believed == ["template", "0" * 32, "template.g1"]
    assert machine.wake().stderr == ""
    assert machine.wake("due").stdout == ""
    assert machine.said() == []


def test_a_clone_renews_each_part_once(machine: Machine) -> None:
    machine.becomes("lab-a-07", 2)
    assert machine.wake("due").stdout == "LABVIRT_FORK=due\n"
    assert machine.said() == []
    machine.wake()
    fed = (machine.folder / "stubs/fed").read_bytes()
    assert fed[:512] == b"x" * 512
    assert b"02 " * 15 in fed[512:]
    assert b"name=lab-a-07" in fed[512:]
    assert len(fed) < 1024  # all that labvirt-reseed takes
    assert machine.read("kernel/hostname") == "lab-a-07"
    assert machine.read("etc/machine-id") == OWN.hex
    assert machine.read("run/boot_id") == "11111111-2222-3333-4444-555555555555"
    assert machine.read("run/run") == "lab-a-07.g2"
    said = machine.said()
    assert said[:3] == ["date @1001", "reseed", f"mount --bind {machine.folder}/run/boot_id {machine.folder}/kernel/random/boot_id"]
    # It opens the network after everything that others could recognise it by, and the clock is right in the end.
    assert said.index("udevadm trigger --settle --action=change --subsystem-match=net") > said.index("reseed")
    assert machine.wrong() < 0.3
    assert "ssh-keygen -q -A" not in said
    machine.wake()
    assert machine.wake("due").stdout == ""
    assert machine.said() == []
    machine.becomes("lab-a-08", 3)
    machine.wake()
    assert machine.said()[1] == "reseed"


def test_qemus_number_alone_tells_a_clone(machine: Machine) -> None:
    machine.becomes("template", 2)
    (machine.folder / "fw/seat/raw").unlink()
    machine.wake()
    assert machine.read("etc/machine-id") == "11111111222233334444555555555555"
    assert machine.read("kernel/hostname") == "template"
    assert machine.said()[1] == "reseed"


def test_no_door_is_opened_before_all_is_renewed(machine: Machine) -> None:
    machine.becomes("lab-a-07", 2)
    (machine.folder / "stubs/broken").touch()
    assert machine.wake(code=1).stderr == "labvirt-fork: not renewed: reseed\n"
    assert not [line for line in machine.said() if line.startswith("udevadm")]
    assert machine.read("run/run") == "template.g1"
    assert machine.wake("due").stdout == "LABVIRT_FORK=due\n"
    (machine.folder / "stubs/broken").unlink()
    machine.wake()
    assert [line for line in machine.said() if line.startswith("udevadm")]
    assert machine.read("run/run") == "lab-a-07.g2"


def test_keys_of_sshd_on_the_disk_are_renewed_where_the_image_asks(machine: Machine) -> None:
    key = machine.folder / "etc/ssh/ssh_host_ed25519_key"
    key.write_text("the template's")
    machine.becomes("lab-a-07", 2)
    machine.wake()
    assert key.exists()
    (machine.folder / "etc/labvirt").mkdir()
    (machine.folder / "etc/labvirt/renew-ssh-keys").touch()
    machine.becomes("lab-a-07", 3)
    machine.wake()
    assert not key.exists()
    assert "ssh-keygen -q -A" in machine.said()


def test_a_machine_id_in_memory_is_written_where_it_is(machine: Machine) -> None:
    """systemd mounts it over the disk's, which cannot be written then."""
    there = machine.folder / "memory/machine-id"
    there.write_text("0" * 32 + "\n")
    before = there.stat().st_ino
    machine.becomes("lab-a-07", 2)
    machine.wake()
    assert (there.read_text(), there.stat().st_ino) == (f"{OWN.hex}\n", before)
    assert machine.read("etc/machine-id") == "0" * 32


@pytest.mark.parametrize("note", [b"name=$(reboot) uuid=x run=;`id`", b"\x00\xff=name= name=a/b", b"name=" + b"a" * 400, b"* name=* run=*"])
def test_a_hostile_note_is_only_text(machine: Machine, note: bytes) -> None:
    machine.becomes("lab-a-07", 2)
    (machine.folder / "fw/seat/raw").write_bytes(note)
    machine.wake()
    assert re.fullmatch("[A-Za-z0-9._-]{1,63}", machine.read("kernel/hostname"))
    assert re.fullmatch("[0-9a-f]{32}", machine.read("etc/machine-id"))


def test_without_a_word_of_the_host_there_is_nothing_to_renew(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for name in ("vmgenid", "fw/seat/raw"):
        (tmp_path / name).unlink()
    machine.wake()
    machine.wake()
    assert machine.said() == []


def test_a_clock_that_stands_still_is_told(machine: Machine) -> None:
    (machine.folder / "stubs/sleep").write_text("#!/bin/sh\n")
    machine.becomes("lab-a-07", 2)
    assert machine.wake(code=1).stderr == "labvirt-fork: not renewed: clock\n"
    assert machine.said()[0] == "date @1001"


@pytest.mark.parametrize("late", [(), (0, 90, 0, 0, 0, 0, 250), (0, 20, 20, 20, 20, 20, 20, 20, 20)])
def test_a_clock_on_a_busy_host_is_set_until_it_is_right(machine: Machine, late: tuple[int, ...]) -> None:
    """What stands still in between is seen, and then it is done again."""
    (machine.folder / "stubs/late").write_text("".join(f"{each}\n" for each in late))
    machine.becomes("lab-a-07", 2)
    machine.wake()
    assert machine.wrong() < 0.5


def test_a_clock_that_cannot_be_set_to_a_second_is_told(machine: Machine) -> None:
    (machine.folder / "stubs/late").write_text("150\n" * 100)
    machine.becomes("lab-a-07", 2)
    assert machine.wake(code=1).stderr == "labvirt-fork: not renewed: clock\n"


def test_every_note_has_one_length() -> None:
    notes = [seat_note(RunId(name, 1), name=name, uuid=OWN) for name in ("a", "lab-a-07", "l" * 40 + "-4095")]
    assert {len(note) for note in notes} == {SEAT_NOTE_LENGTH}
    assert notes[0].rstrip() == f"run=a.g1 name=a uuid={OWN}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may credit entropy")
@pytest.mark.parametrize("way", ["labvirt-reseed", "perl"])
def test_the_kernel_is_given_the_bytes_and_begins_anew(tmp_path: Path, way: str) -> None:
    program = tmp_path / "labvirt-reseed"
    program.write_bytes(reseed_program())
    program.chmod(0o755)
    text = FORK.read_text()
    feed = text[text.index("feed() {") : text.index("boot() {")]
    path = f"{tmp_path}:{os.environ['PATH']}" if way == "labvirt-reseed" else os.environ["PATH"]
    for count, bits in ((600, 256), (100, 0), (5000, 256)):
        log = tmp_path / "strace"
        argv = ["strace", "-f", "-o", log, "-e", "trace=ioctl", "sh", "-c", feed + "feed"]
        done = subprocess.run(argv, input=os.urandom(count), env={"PATH": path}, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        calls = [line for line in log.read_text().splitlines() if "RND" in line]
        size = count if way == "perl" else min(count, 1024)
        assert f"RNDADDENTROPY, {{entropy_count={bits}, buf_size={size}," in calls[0]
        assert re.search(r"RNDRESEEDCRNG\) += 0$", calls[1])
    assert shutil.which("perl")


@pytest.mark.parametrize("listing", [reseed.LISTING, net_event.LISTING], ids=["reseed", "net event"])
def test_a_listing_is_what_an_assembler_makes_of_it(tmp_path: Path, listing: str) -> None:
    """GNU as, given the words behind the bytes, writes these bytes."""
    lines = []
    for line in listing.strip().splitlines():
        words, _, comment = line.split(maxsplit=1)[1].partition(";")
        label = re.match(r" (\w+: )", comment)
        lines.append((label[1] if label else "") + words)
    source = ".intel_syntax noprefix\n" + "\n".join(lines).replace("[device]", "[rip+device]") + "\ndevice:\n"
    (tmp_path / "a.s").write_text(source)
    subprocess.run(["as", "a.s", "-o", "a.o"], cwd=tmp_path, check=True)
    subprocess.run(["objcopy", "-O", "binary", "a.o", "a.bin"], cwd=tmp_path, check=True)
    assert (tmp_path / "a.bin").read_bytes().hex() == "".join(line.split()[0] for line in listing.strip().splitlines())


@pytest.mark.parametrize(
    "environment, heard",
    [
        ({"A": "b", "SUBSYSTEM": "net", "INTERFACE": "eth0"}, "eth0 word"),
        ({"SUBSYSTEM": "net", "INTERFACE": "eth1"}, "eth1 word"),
        ({"SUBSYSTEM": "queues", "INTERFACE": "eth0"}, ""),
        ({"SUBSYSTEM": "netx", "INTERFACE": "eth0"}, ""),
        ({"XSUBSYSTEM": "net", "INTERFACE": "SUBSYSTEM=net"}, ""),
        ({}, ""),
    ],
    ids=["eth0", "eth1", "queues", "longer", "elsewhere", "nothing"],
)
def test_a_program_hears_of_network_devices_and_of_nothing_else(tmp_path: Path, environment: dict[str, str], heard: str) -> None:
    for name, content in (("net-event", net_event_program()), ("hear", b'#!/bin/sh\necho "$INTERFACE" "$@"\n')):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o755)
    argv = [tmp_path / "net-event", tmp_path / "hear", "word"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, heard, "")


def test_who_was_ended_while_it_wrote_down_whose_machine_this_is_begins_again(machine: Machine) -> None:
    """Every part was renewed, and the next call has nothing to renew: only when that is written down last."""
    machine.becomes("lab-a-07", 2)
    mark = (machine.folder / "run/machine").read_text()
    machine.wake()
    assert len((machine.folder / "run/machine").read_text()) == len(mark), "nothing may be cut off"
    (machine.folder / "run/machine").write_text(mark)
    assert machine.read("run/run") == "lab-a-07.g2"
    machine.said()
    machine.wake()
    assert "reseed" in machine.said()
