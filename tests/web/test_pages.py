# SPDX-License-Identifier: MIT
"""The first page: what it shows of every state, small pictures of screens, live events, and what happens when the engine is away."""

from __future__ import annotations

import io
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from labvirt.domain.guest import GuestState
from labvirt.domain.lab import DhcpMode
from labvirt.errors import DriverError
from labvirt.usecases import labs
from labvirt.web import app as web_app
from labvirt.web.ui import screens, seats

from .conftest import Site, until
from .lab import LOCAL, TCG, fill, guest, lease, put, screen, terminal_mac


def card(page: str, name: str) -> str:
    """The card of one seat, without its tags."""
    found = next(part for part in page.split('<li class="seat') if f">{name}</a> <span class=" in part)
    return " ".join(re.sub(r"<[^>]*>", " ", found.split("</li>\n")[0]).split())


def run(site: Site, seat: int = 1) -> None:
    put(site.ports, site.engine, guest(seat, GuestState.RUNNING, site.ports.clock.now()))
    until(lambda: site.app.published.change(f"lab-a-{seat:02d}"), "the guest")


def test_page_tells_every_state_in_words(site: Site) -> None:
    fill(site.ports, site.engine, 4)
    until(lambda: len(site.app.published.changes()) == 4, "all guests")
    page = site.browser().get("/").text
    assert "in use for" in card(page, "lab-a-01")
    assert "Viewer 10.77.0.65 for 1 min (display)" in card(page, "lab-a-01")
    assert "Terminal says: viewer runs" in card(page, "lab-a-01")
    assert "10.77.0.129 · lease seen" in card(page, "lab-a-01")
    assert "no lease seen yet" in card(page, "lab-a-02")
    assert "Nobody connected" in card(page, "lab-a-02")
    assert "Waits for: DHCP has not given out its address yet" in card(page, "lab-a-03")
    assert "1st in the queue" in card(page, "lab-a-04")
    for text in (TCG.replace("'", "&#39;"), "lvt00101f", "ip link delete", "/inbox"):
        assert text in page
    assert page.count("data-screen") == 2  # living guests only
    assert page.count("<h1") == 1
    assert "2 terminals are in the inbox" in page


def test_every_state_has_words_and_a_sign() -> None:
    assert set(seats.LOOKS) == set(GuestState)
    assert {tone for tone, _, _ in seats.LOOKS.values()} == set(seats.TONES)
    assert len({words for _, _, words in seats.LOOKS.values()}) == len(GuestState)


def test_every_sign_is_drawn(site: Site) -> None:
    drawn = set(re.findall(r'<symbol id="(\w+)"', site.client().get("/static/signs.svg").text))
    fill(site.ports, site.engine, 4)
    used = set(re.findall(r"signs\.svg#(\w+)", site.browser().get("/").text))
    assert used | {sign for _, sign, _ in seats.LOOKS.values()} | {"display", "flow", "kiosk", "none"} <= drawn


@pytest.mark.parametrize(
    "seconds,words",
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h 00 min"), (86400, "1 day"), (200000, "2 days")],
)
def test_ages(seconds: int, words: str) -> None:
    assert seats.age(seconds) == words


def test_empty_site_says_what_to_do(serve: object) -> None:
    page = serve(seats=0).browser().get("/").text  # type: ignore[operator]
    assert "No lab yet" in page
    assert "labvirt lab add" in page


def test_page_works_while_the_engine_is_away(site: Site) -> None:
    fill(site.ports, site.engine, 4)
    until(lambda: len(site.app.published.changes()) == 4, "all guests")
    browser = site.browser()
    assert "The engine does not answer" not in browser.get("/").text
    site.engine.set_away(True)
    until(lambda: "The engine does not answer" in browser.get("/labs").text, "the banner")
    page = browser.get("/labs").text
    assert "in use for" in card(page, "lab-a-01")
    assert "Who is connected is not known now" in card(page, "lab-a-01")
    assert "lease not known now" in card(page, "lab-a-01")
    assert "data-screen" not in page
    assert browser.get("/guests/lab-a-01/screen.png").status_code in (200, 503)
    told = site.client().get("/terminals/config", params={"id": str(terminal_mac(1)), "wait": "0"}).text
    assert "status=ready" in told  # desktops go on
    site.engine.set_away(False)
    until(lambda: "The engine does not answer" not in browser.get("/labs").text, "the engine again")


def test_small_picture(site: Site) -> None:
    run(site)
    browser = site.browser()
    answer = browser.get("/guests/lab-a-01/screen.png")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, no-cache"
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.size == (480, 360)
    again = browser.get("/guests/lab-a-01/screen.png", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert site.client().get("/guests/lab-a-01/screen.png").status_code == 401


def test_one_picture_for_all_who_ask(site: Site) -> None:
    run(site)
    site.engine.hold_pictures = threading.Event()
    browser = site.browser()
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(browser.get, "/guests/lab-a-01/screen.png") for _ in range(6)]
        until(lambda: site.engine.pictures, "the first")
        site.engine.hold_pictures.set()
        assert {each.result().status_code for each in asked} == {200}
    assert site.engine.pictures == 1


def test_guests_without_a_picture(site: Site) -> None:
    now = site.ports.clock.now()
    put(site.ports, site.engine, guest(1, GuestState.SILENT, now), guest(2, GuestState.STOPPED, now), guest(3, GuestState.RUNNING, now))
    until(lambda: len(site.app.published.changes()) == 3, "all guests")
    browser = site.browser()
    codes = [
        browser.get(f"/guests/{name}/screen.png").status_code for name in ("lab-a-01", "lab-a-02", "lab-a-03", "nobody", "%00", "x" * 300)
    ]
    assert codes == [409, 409, 200, 404, 404, 404]
    assert site.engine.pictures == 1
    assert browser.get("/guests/../../etc/passwd/screen.png").status_code == 404


def test_silent_screens_hold_up_neither_terminals_nor_the_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screens, "PATIENCE_SECONDS", 0.1)
    for seat in range(1, 5):
        run(site, seat)
    site.engine.hold_pictures = threading.Event()
    site.engine.lease_list.append(lease(terminal_mac(1), LOCAL, now=site.ports.clock.now()))
    browser = site.browser()
    with ThreadPoolExecutor(2 * web_app.PAGE_THREADS) as pool:
        asked = [pool.submit(browser.get, f"/guests/lab-a-0{n % 4 + 1}/screen.png") for n in range(2 * web_app.PAGE_THREADS)]
        until(lambda: site.engine.pictures >= screens.AT_ONCE, "all places taken")
        assert browser.get("/labs").status_code == 200
        assert site.client().post("/terminals/ticket", data={"id": str(terminal_mac(1))}).status_code == 200
        site.engine.hold_pictures.set()
        assert {each.result().status_code for each in asked} <= {200, 503}


def test_scale_refuses_what_is_no_small_picture() -> None:
    with Image.open(io.BytesIO(screens.scale(screen("x", 1), "x"))) as picture:
        assert picture.size == (480, 360)
    huge = io.BytesIO()
    Image.new("1", (8000, 8000)).save(huge, "PNG")
    jpeg = io.BytesIO()
    Image.new("RGB", (10, 10)).save(jpeg, "JPEG")
    for raw in (b"", b"no picture", screen("x", 1)[:500], huge.getvalue(), jpeg.getvalue()):
        with pytest.raises(DriverError):
            screens.scale(raw, "x")


def test_events_say_that_something_changed(site: Site) -> None:
    browser = site.browser()
    with browser.stream("GET", "/events") as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        heard = stream.iter_lines()
        assert next(heard) == "event: hello"
        run(site)
        assert "event: change" in (next(heard) for _ in range(10))
        assert site.app.events.open == 1
    until(lambda: site.app.events.open == 0, "the stream forgotten")
    assert browser.post("/events").status_code == 405


def test_a_stream_ends_with_its_sign_in(site: Site) -> None:
    browser = site.browser()
    with browser.stream("GET", "/events") as stream:
        heard = stream.iter_lines()
        assert next(heard) == "event: hello"
        browser.post("/leave")
        run(site)
        assert [line for line in heard if line.startswith("event: ")] == ["event: change"]
    assert browser.get("/events").status_code == 401


def test_no_lease_is_missed_where_the_campus_gives_the_addresses(site: Site) -> None:
    fill(site.ports, site.engine, 4)
    until(lambda: len(site.app.published.changes()) == 4, "all guests")
    assert "no lease seen yet" in card(site.browser().get("/").text, "lab-a-02")
    labs.change(site.ports, "lab-a", dhcp=DhcpMode.NONE)
    browser = site.browser()
    until(lambda: "10.77.0.0/24, addresses by the campus" in browser.get("/").text, "the page")
    page = browser.get("/").text
    for name, address in (("lab-a-01", "10.77.0.129"), ("lab-a-02", "10.77.0.130")):
        assert f"{address} · given by the campus" in card(page, name)
    assert "no lease seen" not in page
