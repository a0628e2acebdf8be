# SPDX-License-Identifier: MIT
"""The benchmarks' arithmetic and their list. No time is judged anywhere."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from labvirt.domain.job import Job, JobKind
from tests.bench.catalogue import BENCHMARKS, chosen
from tests.bench.publish_job import steps_of
from tests.bench.record import record, render
from tests.bench.rounds import interleave
from tests.bench.summary import percentile, ratio, summarise

RUN = Path(__file__).with_name("run.py")


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(RUN), *words], capture_output=True, text=True, check=False, timeout=60)


def test_list_names_every_benchmark_and_an_unknown_one_is_wrong_use() -> None:
    told = bench("--list")
    assert (told.returncode, told.stderr) == (0, "")
    assert [line.split()[0] for line in told.stdout.splitlines()] == [each.id for each in BENCHMARKS]
    wrong = bench("--list", "--only", "B9")
    assert wrong.returncode == 2
    assert "there is no benchmark B9" in wrong.stderr


def test_only_takes_an_id_or_its_beginning() -> None:
    assert [each.id for each in chosen(["a5"])] == ["A5-overlay", "A5-plug"]
    assert [each.id for each in chosen(["A2", "A1", "A4"])] == ["A1", "A4"]
    assert [each.id for each in chosen(["p2", "P4"])] == ["A5-overlay", "P4"]
    assert chosen([]) == BENCHMARKS


@pytest.mark.parametrize(
    "values,percent,expected",
    [
        ([7.0], 99, 7.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([4.0, 1.0, 2.0, 3.0], 50, 2.5),
        (list(range(1, 101)), 99, 99),
        (list(range(1, 102)), 99, 100),
        (list(range(1, 16)), 99, 15),
        ([1.0, 2.0], 0, 1.0),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_nothing_measured_has_no_summary() -> None:
    assert summarise([1.0]).n == 1
    with pytest.raises(ValueError, match="nothing was measured"):
        summarise([])


def test_ratio_says_how_many_times_ours_the_baseline_is() -> None:
    assert ratio(summarise([9.0, 11.0]), summarise([2.0])) == 5
    assert ratio(summarise([1.0]), summarise([0.0])) == math.inf


def test_flows_take_turns_and_the_warm_up_is_thrown_away() -> None:
    order: list[str] = []

    def flow(name: str, value: float) -> dict[str, float]:
        order.append(name)
        return {"took": value + len(order)}

    found = interleave({"a": lambda n: flow("a", 0), "b": lambda n: flow("b", 100)}, 2, warm_up=1)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found == {"took": {"a": [4, 5], "b": [103, 106]}}


def test_a_record_shows_both_numbers_of_its_ratio_to_people_and_programs() -> None:
    one = record("X", "a thing", "ms", {"ours": [2.0, 2.0], "plain": [5.0]}, notes=["small"])
    told = json.loads(json.dumps(one.as_json()))
    assert told["name"] == "LabVirt"
    assert told["ours"] == {"median": 2.0, "p99": 2.0, "n": 2}
    assert told["baselines"] == [{"name": "plain", "median": 5.0, "p99": 5.0, "n": 1, "ratio": 2.5}]
    lines = render([one]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[3].split("|")[4:9]] == ["plain", "5", "5", "1", "2.5"]


def test_what_is_compared_has_a_name_of_its_own() -> None:
    one = record("X", "a thing", "ms", {"1 layer": [2.0], "8 layers": [5.0]}, ours="1 layer")
    assert [[cell.strip() for cell in line.split("|")[4:6]] for line in render([one]).splitlines()[2:]] == [
        ["1 layer", "2"],
        ["8 layers", "5"],
    ]


def test_a_publish_is_split_by_the_lines_of_its_job() -> None:
    def at(seconds: float) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)

    job = Job(number=1, kind=JobKind.PUBLISH, subject="tiny.d1", asked_by="x", asked_at=at(0), started_at=at(1), ended_at=at(30))
    log = (
        (at(2), "beginning"),
        (at(3), "shutting down lab-s01"),
        (at(4), "switching lab-s01 off: it did not follow its power button"),
        (at(8), "sealing tiny v2"),
        (at(9), "canary lab-s02: it starts"),
        (at(11), "ok: it starts (lab-s02, 192 MiB, 1 CPU), 2.0 s"),
        (at(11), "canary lab-s02: it gets its lease"),
        (at(29), "publishing tiny v2"),
    )
    assert steps_of(job, log) == {"beginning": 3, "down": 5, "seal": 1, "starts": 2, "lease": 18, "pointer": 1}
