# SPDX-License-Identifier: MIT
"""The buttons at the bottom: language, keyboard, volume, restart, power off. Only what works on this terminal is there."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable

from labvirt_kiosk import command, face_button, keyboard, power, volume
from labvirt_kiosk import face_style as style
from labvirt_kiosk.catalogue import LANGUAGES, Catalogue
from labvirt_kiosk.choices import ChoiceStore
from labvirt_kiosk.face_panel import Option, Panel
from labvirt_kiosk.face_style import Style


class Bar:
    """Made anew at each change of language; `hidden` while a viewer runs."""

    def __init__(
        self,
        root: tk.Misc,
        sizes: Style,
        choices: ChoiceStore,
        *,
        power_allowed: bool,
        on_language: Callable[[str], None],
        run: Callable[[list[str]], None] = command.run,
    ) -> None:
        self._root = root
        self._sizes = sizes
        self._choices = choices
        self._power_allowed = power_allowed
        self._on_language = on_language
        self._run = run
        self._words = Catalogue("en")
        self.frame = tk.Frame(root, background=style.GROUND, name="bar")
        self.buttons: list[tk.Button] = []
        self.panel: Panel | None = None

    def build(self, words: Catalogue) -> None:
        """The buttons in the language of `words`; the one that had the focus has it again."""
        self._words = words
        focused = self._focused()
        for button in self.buttons:
            button.destroy()
        self.buttons = []
        self._add("language", LANGUAGES[words.language], self._ask_language)
        if keyboard.command("us"):
            self._add("keyboard", words.say("Keyboard"), self._ask_keyboard)
        if volume.command(louder=True):
            self._add("quieter", words.say("Quieter"), lambda: self._volume(louder=False))
            self._add("louder", words.say("Louder"), lambda: self._volume(louder=True))
        if self._power_allowed and power.command("reboot"):
            self._add("restart", words.say("Restart"), lambda: self._ask_power("reboot"))
            self._add("poweroff", words.say("Switch off"), lambda: self._ask_power("poweroff"))
        self._flow()
        self.focus(focused)

    def show(self, shown: bool) -> None:
        """A hidden bar takes no key and has no panel."""
        if shown and not self.frame.winfo_manager():
            self.frame.place(relx=0.06, rely=0.96, anchor="sw")
            self.focus("")
        elif not shown and self.frame.winfo_manager():
            if self.panel is not None:
                self.panel.close()
            self.frame.place_forget()

    def focus(self, name: str) -> None:
        """The button of that name, else the first, has the focus."""
        named = [button for button in self.buttons if button.winfo_name() == name] or self.buttons
        named[0].focus_set()

    def _focused(self) -> str:
        widget = self._root.focus_get()
        return widget.winfo_name() if widget in self.buttons else ""

    def _add(self, name: str, text: str, act: Callable[[], None]) -> None:
        self.buttons.append(face_button.make(self.frame, self._sizes, text, act, name=name))

    def _flow(self) -> None:
        """As many in a row as the screen has room for."""
        room, row, column, used = round(self._sizes.width * 0.88), 0, 0, 0
        gap = self._sizes.px(4)
        rows: list[tk.Frame] = []
        for button in self.buttons:
            wide = button.winfo_reqwidth() + 2 * gap
            if used + wide > room:
                row, column, used = row + 1, 0, 0
            if row == len(rows):
                rows.append(tk.Frame(self.frame, background=style.GROUND))
            button.pack(in_=rows[row], side="left", padx=(0, 2 * gap), pady=gap)
            button.lift()
            column, used = column + 1, used + wide
        for child in self.frame.winfo_children():
            if isinstance(child, tk.Frame):
                child.pack_forget() if child not in rows else child.pack(anchor="w")
                if child not in rows:
                    child.destroy()

    def _open(self, name: str, title: str, options: list[Option], chosen: str) -> None:
        for button in self.buttons:
            button.configure(takefocus=False)

        def closed() -> None:
            self.panel = None
            for button in self.buttons:
                button.configure(takefocus=True)
            self.focus(name)

        self.panel = Panel(self._root, self._sizes, title, options, chosen, closed)

    def _ask_language(self) -> None:
        options = [Option(code, name, lambda code=code: self._on_language(code)) for code, name in LANGUAGES.items()]
        self._open("language", self._words.say("Language"), options, self._words.language)

    def _ask_keyboard(self) -> None:
        options = [Option(code, name, lambda code=code: self._keyboard(code)) for code, (name, _) in keyboard.LAYOUTS.items()]
        self._open("keyboard", self._words.say("Keyboard"), options, self._choices.load().keyboard)

    def _ask_power(self, verb: str) -> None:
        restart = verb == "reboot"
        title = self._words.say("Restart this terminal?") if restart else self._words.say("Switch this terminal off?")
        act = self._words.say("Restart") if restart else self._words.say("Switch off")
        options = [Option("cancel", self._words.say("Cancel"), lambda: None), Option(verb, act, lambda: self._do(power.leave(verb)))]
        self._open("restart" if restart else "poweroff", title, options, "cancel")

    def _keyboard(self, code: str) -> None:
        self._choices.change(keyboard=code)
        self._do(keyboard.command(code))

    def _volume(self, *, louder: bool) -> None:
        self._do(volume.command(louder))

    def _do(self, argv: list[str] | None) -> None:
        if argv is not None:
            self._run(argv)
