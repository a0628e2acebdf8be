# SPDX-License-Identifier: MIT
"""Further QEMU arguments: what is allowed, and that nothing that is allowed names a file, a socket or a program."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labvirt.domain.extra_arguments import DEVICES, GLOBALS, argv_of, check_extra, values_of
from labvirt.errors import InvalidInput

GOOD = (
    "device=usb-kbd",
    "device=qemu-xhci,id=more,p2=8,p3=8",
    "device=usb-hub,bus=more.0,ports=4",
    "device=virtio-balloon-pci,deflate-on-oom=on",
    "device=intel-iommu,intremap=on,caching-mode=on",
    "cpu=host",
    "cpu=Skylake-Client-v3,+vmx,-hle,hv_vendor_id=none,migratable=off",
    "global=kvm-pit.lost_tick_policy=delay",
    "global=ICH9-LPC.disable_s3=0",
    "rtc=clock=vm,driftfix=slew",
)
BAD = (
    "",
    "device",
    "device=",
    "device=usb-kbd,help",
    "device=usb-kbd,pcap=x",  # USB devices write what they hear into this file
    "device=qemu-xhci,romfile=x",  # PCI devices read this file
    "device=usb-storage,drive=drive0-0",
    "device=vfio-pci,host=00:01.0",
    "device=virtserialport,chardev=qmp",
    "device=usb-kbd\n-monitor",
    "device=usb-kbd,id=a b",
    "device=usb-kbd,id=a=b",
    "device=usb-kbd,,id=x",
    "device=usb-kbd,id=../x",
    'device={"driver":"usb-kbd"}',
    "global=driver.filename=x",
    "global=virtio-net-pci.romfile=x",
    "global=virtio-blk-pci.werror=ignore",
    "global=virtio-blk-pci.share-rw=on",
    "global=usb-kbd.pcap=x",
    "global=rng-random.filename=x",
    "global=VGA.xres",
    "global=VGA.xres=1,yres=2",
    "cpu=help",
    "cpu=?",
    "cpu=max,help",
    "cpu=max,",
    "cpu=max,x=/etc/passwd",
    "rtc=base=localtime",
    "rtc=clock=host,clock=vm,driftfix=slew",
    "drive=file=/etc/passwd",
    "chardev=socket,id=x,path=x",
    "monitor=stdio",
    "sandbox=off",
    "-device=usb-kbd",
    "readconfig=x",
    "object=memory-backend-file,id=x,mem-path=x",
)


@pytest.mark.parametrize("argument", GOOD)
def test_allowed(argument: str) -> None:
    check_extra((argument,))
    option, value = argv_of((argument,))
    assert f"{option[1:]}={value}" == argument
    assert values_of((argument,), option[1:]) == (value,)


@pytest.mark.parametrize("argument", BAD)
def test_refused_with_a_hint(argument: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_extra((GOOD[0], argument))
    assert refused.value.hint
    check_extra((GOOD[0],))


def test_what_can_be_there_once_is_there_once() -> None:
    check_extra(("cpu=host", "rtc=clock=vm", "device=usb-kbd", "device=usb-kbd"))
    for option in ("cpu=max", "rtc=driftfix=slew"):
        with pytest.raises(InvalidInput, match="twice"):
            check_extra(("cpu=host", "rtc=clock=vm", option))


def test_sixteen_are_enough() -> None:
    check_extra(("device=usb-kbd",) * 16)
    with pytest.raises(InvalidInput):
        check_extra(("device=usb-kbd",) * 17)


WORDS = st.sampled_from(
    (
        *(*DEVICES, *GLOBALS, "device=", "cpu=", "global=", "rtc=", "max", "id", "=", ",", ".", "romfile", "pcap", "drive", "chardev"),
        *(
            "filename",
            "file:",
            "/",
            "..",
            "unix:",
            "fd=3",
            "help",
            "\n",
            "\0",
            " ",
            "json:{",
            "on",
            "1",
            "clock=host",
            "+",
            "-",
            "é",
            "\u0661",
        ),
    )
)


@given(st.lists(WORDS, max_size=8).map("".join) | st.text(max_size=60))
@example("device=usb-kbd,serial=\n")
@example("cpu=max\n")
@example("rtc=clock=host\n")
@example("global=VGA.xres=1\n")
def test_nothing_that_is_allowed_can_name_anything_of_the_host(argument: str) -> None:
    try:
        check_extra((argument,))
    except InvalidInput:
        return
    option, value = argv_of((argument,))
    assert option in ("-device", "-cpu", "-global", "-rtc")
    assert value.isascii()
    assert value.isprintable()
    assert not set("/ {}\\'\"") & set(value)
    for name in ("romfile", "pcap", "drive", "chardev", "netdev", "filename", "audiodev", "memdev", "werror", "rerror", "share-rw"):
        assert f",{name}=" not in value or option == "-cpu"
        assert f".{name}=" not in value or option == "-cpu"
