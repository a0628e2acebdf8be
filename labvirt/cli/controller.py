# SPDX-License-Identifier: MIT
"""A controller somewhere else: HTTP with a token, over TLS whose authority may be pinned. Every refusal becomes its error again."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import Any

from labvirt import errors as e
from labvirt.errors import HostNotReady, InvalidInput, LabVirtError

PATIENCE_SECONDS = 60.0
LARGEST = 64 << 20
LONGEST_TOKEN = 4096
OFFSET = "Upload-Offset"


class Refused(LabVirtError):
    """What the controller has said, with its own code."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__(str(told.get("detail", "The controller refused.")), hint=str(told.get("hint", "")))
        self.code = str(told.get("code", e.LabVirtError.code))
        for name in ("field", "noun", "name", "by", "guest", "state", "resource", "retry_seconds"):
            if isinstance(told.get(name), str | int):
                setattr(self, name, told[name])


class NotReached(HostNotReady):
    """Nobody answers there, or not as a controller does."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"The controller {url} does not answer: {why}.", hint="Look at the address, the network, and --ca.")


@dataclass(frozen=True, slots=True)
class Controller:
    """`url` without a path, `token` as it is sent, `ca` a file with the only authority that is trusted (None: those of this machine)."""

    url: str
    token: str
    ca: Path | None = None

    @classmethod
    def of(cls, url: str, token_file: Path | None, ca: Path | None) -> Controller:
        """Raises InvalidInput: for an address that is none, for http to another machine (the token would be read on the way), for a
        token that cannot be read."""
        try:
            parts = urllib.parse.urlsplit(url)
            there = parts.hostname or ""
        except ValueError:
            parts, there = urllib.parse.SplitResult("", "", "", "", ""), ""
        if parts.scheme not in ("http", "https") or not there or parts.path not in ("", "/") or parts.query or parts.username:
            raise InvalidInput("controller", "must look like https://HOST:PORT")
        if parts.scheme == "http" and there not in ("localhost", "127.0.0.1", "::1"):
            raise InvalidInput("controller", "must begin with https://: a token is a secret", hint="http is for this machine only.")
        if token_file is None:
            raise InvalidInput("token_file", "is needed with --controller", hint="Write a token into a file of your own: --token-file FILE")
        return cls(f"{parts.scheme}://{parts.netloc}", _token(token_file), ca)

    def ask(
        self, method: str, path: str, told: Any = None, headers: Mapping[str, str] | None = None, *, patience: float = PATIENCE_SECONDS
    ) -> Any:
        """The JSON of its answer, bytes for a picture, None for nothing. Raises Refused, NotReached."""
        body = None if told is None else json.dumps(told).encode()
        said = {"Content-Type": "application/json"} if body is not None else {}
        data, answered = self._answer(method, path, body, {**said, **(headers or {})}, patience)
        return _read(data, answered.get_content_type())

    def send_piece(self, path: str, piece: bytes, offset: int) -> int:
        """A piece of an upload lies behind its first `offset` bytes; how much of it is there now. Raises Refused, NotReached."""
        said = {"Content-Type": "application/offset+octet-stream", OFFSET: str(offset)}
        _, answered = self._answer("PATCH", path, piece, said, PATIENCE_SECONDS)
        try:
            return int(answered[OFFSET])
        except (TypeError, ValueError) as error:
            raise NotReached(self.url, "it does not say how much it has") from error

    def _answer(self, method: str, path: str, body: bytes | None, said: Mapping[str, str], patience: float) -> tuple[bytes, Message]:
        request = urllib.request.Request(self.url + path, body, method=method)  # noqa: S310 - http or https, see `of`
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Accept", "application/json, image/png, application/problem+json")
        for name, value in said.items():
            request.add_header(name, value)
        opener = urllib.request.build_opener(_Straight, urllib.request.HTTPSHandler(context=self._trust()))
        try:
            with opener.open(request, timeout=patience) as answer:
                return answer.read(LARGEST), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error) from error
        except (OSError, HTTPException, ValueError) as error:
            raise NotReached(self.url, str(getattr(error, "reason", error)) or type(error).__name__) from error

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        except (OSError, ssl.SSLError) as error:
            raise InvalidInput("ca", f"{self.ca} holds no certificate that can be read") from error

    def _refusal(self, error: urllib.error.HTTPError) -> LabVirtError:
        try:
            told = json.loads(error.read(LARGEST))
        except (OSError, ValueError):
            told = None
        if isinstance(told, dict) and isinstance(told.get("error"), dict):  # as uploads say it
            told = {**told["error"], "detail": told["error"].get("sentence", "")}
        if not isinstance(told, dict) or "code" not in told:
            return NotReached(self.url, f"it says {error.code}, and not as LabVirt says it")
        return Refused(told)


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows nobody: the token is for this controller."""

    def redirect_request(self, *args: Any) -> None:
        return None


def _read(data: bytes, kind: str) -> Any:
    if not data:
        return None
    return json.loads(data) if kind == "application/json" else data


def _token(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            token = opened.read(LONGEST_TOKEN).decode("ascii").strip()
    except (OSError, ValueError) as error:
        raise InvalidInput("token_file", f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it holds no token'}") from error
    if not token or not token.isprintable() or " " in token:
        raise InvalidInput("token_file", f"{file} holds no token")
    return token
