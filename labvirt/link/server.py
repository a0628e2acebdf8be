# SPDX-License-Identifier: MIT
"""Answers on the engine's Unix socket: one thread per connection, bounded, with deadlines. Only the engine's user and root get in."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labvirt.contracts.engine import EngineLink
from labvirt.errors import EngineAway, HostNotReady, InvalidInput, LabVirtError, NotAllowed, TooManyRequests
from labvirt.link.codec import pack, pack_error, unpack
from labvirt.link.verbs import VERBS, Verb
from labvirt.link.wire import Wire
from labvirt.system.sockets import Peer, connect_unix, listen_unix, peer_of

log = logging.getLogger(__name__)

CONNECTIONS = 128
QUESTION_SECONDS = 10.0
"""A question must be complete by then."""
SEND_SECONDS = 5.0
"""Who does not take an answer for so long is dropped."""
ALIVE_SECONDS = 10.0
PART_BYTES = 512 * 1024


class EngineServer:
    """`open` binds, `close` unbinds. The caller holds the engine's flock: whatever socket file lies there belongs to a dead engine."""

    def __init__(self, engine: EngineLink, path: Path, peer: Callable[[socket.socket], Peer] = peer_of) -> None:
        self._engine = engine
        self._path = path
        self._peer = peer
        self._listener: socket.socket | None = None
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        self._lock = threading.Lock()
        self._wires: set[Wire] = set()

    def open(self) -> None:
        """Questions are answered from now. Raises HostNotReady when the socket cannot be made or somebody living answers there."""
        try:
            connect_unix(self._path, timeout=1.0).close()
        except OSError:
            pass  # nobody: a left-over file is replaced
        else:
            raise HostNotReady(f"Another engine answers on {self._path}.", hint="Stop the other labvirt serve, or use another --state.")
        try:
            self._listener = listen_unix(self._path, mode=0o600)
        except OSError as error:
            raise HostNotReady(
                f"The engine's socket {self._path} cannot be made: {error.strerror}.", hint="Look at the rights of the state folder."
            ) from error
        threading.Thread(target=self._accept, args=(self._listener,), name="link-accept", daemon=True).start()

    def close(self) -> None:
        """Nobody is answered any more; the socket file is gone."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self._path.unlink(missing_ok=True)
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        with self._lock:
            wires = tuple(self._wires)
        for wire in wires:
            try:
                wire.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is gone already

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                if self._listener is None:
                    return
                log.exception("a connection could not be accepted")
                threading.Event().wait(0.1)  # EMFILE: others must let go first
                continue
            wire = Wire(connection)
            if not self._places.acquire(blocking=False):
                self._farewell(wire, TooManyRequests("The engine", 1))
                wire.close()
                continue
            with self._lock:
                self._wires.add(wire)
            threading.Thread(target=self._serve, args=(wire,), name="link", daemon=True).start()

    def _serve(self, wire: Wire) -> None:
        try:
            self._conversation(wire)
        except OSError as error:
            log.debug("a connection ended: %s", error)
        finally:
            with self._lock:
                self._wires.discard(wire)
            wire.close()
            self._places.release()

    def _conversation(self, wire: Wire) -> None:
        peer = self._peer(wire.connection)
        if peer.uid not in (0, os.geteuid()):
            log.warning("refused: user %d (pid %d) on the engine's socket", peer.uid, peer.pid)
            self._farewell(wire, NotAllowed("Only the user of the engine and root may speak to it."))
            return
        while True:
            try:
                question = wire.receive(QUESTION_SECONDS)
                if question is None:
                    return
                verb, arguments = self._understand(question)
            except InvalidInput as error:
                self._farewell(wire, error)
                return
            try:
                if not self._answer(wire, verb, arguments):
                    return
            except LabVirtError as error:
                wire.send({"error": pack_error(error)}, SEND_SECONDS)

    @staticmethod
    def _understand(question: dict[str, Any]) -> tuple[str, list[Any]]:
        name, given = question.get("verb"), question.get("arguments", [])
        verb = VERBS.get(name) if isinstance(name, str) else None
        if not isinstance(name, str) or verb is None or question.keys() - {"verb", "arguments"}:
            raise InvalidInput("verb", "is not one of the engine's")
        if not isinstance(given, list) or len(given) != len(verb.takes):
            raise InvalidInput("arguments", f"must be {len(verb.takes)}")
        return name, [unpack(kind, value, "arguments") for kind, value in zip(verb.takes, given, strict=True)]

    def _answer(self, wire: Wire, name: str, arguments: list[Any]) -> bool:
        """True when another question may follow."""
        verb: Verb = VERBS[name]
        if verb.stream:
            self._stream(wire)
            return False
        answer = getattr(self._engine, name)(*arguments)
        if verb.descriptor:
            try:
                wire.send({"answer": None}, SEND_SECONDS, answer)
            finally:
                os.close(answer)
            return True
        if verb.gives is bytes:
            for start in range(0, len(answer), PART_BYTES):
                wire.send({"part": pack(answer[start : start + PART_BYTES])}, SEND_SECONDS)
            answer = None
        wire.send({"answer": pack(answer)}, SEND_SECONDS)
        return True

    def _stream(self, wire: Wire) -> None:
        """Changes and signs of life, until one side goes. A slow watcher is dropped; the engine never waits for it."""
        stream = self._engine.watch()
        sending = threading.Lock()
        ended = threading.Event()

        def listen() -> None:
            """Notices that the watcher has gone, and says now and then that we have not."""
            while not ended.wait(ALIVE_SECONDS):
                try:
                    with sending:
                        wire.send({"alive": True}, SEND_SECONDS)
                except OSError:
                    break
            close = getattr(stream, "close", None)
            if close is not None and not ended.is_set():
                close()

        threading.Thread(target=listen, name="link-alive", daemon=True).start()
        try:
            for change in stream:
                with sending:
                    wire.send({"item": pack(change)}, SEND_SECONDS)
        except EngineAway as error:
            with sending:
                wire.send({"error": pack_error(error)}, SEND_SECONDS)
        finally:
            ended.set()

    def _farewell(self, wire: Wire, error: LabVirtError) -> None:
        try:
            wire.send({"error": pack_error(error)}, SEND_SECONDS)
        except OSError as problem:
            log.debug("nobody heard %r: %s", str(error), problem)
