# SPDX-License-Identifier: MIT
"""Pictures of the face in every state, language and size, for people to look at: `make faces ARGS="--folder DIR"`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tkinter
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import screen

screen.kiosk_on_path()

from labvirt_kiosk.catalogue import LANGUAGES  # noqa: E402
from labvirt_kiosk.choices import ChoiceStore  # noqa: E402
from labvirt_kiosk.face_desk import FaceDesk  # noqa: E402

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def main() -> None:
    """Writes STATE-LANGUAGE-WIDTHxHEIGHT.png, and one sheet of all states for each language and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/faces"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    folder = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    if given.one:  # Tk keeps its connection for the life of its process, so each screen gets a process
        language, size, screen_folder, display = given.one.split(",")
        _one_language(screen.Screen(display=display, folder=Path(screen_folder)), language, folder, size)
        return
    for width, height in screen.SIZES:
        with screen.open_screen(width, height) as shown:
            for language in LANGUAGES:
                one = f"{language},{width}x{height},{shown.folder},{shown.display}"
                subprocess.run([sys.executable, __file__, "--folder", folder, "--one", one], check=True)
    print(f"pictures are in {folder}")


def _one_language(shown: screen.Screen, language: str, folder: Path, size: str) -> None:
    from PIL import Image

    root = tkinter.Tk(screenName=shown.display)
    pictures = []
    with tempfile.TemporaryDirectory() as state:
        desk = FaceDesk(root, ChoiceStore(Path(state)), language=language, power_allowed=True)
        for name in [*screen.STATES, "languages", "keyboards", "really"]:
            if desk.bar.panel is not None:
                desk.bar.panel.close()
            desk.show(screen.STATES.get(name, screen.STATES["starting"]), NOON, "10.77.0.107")
            for _ in range(8):
                root.update()
                desk.face.step()
            opened = {"languages": "language", "keyboards": "keyboard", "really": "poweroff"}.get(name)
            for button in desk.bar.buttons:
                if button.winfo_name() == opened:
                    button.invoke()
            root.update()
            root.update_idletasks()
            picture = shown.picture()
            assert picture is not None
            picture.save(folder / f"{name}-{language}-{size}.png", optimize=True)
            pictures.append(picture.convert("RGB"))
    root.destroy()
    width, height = pictures[0].size
    rows = (len(pictures) + 2) // 3
    sheet = Image.new("RGB", (3 * width, rows * height))
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number % 3 * width, number // 3 * height))
    sheet.resize((sheet.width // 2, sheet.height // 2)).save(folder / f"sheet-{language}-{size}.png", optimize=True)


if __name__ == "__main__":
    main()
