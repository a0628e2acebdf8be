# SPDX-License-Identifier: MIT
"""POST /terminals/boot: from the holder of the lease only, as foreign text; what comes of it for people: a page and two commands."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from labvirt.database.repositories.boots import KEPT
from labvirt.domain.boot import Boot
from labvirt.errors import NotFound
from labvirt.usecases import boots, terminals
from labvirt.web.ui.boot_chart import WIDTH, chart

from .conftest import Site
from .lab import LOCAL, MovableClock, lease, terminal_mac

BOOT = "/terminals/boot"
ID = "00000000-0000-4000-8000-{:012d}"
MINE = {
    "id": str(terminal_mac(1)),
    "boot": ID.format(1),
    "now": "26500",
    "phase_kernel": "1000",
    "phase_fetched": "19000",
    "phase_connected": "26000",
    "phase_of_next_year": "1",
    "image_from": "network",
    "image_bytes": "160000000",
    "kernel_bytes": "12000000",
    "initrd_bytes": "30000000",
    "kiosk": "0.1\x1b[2J",
}


def told(site: Site) -> tuple[Boot, ...]:
    with site.ports.database.read() as work:
        return work.boots.of_terminal("lab-a-t01")


def give_lease(site: Site, seat: int = 1) -> None:
    site.engine.lease_list[:] = [lease(terminal_mac(seat), LOCAL, now=site.ports.clock.now())]


def test_a_boot_is_kept_from_the_holder_of_the_lease_only(site: Site) -> None:
    client = site.client()
    assert client.post(BOOT, data=MINE).status_code == 403
    give_lease(site, seat=2)
    assert client.post(BOOT, data=MINE).status_code == 403
    assert told(site) == ()
    give_lease(site)
    assert client.post(BOOT, data=MINE | {"id": "nobody"}).status_code == 404
    assert client.post(BOOT, data=MINE).status_code == 204
    (boot,) = told(site)
    assert boot.phases == (("kernel", 1000), ("fetched", 19000), ("connected", 26000))
    assert boot.fetched_bytes == 202_000_000
    assert boot.kiosk == "0.1[2J"
    assert boot.complete


@pytest.mark.parametrize(
    "field, value",
    [
        ("boot", ""),
        ("boot", "../../etc/passwd"),
        ("now", ""),
        ("now", "-1"),
        ("phase_kernel", "1e3"),
        ("phase_kernel", "9" * 400),
        ("phase_kernel", "\u0661"),
        ("image_from", "moon"),
        ("image_bytes", "a"),
        ("complete", "maybe"),
    ],
)
def test_foreign_text_is_refused_by_name(site: Site, field: str, value: str) -> None:
    give_lease(site)
    answer = site.client().post(BOOT, data=MINE | {field: value, "format": "json"})
    assert answer.status_code == 400, answer.text
    assert told(site) == ()
    assert site.client().post(BOOT, data=MINE).status_code == 204


def test_who_had_to_wait_for_days_has_booted_too(site: Site) -> None:
    """Switched on in the holidays, adopted after them: its desktop ends its boot all the same."""
    give_lease(site)
    days = 40 * 24 * 3600 * 1000
    assert site.client().post(BOOT, data=MINE | {"phase_connected": str(days), "now": str(days + 500)}).status_code == 204
    (boot,) = told(site)
    assert boot.phases[-1] == ("connected", days)
    (alone,) = (line for line in chart(boots.of_lab(site.ports, "lab-a")).lines if line.bars)
    assert alone.total == f"{days / 1000:.1f} s"

    give_lease(site, seat=2)
    assert site.client().post(BOOT, data=MINE | {"id": str(terminal_mac(2))}).status_code == 204
    picture = chart(boots.of_lab(site.ports, "lab-a"))
    long, short = (line for line in picture.lines if line.bars)
    assert short.bars[-1].x + short.bars[-1].width == pytest.approx(WIDTH / 4)  # and not a hair's breadth
    assert long.bars[-1].x + long.bars[-1].width == pytest.approx(WIDTH)
    assert "Viewer connected" in long.words
    assert len(picture.scale) < 10


def test_a_whole_boot_stays_a_partial_one_is_completed(site: Site) -> None:
    give_lease(site)
    client = site.client()
    assert client.post(BOOT, data={k: v for k, v in MINE.items() if k != "phase_connected"} | {"complete": "no"}).status_code == 204
    assert [boot.complete for boot in told(site)] == [False]
    assert client.post(BOOT, data=MINE).status_code == 204
    assert client.post(BOOT, data=MINE | {"phase_kernel": "7"}).status_code == 204
    (boot,) = told(site)
    assert boot.complete
    assert dict(boot.phases)["kernel"] == 1000


def test_the_controllers_own_moments_are_on_the_boots_scale(serve: Callable[..., Site]) -> None:
    clock = MovableClock()
    site = serve(clock)
    give_lease(site)
    client = site.client()
    ask = {"id": MINE["id"], "wait": "0"}
    assert client.get("/terminals/config", params=ask).status_code == 200  # of the boot before
    clock.move(100)
    assert client.get("/terminals/config", params=ask).status_code == 200
    clock.move(2)
    assert client.get("/terminals/config", params=ask).status_code == 200
    clock.move(3)
    give_lease(site)
    assert client.post(BOOT, data=MINE | {"now": "30000"}).status_code == 204
    assert dict(told(site)[0].own) == {"asked": 25_000}


def test_only_the_last_fifty_of_a_terminal_are_kept_and_go_with_it(site: Site) -> None:
    give_lease(site)
    site.client().post(BOOT, data=MINE)
    first = told(site)[0]
    with site.ports.database.write() as work:
        for number in range(2, KEPT + 10):
            work.boots.put(replace(first, boot_id=ID.format(number), at=first.at + timedelta(minutes=number)))
        work.boots.put(replace(first, terminal="lab-a-t02"))
        work.commit()
    kept = told(site)
    assert len(kept) == KEPT
    assert kept[0].boot_id == ID.format(KEPT + 9)
    assert ID.format(1) not in {boot.boot_id for boot in kept}
    found = boots.of_lab(site.ports, "lab-a")
    assert found.boots == boots.LOOKED_AT + 1
    terminals.remove(site.ports, "lab-a-t02")
    with pytest.raises(NotFound):
        boots.of_terminal(site.ports, "lab-a-t02")
    with pytest.raises(NotFound):
        boots.of_lab(site.ports, "no-lab")
    assert boots.of_lab(site.ports, "lab-a").boots == boots.LOOKED_AT


def test_the_page_draws_each_last_boot_and_says_it_in_words(site: Site) -> None:
    browser = site.browser()
    assert "No terminal has told a boot yet" in browser.get("/labs/lab-a/boots").text
    assert site.client().get("/labs/lab-a/boots").status_code == 401
    assert browser.get("/labs/no-lab/boots").status_code == 404
    give_lease(site)
    site.client().post(BOOT, data=MINE)
    page = browser.get("/labs/lab-a/boots").text
    assert len(re.findall(r'<rect class="stage-\w+" x=', page)) == 3
    assert "Longest: Image fetched: 18.0 s" in page
    assert 'aria-label="lab-a-t01: Kernel starts' in page
    assert "style=" not in page  # the Content-Security-Policy would not let it pass
    assert "/labs/lab-a/boots" in browser.get("/labs").text
