# SPDX-License-Identifier: MIT
"""What a wrong, broken or hostile controller can send, and what the terminal makes of it."""

from __future__ import annotations

import pytest

HTML = b"<!DOCTYPE html><title>Sign in to the campus network</title>"


def response(body: bytes, head: bytes = b"", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: %d\r\n\r\n" % size + body


@pytest.mark.parametrize(
    "raw, said",
    [
        pytest.param(response(HTML), "a web page came", id="web page"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2p1\r\n", "is not a web server of LabVirt", id="another protocol"),
        pytest.param(response(bytes(range(256))), "is not a LabVirt answer", id="binary"),
        pytest.param(response(b"[" * 60000), "is not a LabVirt answer", id="deep"),
        pytest.param(response(b"[1]"), "is not a LabVirt answer", id="no object"),
        pytest.param(response(b'{"version": 1, "status": "rea', length=300), "only a part", id="half"),
        pytest.param(response(b" " * 70000), "more than 64 KiB", id="huge"),
        pytest.param(response(b'{"version": 2}'), "update the terminal's image", id="newer"),
        pytest.param(response(b'{"version": 1, "status": "dancing"}'), "unknown status 'dancing'", id="status"),
        pytest.param(response(b'{"version": 1, "status": "ready"}'), "does not say where to connect", id="nowhere"),
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
            "redirects to http://elsewhere.example/", id="redirect",
        ),
        pytest.param(b"HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\nno such x", "no such x", id="400"),
        pytest.param(b"HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n", "HTTP 404", id="404"),
        pytest.param(b"", "without an answer", id="nothing"),
    ],
)  # fmt: skip
def test_a_bad_answer_is_said_and_asked_again(controller, raw: bytes, said: str) -> None:
    from labvirt_kiosk.question import Controller
    from labvirt_kiosk.trouble import BadAnswer, NoAnswer

    asking = Controller(controller.url, lambda: "t1")
    assert asking.config(wait=0, etag=None).answer.message == "The guest starts."  # positive control
    controller.raw = raw
    with pytest.raises((BadAnswer, NoAnswer), match=said):
        asking.config(wait=0, etag=None)


@pytest.mark.parametrize("how", ["hang", "trickle"])
def test_an_answer_that_never_ends_is_cut(controller, how: str) -> None:
    from labvirt_kiosk.question import Controller
    from labvirt_kiosk.trouble import NoAnswer

    assert Controller(controller.url, lambda: None).config(wait=0, etag=None).answer is not None
    asking = Controller(controller.url, lambda: None, answer_seconds=0.2)
    setattr(controller, how, True)
    with pytest.raises(NoAnswer, match="within"):
        asking.config(wait=0, etag=None)


def test_the_kiosk_survives_garbage_and_finds_back(controller, start_kiosk, stub) -> None:
    controller.raw = response(HTML)
    kiosk = start_kiosk()
    kiosk.until("away", "gives no usable answer since")
    controller.raw = None
    controller.ready()
    kiosk.until("viewing")


def test_names_cannot_break_the_line(controller, start_kiosk) -> None:
    controller.change(status="starting", message="one\nstate=ready\x1b[2J\u202e" + "x" * 300, guest="g" * 300, lab="$(reboot)`;")
    kiosk = start_kiosk()
    status = kiosk.until("waiting", "one state=ready")
    assert len(status["message"]) == 200
    assert status["message"].isprintable()
    assert len(status["guest"]) == 64
    assert status["lab"] == "$(reboot)`;"  # harmless: no shell ever sees it
    assert "\x1b" not in kiosk.out.read_text()


def test_shell_characters_reach_the_viewer_as_they_are(controller, start_kiosk, stub, tmp_path) -> None:
    hostile = ["--title=$(touch pwned)`touch pwned`;touch pwned|*'\"", "%VV%"]
    controller.ready(arguments=hostile)
    start_kiosk()
    _, record = stub.one()
    assert (record / "argv").read_text().splitlines()[2] == hostile[0]
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize(
    "more, said",
    [
        ({"program": "/bin/sh", "arguments": ["-c", "reboot"]}, "does not run"),
        ({"program": "../remote-viewer"}, "does not run"),
        ({"program": "x" * 300}, "does not run"),
        ({"arguments": ["--gtk-module=/opt/evil.so", "%VV%"]}, "run a program here"),
        ({"arguments": ["spice://10.0.0.1?password=abc"]}, "could show a password"),
        ({"arguments": ["spice://10.0.0.1"]}, "no safe way in"),
        ({"program": "xfreerdp", "arguments": ["/rdp2tcp:/bin/sh"]}, "run a program here"),
        ({"program": "xfreerdp", "arguments": ["/P:abc"]}, "could show a password"),
        ({"program": "xfreerdp", "arguments": ["--args-from:fd:3"]}, "run a program here"),
        ({"program": "rdesktop", "arguments": ["-fpabc"]}, "could show a password"),
        ({"program": "rdesktop", "arguments": ["10.0.0.1"]}, "not installed on this terminal"),
    ],
)
def test_what_the_terminal_refuses(controller, start_kiosk, stub, more, said: str) -> None:
    controller.ready(**more)
    kiosk = start_kiosk(**({"PATH": str(stub.bin)} if "installed" in said else {}))
    kiosk.until("refused", said)
    assert stub.runs() == []
    (controller.answer).update(program="remote-viewer", arguments=["%VV%"])  # positive control
    if "installed" not in said:
        kiosk.until("viewing")


@pytest.mark.parametrize("argument", ["a\nb", "a\x00b", "x" * 1025, 5, "\ud800"])
def test_arguments_that_cannot_be_arguments(argument) -> None:
    from labvirt_kiosk.answer import from_fields
    from labvirt_kiosk.trouble import BadAnswer

    def fields(*arguments: object) -> dict[str, object]:
        return {"version": 1, "status": "ready", "protocol": "spice", "address": "10.0.0.1", "port": 5900,
                "arguments": list(arguments)}  # fmt: skip

    assert from_fields(fields("plain")).arguments == ("plain",)
    with pytest.raises(BadAnswer, match="argument"):
        from_fields(fields(argument))


def test_a_secret_cannot_add_a_line_to_a_file() -> None:
    from labvirt_kiosk import ticket
    from labvirt_kiosk.trouble import BadAnswer

    good = b'{"guest": "g", "address": "10.0.0.1", "port": 1, "secret": "abc", "expires_seconds": 5}'
    assert ticket.parse(good).secret == "abc"
    assert "abc" not in repr(ticket.parse(good))
    with pytest.raises(BadAnswer) as caught:
        ticket.parse(good.replace(b"abc", b"abc\\nproxy=http://evil"))
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize(
    "status, state, said",
    [
        (403, "refused", "only to the address it leased"),
        (404, "retrying", "does not know this terminal"),
        (409, "retrying", "not ready for a viewer"),
        (429, "retrying", "too often"),
        (503, "away", "HTTP 503"),
    ],
)
def test_no_ticket_is_said_and_asked_again(controller, start_kiosk, stub, status, state, said) -> None:
    controller.ready()
    good, controller.ticket = controller.ticket, (status, {"retry_seconds": 1})
    kiosk = start_kiosk()
    kiosk.until(state, said)
    assert stub.runs() == []
    controller.ticket = good
    kiosk.until("viewing")


def test_a_ticket_for_another_guest_makes_it_ask_again(controller, start_kiosk, stub) -> None:
    controller.ready()
    controller.ticket[1]["port"] = 5999
    kiosk = start_kiosk()
    kiosk.until("retrying", "just got another guest")
    assert stub.runs() == []
    controller.ready(port=5999)
    controller.ticket[1]["port"] = 5999
    kiosk.until("viewing")


def test_the_controllers_sentence_is_shown_while_the_agent_is_silent(controller, start_kiosk, stub) -> None:
    controller.ready()
    said = {"code": "agent-silent", "message": "The computer lab1-03 is up, but its agent \x1b[2Jdoes not answer yet.", "retry_seconds": 1}
    good, controller.ticket = controller.ticket, (409, said)
    kiosk = start_kiosk()
    kiosk.until("retrying", "lab1-03 is up, but its agent [2Jdoes not answer yet, trying again")
    assert stub.runs() == []
    controller.ticket = good
    kiosk.until("viewing")


def test_what_waiting_does_not_mend_is_for_the_administrator(controller, start_kiosk, stub) -> None:
    controller.ready()
    said = {"code": "conflict", "message": "The agent of lab1-03 does not set the password of 'student': no such user."}
    good, controller.ticket = controller.ticket, (409, said)
    kiosk = start_kiosk()
    kiosk.until("refused", "'student': no such user; tell your administrator, trying again")
    assert stub.runs() == []
    controller.ticket = good
    kiosk.until("viewing")
