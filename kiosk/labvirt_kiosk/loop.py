# SPDX-License-Identifier: MIT
"""The life of a kiosk: ask, show, watch, ask again. Decides when and how long to wait; the other files do the things.

A running viewer is never ended because the controller is away, only because the kiosk itself ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from labvirt_kiosk import connection_file, viewer_command
from labvirt_kiosk.answer import Answer
from labvirt_kiosk.backoff import Backoff
from labvirt_kiosk.desk import Desk
from labvirt_kiosk.heartbeat import Heartbeat
from labvirt_kiosk.last_good import LastGood, LastGoodStore
from labvirt_kiosk.notice_watch import NoticeWatch
from labvirt_kiosk.private_folder import PrivateFolder
from labvirt_kiosk.question import Controller
from labvirt_kiosk.renewal import Renewal
from labvirt_kiosk.status_line import StatusLine
from labvirt_kiosk.ticket import Ticket
from labvirt_kiosk.trouble import BadAnswer, NoAnswer, NotYet, Refused, Trouble
from labvirt_kiosk.viewer import Run, Viewer
from labvirt_kiosk.viewer_command import Program, ViewerCommand
from labvirt_kiosk.viewer_connection import is_connected
from labvirt_kiosk.waiting import Leave, Waiting
from labvirt_kiosk.watch import watch

LONG_POLL_SECONDS = 25
BURST = 10
"""So many changes are taken as fast as they come; a starting guest has about four."""
GOOD_RUN_SECONDS = 5.0
"""A viewer that ran less has failed, whatever its exit code."""


class Loop:
    """Joins the parts; `run` returns when the kiosk was asked to leave."""

    def __init__(
        self,
        *,
        controller: Controller,
        waiting: Waiting,
        status: StatusLine,
        heartbeat: Heartbeat,
        last_good: LastGoodStore,
        folder: PrivateFolder,
        log: Path,
        find_program: Callable[[str], Program],
        backoff: Callable[[], Backoff] = Backoff,
        windowed: bool = False,
        notices: bool = False,
        desk: Desk | None = None,
        reach: Callable[[str], None] = lambda phase: None,
        authority: str = "",
        renewal: Renewal | None = None,
    ) -> None:
        self._controller = controller
        self._waiting = waiting
        self._status = status
        self._heartbeat = heartbeat
        self._last_good = last_good
        self._folder = folder
        self._log = log
        self._find_program = find_program
        self._ask_backoff = backoff()
        self._viewer_backoff = backoff()
        self._windowed = windowed
        self._notices = notices  # somebody shows them over a running viewer
        self._desk = desk
        self._authority = authority  # of displays: the site's that this terminal was built for
        self._renewal = renewal
        self._reach = reach  # phases of this boot: timeline.py
        self._away_since: datetime | None = None
        self._viewer: Viewer | None = None

    def run(self) -> None:
        """Ask and show until Leave. Afterwards no viewer runs and no private file is left."""
        self._heartbeat.start()
        try:
            self._without_viewer()  # a kiosk before this one may have been killed over its viewer
            while True:
                self._round()
        except Leave:
            pass
        finally:
            if self._viewer is not None:
                self._viewer.end()
                self._heartbeat.say("ended")
            self._folder.remove()
            self._heartbeat.stop()
            self._status.show("stopped", "The kiosk program has ended", viewer_pid=None)

    def _round(self) -> None:
        """One question, and one viewer if it can be shown."""
        question = f"Asking {self._controller.url} what this seat shows"
        self._status.show("asking", question, asked_at=self._status.now(), ready_at=None)
        try:
            good = self._good_answer()
            run = self._show(good)
        except NoAnswer as trouble:
            sentence = f"The controller gives no connection now ({trouble})"
            self._retry("away", sentence, self._viewer_backoff.next_seconds(trouble.retry_seconds))
        except Refused as trouble:
            self._retry("refused", str(trouble), self._viewer_backoff.next_seconds(trouble.retry_seconds))
        except (NotYet, BadAnswer) as trouble:
            self._retry("retrying", str(trouble), self._viewer_backoff.next_seconds(trouble.retry_seconds))
        else:
            self._after(good.answer, run)

    def _good_answer(self) -> LastGood:
        """Asks until there is something to show: a ready answer, or the last good one while the controller is away."""
        etag, wait, hurried = None, 0, 0
        retry_seconds: float | None = None
        renew = ""
        while True:
            asked = self._waiting.seconds()
            question = partial(self._controller.config, wait=wait, etag=etag)
            try:
                reply = self._waiting.result_of(question)
            except (NoAnswer, BadAnswer) as trouble:
                kept = self._last_good.load()
                if kept is not None and not kept.answer.needs_ticket:
                    self._note_away(trouble)
                    self._status.note(guest=kept.answer.guest, seat=kept.answer.seat, terminal=kept.answer.terminal)
                    return kept
                self._wait_for_controller(trouble)
                etag, wait = None, 0
                continue
            self._controller_is_back()
            if reply.answer is not None:
                answer = reply.answer
                self._reach("answer")
                self._status.answer(answer)
                self._waiting.result_of(partial(self._heard, answer))
                renew = answer.renew
            if self._renewed(renew):  # before any viewer: who asks from a stranger's address is let to no guest
                etag, wait = None, 0
                continue
            if reply.answer is not None:
                if answer.ready:
                    self._reach("ready")
                    self._status.note(ready_at=self._status.now())
                    return LastGood(answer=answer, file_text=self._file_text(answer))
                self._status.show("unknown" if answer.status == "unknown" else "waiting", answer.sentence)
                retry_seconds = answer.retry_seconds
            if wait and self._waiting.seconds() - asked < 1:
                hurried += 1
                if reply.etag in (None, etag):  # a server that does not hold the question: we keep the rhythm ourselves
                    self._waiting.pause(min(retry_seconds or 2, LONG_POLL_SECONDS))
                elif hurried > BURST:  # a state that flickers must not become a storm of questions
                    self._waiting.pause(1)
            etag = reply.etag
            wait = min(LONG_POLL_SECONDS, max(1, int(retry_seconds or LONG_POLL_SECONDS)))
            if self._renewal is not None and (rest := self._renewal.rest(renew)) is not None:
                wait = min(wait, max(1, int(rest)))

    def _renewed(self, wished: str) -> bool:
        """The lease was asked for anew, if that is due, and this terminal has another address now."""
        if self._renewal is None or self._renewal.rest(wished) != 0.0:
            return False
        return self._waiting.result_of(self._renewal.renew)

    def _show(self, good: LastGood) -> Run:
        """Starts the viewer and waits for its end. Raises Trouble if it cannot be started. However it ends, what only a viewer may use is
        taken back."""
        try:
            return self._show_once(good)
        finally:
            self._without_viewer()

    def _without_viewer(self) -> None:
        if self._desk is not None:
            self._desk.after_viewer()

    def _show_once(self, good: LastGood) -> Run:
        answer = good.answer
        viewer_command.check(answer)
        program = self._waiting.result_of(partial(self._find_program, answer.program))
        self._keep(good)
        self._heartbeat.say("starting")
        away = self._away_since is not None
        name = answer.guest or "the guest"
        self._status.show("connecting", f"Connecting to {name}" + (" as last time" if away else ""))
        if self._desk is not None:
            self._waiting.result_of(partial(self._desk.before_viewer, answer.protocol))  # before the ticket: its time runs
        ticket = self._waiting.result_of(self._controller.ticket) if answer.needs_ticket else None
        if ticket is not None:
            ticket.must_fit(answer)
        forget: threading.Timer | None = None
        notices = NoticeWatch(lambda etag: self._controller.config(wait=0, etag=etag), self._heard_while_viewing)
        try:
            self._viewer = Viewer(self._command(good, program, ticket), self._log)
            self._reach("viewer")
            # the viewer reads its file at once; what it has not read by then is worthless anyway
            forget = threading.Timer(ticket.expires_seconds if ticket else 30.0, self._folder.empty)
            forget.daemon = True
            forget.start()
            self._heartbeat.say("running")
            self._heartbeat.error("")
            self._status.show(
                "viewing",
                f"Showing {name}" + (f" (seat {answer.seat})" if answer.seat is not None else ""),
                viewer_pid=self._viewer.pid,
                viewer_exit=None,
                viewer_starts=self._status.status.viewer_starts + 1,
                viewer_started_at=self._status.now(),
                viewer_connected_at=None,
            )
            if self._notices:
                notices.start()
            run = self._waiting.result_of(
                partial(
                    watch,
                    self._viewer,
                    connected=partial(is_connected, self._viewer.pid, answer.port),
                    on_connected=self._connected,
                    may_end=answer.protocol == "spice",  # RDP viewers end by themselves, and may go through a gateway
                )
            )
        finally:
            notices.stop()
            if forget is not None:
                forget.cancel()
            self._folder.empty()
        self._viewer = None
        self._heartbeat.say("ended", run)
        self._status.note(viewer_pid=None, viewer_exit=run.exit_code)
        return run

    def _heard(self, answer: Answer) -> None:
        """What the controller wishes of this terminal counts, as far as it is harmless now."""
        wishes = answer.wishes
        for backoff in (self._ask_backoff, self._viewer_backoff):
            backoff.longest_seconds = wishes.retry_most_seconds
        if self._desk is not None:
            self._desk.hear(wishes)

    def _heard_while_viewing(self, answer: Answer) -> None:
        self._status.note(notice=answer.notice)
        self._heard(answer)

    def _connected(self) -> None:
        self._reach("connected")
        self._status.note(viewer_connected_at=self._status.now())

    def _after(self, answer: Answer, run: Run) -> None:
        if run.seconds >= GOOD_RUN_SECONDS and (run.connected or answer.protocol != "spice"):
            self._viewer_backoff.reset()
            return
        said = f": {run.last_line}" if run.last_line else ""
        sentence = f"{answer.program} ended after {run.seconds:.1f} s (exit code {run.exit_code}){said}"
        self._retry("retrying", sentence, self._viewer_backoff.next_seconds())

    def _file_text(self, answer: Answer) -> str:
        if answer.file_format is None:
            return ""
        return self._waiting.result_of(partial(self._controller.connection_file, answer.file_format))

    def _command(self, good: LastGood, program: Program, ticket: Ticket | None) -> ViewerCommand:
        file = None
        if good.answer.file_format is not None:
            if good.answer.file_format == "vv":
                text = connection_file.render_vv(good.file_text, ticket, self._authority, usb=good.answer.wishes.usb)
            else:
                text = connection_file.render_rdp(good.file_text, ticket)
            file = self._folder.write(good.answer.file_format, text)
        return viewer_command.render(good.answer, program, ticket, file, windowed=self._windowed)

    def _keep(self, good: LastGood) -> None:
        if self._away_since is None:
            try:
                self._last_good.save(good)
            except OSError as error:  # a read-only terminal still shows its guest today
                self._status.note(last_error=f"The last good answer cannot be kept: {error.strerror}")

    def _wait_for_controller(self, trouble: Trouble) -> None:
        self._note_away(trouble)
        since = self._away_since.strftime("%H:%M") if self._away_since else "just now"
        if isinstance(trouble, NoAnswer):
            sentence = f"The controller {self._controller.url} does not answer since {since} ({trouble})"
        else:
            sentence = f"The controller {self._controller.url} gives no usable answer since {since} ({trouble})"
        self._retry("away", sentence, self._ask_backoff.next_seconds(trouble.retry_seconds))

    def _note_away(self, trouble: Trouble) -> None:
        if self._away_since is None:
            self._away_since = datetime.now().astimezone()
        self._status.note(last_error=str(trouble))

    def _controller_is_back(self) -> None:
        if self._away_since is not None:
            self._away_since = None
            self._ask_backoff.reset()
            self._heartbeat.error("")

    def _retry(self, state: str, sentence: str, seconds: float) -> None:
        """Shows `sentence` and counts down."""
        self._heartbeat.error(sentence)
        self._status.note(last_error=sentence)
        once = f"{sentence}, trying again in {max(1, round(seconds))} s"
        self._status.show(state, once, once=once)
        self._waiting.pause(seconds, lambda left: self._status.show(state, f"{sentence}, trying again in {left} s", once=once))
