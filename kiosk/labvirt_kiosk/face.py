# SPDX-License-Identifier: MIT
"""The window that fills the screen while no viewer does: one large sentence, and what helps around it."""

from __future__ import annotations

import tkinter as tk

from labvirt_kiosk import face_style as style
from labvirt_kiosk.face_banner import Banner
from labvirt_kiosk.face_style import Style
from labvirt_kiosk.face_view import View

_TICK_MS = 50


class Face:
    """Paints Views on `root`. Does not read, decide or wait."""

    def __init__(self, root: tk.Tk, width: int | None = None, height: int | None = None) -> None:
        self.root = root
        self.sizes = sizes = Style(root, width or root.winfo_screenwidth(), height or root.winfo_screenheight())
        root.title("LabVirt")
        root.configure(background=style.GROUND, cursor="arrow")
        root.geometry(f"{sizes.width}x{sizes.height}+0+0")
        root.attributes("-fullscreen", True)  # for a window manager; without one the geometry does it
        root.protocol("WM_DELETE_WINDOW", lambda: None)
        left = 0.06
        top = tk.Frame(root, background=style.GROUND)
        top.place(relx=left, rely=0.06, anchor="nw")
        self.seat = self._label(top, 34, bold=True)
        self.lab = self._label(top, 20, colour=style.MUTED)
        self._body = tk.Frame(root, background=style.GROUND)
        self._body.place(relx=left, rely=0.49, anchor="w")
        self.headline = self._label(self._body, 40, bold=True)
        self._track = tk.Canvas(
            self._body, width=sizes.px(420), height=max(3, sizes.px(4)), background=style.LINE, highlightthickness=0, borderwidth=0
        )
        self._runner = self._track.create_rectangle(0, 0, 0, 0, width=0)
        self._track.pack(anchor="w", pady=(sizes.px(22), sizes.px(18)))
        self.countdown = self._label(self._body, 22)
        self.detail = self._label(self._body, 18, colour=style.MUTED)
        self.code = self._label(self._body, 60, bold=True, mono=True, colour=style.ACCENT)
        self.help_code = self._label(self._body, 26, mono=True)
        self.notice = self._label(root, 20)
        self.notice.configure(background=style.CARD, padx=sizes.px(22), pady=sizes.px(14), wraplength=round(sizes.width * 0.44))
        self.corner = self._label(root, 13, colour=style.MUTED)
        self.corner.place(relx=1 - left, rely=0.965, anchor="se")
        self.banner = Banner(root, sizes)
        self._view: View | None = None
        self._phase = 0
        self._animate()

    def show(self, view: View) -> None:
        """The screen shows `view`: before the viewer, or behind it."""
        before, self._view = self._view, view
        if view == before:
            return
        long = len(view.headline) > 70
        self._set(self.headline, view.headline)
        self.headline.configure(font=self.sizes.font(30 if long else 40, bold=True))
        for label, text in (
            (self.seat, view.seat),
            (self.lab, view.lab),
            (self.countdown, view.countdown),
            (self.detail, view.detail),
            (self.code, view.enrolment_code),
            (self.help_code, view.help_code),
        ):
            self._set(label, text)
        self.help_code.configure(foreground=style.TROUBLE if view.trouble else style.MUTED)
        self._track.itemconfigure(self._runner, fill=style.TROUBLE if view.trouble else style.ACCENT)
        self.corner.configure(text=view.corner)
        notice = "" if view.viewing else view.notice
        self.notice.configure(text=notice)
        if notice:
            self.notice.place(relx=0.94, rely=0.06, anchor="ne")
        else:
            self.notice.place_forget()
        if view.viewing:
            self.banner.show(view.notice, view.notice_seconds)
        else:
            self.banner.forget()
        if before is None or before.viewing != view.viewing:
            self._yield_to_viewer() if view.viewing else self._come_back()

    def place_corner(self, bar_height: int) -> None:
        """The corner's line lies above the bar when both together do not fit into one row."""
        self.corner.place(relx=0.94, rely=0.965, y=-bar_height, anchor="se")

    def _yield_to_viewer(self) -> None:
        self.root.attributes("-fullscreen", False)  # window managers keep full-screen windows above others
        self.root.geometry(f"{self.sizes.width}x{self.sizes.height}+0+0")
        # Openbox puts an undecorated window of the screen's size above all others while it has the keyboard; gone for a moment, it has not.
        self.root.withdraw()
        self.root.update_idletasks()
        self.root.deiconify()
        self.root.lower()

    def _come_back(self) -> None:
        self.root.attributes("-fullscreen", True)
        self.root.lift()
        self.root.focus_force()

    def _label(self, parent: tk.Misc, size: int, *, bold: bool = False, mono: bool = False, colour: str = style.TEXT) -> tk.Label:
        return tk.Label(
            parent,
            background=style.GROUND,
            foreground=colour,
            font=self.sizes.font(size, bold=bold, mono=mono),
            justify="left",
            anchor="w",
            wraplength=round(self.sizes.width * 0.86),
        )

    def _set(self, label: tk.Label, text: str) -> None:
        """An empty label takes no room; the order is that of creation."""
        label.configure(text=text)
        if text and not label.winfo_manager():
            later = list(label.master.winfo_children())
            after = [child for child in later[: later.index(label)] if child.winfo_manager()]
            room = (self.sizes.px(12) if label is self.help_code else 0, self.sizes.px(8))
            label.pack(anchor="w", pady=room, **({"after": after[-1]} if after else {}))
            if not after and (first := [child for child in later if child.winfo_manager() and child is not label]):
                label.pack_configure(before=first[0])
        elif not text and label.winfo_manager():
            label.pack_forget()

    def _animate(self) -> None:
        self.step()
        moving = self._view is not None and not self._view.viewing
        self.root.after(_TICK_MS if moving else 500, self._animate)

    def step(self) -> None:
        """The activity line one step on."""
        view = self._view
        wide, high = int(self._track["width"]), int(self._track["height"])
        if view is not None and not view.viewing:
            part = wide // 4
            if view.busy:
                self._phase = (self._phase + wide // 60) % (wide + part)
                left = self._phase - part
            else:
                left = 0
            self._track.coords(self._runner, left, 0, left + part, high)
