# SPDX-License-Identifier: MIT
"""The files for Windows: well-formed, and of one mind. Windows itself is not here to judge them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "images" / "windows"
ANSWERS = sorted(FOLDER.glob("autounattend-*.xml"))
U = "{urn:schemas-microsoft-com:unattend}"
WCM = "{http://schemas.microsoft.com/WMIConfig/2002/State}"


def answers(file: Path) -> ElementTree.Element:
    return ElementTree.parse(file).getroot()  # noqa: S314 - our own files


def test_there_is_a_file_for_each_windows() -> None:
    assert [file.name for file in ANSWERS] == ["autounattend-10.xml", "autounattend-11.xml"]


@pytest.mark.parametrize("file", ANSWERS, ids=lambda file: file.stem)
class TestAnswers:
    def test_passes_and_components(self, file: Path) -> None:
        root = answers(file)
        assert root.tag == f"{U}unattend"
        assert [each.get("pass") for each in root.findall(f"{U}settings")] == ["windowsPE", "specialize", "oobeSystem"]
        for component in root.iter(f"{U}component"):
            assert component.get("processorArchitecture") == "amd64"
            assert component.get("publicKeyToken") == "31bf3856ad364e35"

    def test_windows_goes_to_a_partition_that_is_made(self, file: Path) -> None:
        root = answers(file)
        made = [int(each.findtext(f"{U}Order") or 0) for each in root.iter(f"{U}CreatePartition")]
        assert made == [1, 2, 3]
        (target,) = root.iter(f"{U}InstallTo")
        assert int(target.findtext(f"{U}PartitionID") or 0) == made[-1]

    def test_commands_are_in_order(self, file: Path) -> None:
        for group in answers(file).iter(f"{U}RunSynchronous"):
            commands = list(group)
            assert [int(each.findtext(f"{U}Order") or 0) for each in commands] == list(range(1, len(commands) + 1))
            assert all(each.get(f"{WCM}action") == "add" for each in commands)

    def test_remote_desktop_and_the_machines_password(self, file: Path) -> None:
        text = file.read_text()
        assert "<fDenyTSConnections>false</fDenyTSConnections>" in text
        assert "DisablePasswordChange /t REG_DWORD /d 1" in text
        assert re.findall(r"<Name>(\w+)</Name>", text) == ["labadmin", "student"]

    def test_no_password_but_the_one_to_change(self, file: Path) -> None:
        root = answers(file)
        assert [each.findtext(f"{U}Value") for each in root.iter(f"{U}Password")] == ["CHANGE-ME", "CHANGE-ME"]

    def test_only_windows_11_is_told_about_secure_boot(self, file: Path) -> None:
        assert ("BypassSecureBootCheck" in file.read_text()) is file.stem.endswith("11")


def test_what_was_never_tried_says_so() -> None:
    for file in FOLDER.iterdir():
        assert "never tried" in file.read_text().lower(), file.name
