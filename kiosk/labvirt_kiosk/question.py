# SPDX-License-Identifier: MIT
"""The one door to the controller: HTTP with bounded time and size, no redirects, no proxy from the environment.

Every way to fail becomes a NoAnswer (nobody, or not now) or a BadAnswer (somebody, but no LabVirt controller).
What the answers mean is read in answer.py and ticket.py.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from labvirt_kiosk import __version__
from labvirt_kiosk import answer as answers
from labvirt_kiosk import order as orders
from labvirt_kiosk import ticket as tickets
from labvirt_kiosk.sentence import clean
from labvirt_kiosk.trouble import BadAnswer, NoAnswer, NotYet, Refused

LARGEST_BODY = 64 * 1024
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
"""How long the controller may think beyond the `wait` it was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What came back on the config question. `answer` is None for 304: nothing changed."""

    answer: answers.Answer | None
    etag: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Response:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Controller:
    """The controller at `url`, asked for the terminal whose id `identify` returns (None: the source address)."""

    def __init__(self, url: str, identify: Callable[[], str | None], *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.url = url
        self._parts = urlsplit(url)
        self._identify = identify
        self._answer_seconds = answer_seconds

    def config(self, *, wait: int, etag: str | None) -> Reply:
        """The answer of now (`wait` 0) or the next one that differs from `etag`, held at most `wait` seconds."""
        response = self._get("json", wait, etag)
        if response.status == 304:
            return Reply(answer=None, etag=etag)
        return Reply(answer=answers.parse(response.body), etag=_etag(response.headers))

    def connection_file(self, file_format: str) -> str:
        """The `vv` or `rdp` file of the guest; holds no secret. Raises NotYet if the guest is not ready any more."""
        response = self._get(file_format, 0, None)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/plain":  # the protocol's way to say: not ready any more
            raise NotYet("The guest is just being changed, asking again", retry_seconds=1)
        try:
            return response.body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadAnswer(f"the controller's {file_format} file is not text") from error

    def ticket(self) -> tickets.Ticket:
        """A new secret for the guest; makes the one before worthless."""
        response = self._post("/terminals/ticket", {"format": "json"})
        if response.status == 200:
            return tickets.parse(response.body)
        retry_seconds = _retry_seconds(response)
        match response.status:
            case 403:
                raise Refused(
                    "The controller gives the ticket only to the address it leased to this terminal, "
                    "and we ask from another one; restart the terminal or tell your administrator"
                )
            case 404:
                raise NotYet("The controller does not know this terminal any more", retry_seconds=retry_seconds)
            case 409:
                said = _said(response)
                if said and retry_seconds is None:  # waiting does not mend it
                    raise Refused(f"{said}; tell your administrator")
                raise NotYet(said or "The guest is not ready for a viewer yet", retry_seconds=retry_seconds or 1)
            case 429:
                raise NotYet("This terminal asked for a ticket too often", retry_seconds=retry_seconds or 5)
        raise _unexpected(response)

    def heartbeat(self, fields: Mapping[str, str], seconds: float = CONNECT_SECONDS) -> orders.Order | None:
        """Tell the controller how the viewer is; what it orders, if anything."""
        response = self._post("/terminals/heartbeat", {"kiosk": __version__, **fields}, seconds=seconds)
        if response.status not in (200, 204):
            raise BadAnswer(f"the controller does not take the heartbeat (HTTP {response.status})")
        return orders.parse(response.body) if response.status == 200 else None

    def hardware(self, fields: Mapping[str, str]) -> None:
        """Tell the controller what machine this is."""
        response = self._post("/terminals/hardware", fields)
        if response.status != 204:
            raise _unexpected(response)

    def _get(self, answer_format: str, wait: int, etag: str | None) -> _Response:
        query = urlencode({**self._id(), "format": answer_format, "wait": str(wait)})
        headers = {"If-None-Match": etag} if etag else {}
        response = self._exchange("GET", f"/terminals/config?{query}", headers, None, wait + self._answer_seconds)
        if response.status == 200 or (response.status == 304 and etag):
            return response
        raise _unexpected(response)

    def _post(self, path: str, fields: Mapping[str, str], seconds: float | None = None) -> _Response:
        body = urlencode({**self._id(), **fields}).encode("ascii")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._exchange("POST", path, headers, body, seconds or self._answer_seconds)

    def _id(self) -> dict[str, str]:
        terminal_id = self._identify()
        return {"id": terminal_id} if terminal_id else {}

    def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, seconds: float) -> _Response:
        connection = self._connection()
        cut = threading.Event()
        try:
            connection.connect()
            line = connection.sock
            line.settimeout(seconds + CONNECT_SECONDS)  # the timer below is the one that counts

            def cut_the_line() -> None:  # a socket's timeout counts from byte to byte: a trickle would hold us for ever
                cut.set()
                with contextlib.suppress(OSError):  # it was over just now
                    line.shutdown(socket.SHUT_RDWR)

            timer = threading.Timer(seconds, cut_the_line)
            timer.daemon = True
            timer.start()
            try:
                sent = {"User-Agent": f"labvirt-kiosk/{__version__}", "Connection": "close", **headers}
                connection.request(method, self._parts.path.rstrip("/") + path, body, sent)
                response = connection.getresponse()
                read = response.read(LARGEST_BODY + 1)
            finally:
                timer.cancel()
        except OSError as error:
            reason = f"nothing came within {seconds:.0f} s" if cut.is_set() else _reason(error)
            raise NoAnswer(reason) from error
        except (http.client.HTTPException, ValueError) as error:
            if cut.is_set():
                raise NoAnswer(f"it did not finish its answer within {seconds:.0f} s") from error
            raise BadAnswer("what answers there is not a web server of LabVirt; check the address") from error
        finally:
            connection.close()
        if cut.is_set():
            raise NoAnswer(f"it did not finish its answer within {seconds:.0f} s")
        return _whole(response, read)

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS)
        return http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)


def _whole(response: http.client.HTTPResponse, body: bytes) -> _Response:
    """The response, if all of it came and it is not too large."""
    headers = {name.lower(): value for name, value in response.getheaders()}
    if len(body) > LARGEST_BODY:
        raise BadAnswer(f"an answer of more than {LARGEST_BODY // 1024} KiB came; check the controller's address")
    promised = headers.get("content-length", "")
    if promised.isascii() and promised.isdigit() and len(body) < int(promised[:9]) and response.status != 304:
        raise BadAnswer("only a part of the answer came")
    return _Response(status=response.status, headers=headers, body=body)


def _said(response: _Response) -> str:
    """The sentence of a refusal without its full stop; empty when there is none."""
    try:
        told = json.loads(response.body)["message"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""
    return clean(told, 200).rstrip(".") if isinstance(told, str) else ""


def _unexpected(response: _Response) -> Exception:
    status = response.status
    if status >= 500:
        return NoAnswer(f"it says that it cannot answer now (HTTP {status})", retry_seconds=_retry_seconds(response))
    if 300 <= status < 400:
        target = clean(response.headers.get("location", "nowhere"), 80)
        return BadAnswer(f"it redirects to {target}; redirects are not followed, give the final address instead")
    if status == 400:
        return BadAnswer(f"it does not accept the question: {clean(response.body.decode('utf-8', 'replace'), 120)}")
    return BadAnswer(f"it answers with HTTP {status}; check the controller's address")


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "nobody answers at this address"
    if isinstance(error, socket.gaierror):
        return "its name is not known to the DNS"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it closed the connection without an answer"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: the machine is there, the controller is not running"
    return clean(error.strerror or str(error), 80).lower()


def _etag(headers: Mapping[str, str]) -> str | None:
    etag = headers.get("etag", "")
    return etag if 0 < len(etag) <= 256 and etag.isascii() and etag.isprintable() else None


def _retry_seconds(response: _Response) -> float | None:
    """What the header Retry-After or the field `retry_seconds` of a refusal says."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 6:
        return float(text)
    try:
        told = json.loads(response.body)["retry_seconds"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None  # refusals need not tell
    return float(told) if isinstance(told, int | float) and 0 <= told <= 86400 else None
