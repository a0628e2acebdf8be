# SPDX-License-Identifier: MIT
"""/metrics by its rules, for whom it is meant; /readyz; and Munin's plugin, which reads the one and is asked as Munin asks."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from labvirt.usecases import figures

from .conftest import Site
from .lab import enter

PLUGIN = Path(__file__).parents[2] / "monitoring" / "munin" / "labvirt"


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_browser_that_is_signed_in_reads_them_and_nobody_else(site: Site) -> None:
    refused = site.client().get("/metrics")
    assert refused.status_code == 403
    assert "labvirt_" not in refused.text
    assert site.client().get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403
    answer = site.browser().get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    told = samples(answer.text)
    assert told["labvirt_terminals", (("lab", "lab-a"),)] == 4
    assert told["labvirt_engine_up", ()] == 1
    assert told["labvirt_database_up", ()] == 1
    assert ("labvirt_guests", (("lab", "lab-a"), ("state", "connected"))) in told


def test_a_listed_address_reads_them_without_a_sign_in(serve: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(network: str) -> int:
        from . import conftest

        def entered(*given: object) -> object:
            ports, engine = enter(*given)  # type: ignore[arg-type]
            return replace(ports, limits=replace(ports.limits, metrics_from=(network,))), engine

        monkeypatch.setattr(conftest, "enter", entered)
        return serve().client().get("/metrics").status_code

    assert listed("127.0.0.0/8") == 200
    assert listed("192.0.2.0/24") == 403


def test_names_and_labels_keep_the_rules(site: Site) -> None:
    """prometheus.io/docs/practices/naming: a prefix, base units, _total on counters; no label that grows with the terminals."""
    site.client().get("/terminals/config", params={"id": "no-such", "wait": "0"})
    families = list(text_string_to_metric_families(site.browser().get("/metrics").text))
    own = [family for family in families if not family.name.startswith("process_")]
    assert len(own) > 15
    for family in own:
        assert re.fullmatch(r"labvirt_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        assert not re.search(r"_(ms|milliseconds|mib|kb|percent)$", family.name)
        for sample in family.samples:
            assert set(sample.labels) <= {"lab", "state", "status", "image", "version", "driver", "accelerator", "le"}
            assert sample.name.endswith("_total") == (family.type == "counter" and not sample.name.endswith("_created"))


def test_questions_are_counted_and_timed(site: Site) -> None:
    browser = site.browser()
    site.client().get("/terminals/config", params={"id": "x y", "wait": "0"})
    site.client().get("/terminals/config", params={"id": "no-such", "wait": "0"})
    told = samples(browser.get("/metrics").text)
    assert told["labvirt_questions_total", (("status", "400"),)] == 1
    assert told["labvirt_questions_total", (("status", "200"),)] == 1
    assert told["labvirt_question_lookup_seconds_count", ()] == 1


def test_ready_says_what_is_away(site: Site) -> None:
    answer = site.client().get("/readyz")
    assert (answer.status_code, answer.text) == (200, "The database answers.\nThe engine answers.\n")
    assert site.client().get("/healthz").status_code == 200


def test_ready_is_not_when_the_engine_is_away(site: Site) -> None:
    site.engine.set_away(True)
    answer = site.client().get("/readyz")
    assert answer.status_code == 503
    assert answer.text.startswith("The database answers.\nThe engine does not answer")
    assert site.client().get("/healthz").status_code == 200, "it is alive all the same"
    assert samples(site.browser().get("/metrics").text)["labvirt_engine_up", ()] == 0


def test_every_state_of_every_lab_has_its_figure(site: Site) -> None:
    found = figures.figures(site.ports)
    assert {lab for lab, _ in found.guests} == {"lab-a"}
    assert len(found.guests) > 5
    assert found.online["lab-a"] <= found.terminals["lab-a"]


def munin(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"url": url, "PATH": "/usr/bin:/bin"}
    return subprocess.run([sys.executable, "-I", str(PLUGIN), *words], env=environment, capture_output=True, text=True, timeout=60)


def test_munin(site: Site, tmp_path: Path) -> None:
    """`config` and values name the same fields in the same graphs."""
    site.client().get("/terminals/config", params={"id": "no-such", "wait": "0"})
    page = tmp_path / "metrics"
    page.write_text(site.browser().get("/metrics").text)
    url = page.as_uri()

    def fields(text: str, end: str) -> list[str]:
        return [
            line if line.startswith("multigraph") else line.split(".")[0]
            for line in text.splitlines()
            if re.search(rf"^multigraph|\.{end} ", line)
        ]

    told, values = munin(url, "config"), munin(url)
    assert (told.returncode, values.returncode) == (0, 0), (told.stderr, values.stderr)
    assert fields(told.stdout, "label") == fields(values.stdout, "value")
    assert len(fields(told.stdout, "label")) > 20
    assert "registered_lab_a.value 4" in values.stdout
    assert "multigraph labvirt_guests" in told.stdout
    assert all(re.fullmatch(r"multigraph [a-z_]+|[A-Za-z_]\w*\.value [0-9.e+-]+", line) for line in values.stdout.splitlines())
    assert munin(url, "autoconf").stdout == "yes\n"
    refused = munin(f"{site.url}/metrics")
    assert refused.returncode == 1
    assert "403" in refused.stderr
    assert munin(f"{site.url}/metrics", "autoconf").stdout.startswith("no (")
