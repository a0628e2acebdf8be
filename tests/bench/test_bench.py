# SPDX-License-Identifier: MIT
"""The benchmarks' arithmetic and their list. No time is judged anywhere."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from labvirt.domain.job import Job, JobKind
from tests.bench import plot
from tests.bench.burst import burst, request
from tests.bench.catalogue import BENCHMARKS, MEASURED_BY, SUITE, chosen
from tests.bench.guest_memory import Private, parts
from tests.bench.publish_job import steps_of
from tests.bench.record import record, render
from tests.bench.rounds import interleave
from tests.bench.summary import percentile, ratio, summarise
from tests.bench.target import Figure, Target, at_least, at_most, at_most_times, below, times_better

SVG = "{http://www.w3.org/2000/svg}"
RUN = Path(__file__).with_name("run.py")


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(RUN), *words], capture_output=True, text=True, check=False, timeout=60)


def test_list_names_every_benchmark_and_an_unknown_one_is_wrong_use() -> None:
    told = bench("--list")
    assert (told.returncode, told.stderr) == (0, "")
    assert [line.split()[0] for line in told.stdout.splitlines()] == [each.id for each in BENCHMARKS]
    wrong = bench("--list", "--only", "Z9")
    assert wrong.returncode == 2
    assert "there is no benchmark Z9" in wrong.stderr


def test_quick_is_the_suite_by_word_and_by_option() -> None:
    for words in (["quick"], ["--quick"]):
        told = bench("--list", *words)
        assert (told.returncode, [line.split()[0] for line in told.stdout.splitlines()]) == (0, [each.id for each in SUITE]), told.stderr
    assert len(SUITE) < len(BENCHMARKS)
    wrong = bench("--list", "quickly")
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_only_takes_an_id_or_its_beginning() -> None:
    assert [each.id for each in chosen(["p"])] == ["P1", "P3", "P4"]
    assert [each.id for each in chosen(["B1"])] == ["B1"], "and not B11 and B13"
    assert [each.id for each in chosen(["b1", "B11"])] == ["B1", "B11"]
    assert [each.id for each in chosen(["A2", "A1"])] == ["A1"]
    assert [each.id for each in chosen(["p2", "P4"])] == ["B7", "P4"]
    assert chosen([]) == BENCHMARKS
    assert chosen([], quick=True) == SUITE


@pytest.mark.parametrize("old,new", [("I1", "B1"), ("i3", "B1"), ("A4", "B9"), ("A5-overlay", "B7"), ("A5-plug", "B8"), ("B6", "B3")])
def test_a_name_of_before_finds_what_stands_for_it(old: str, new: str) -> None:
    assert [each.id for each in chosen([old])] == [new]


def test_every_name_stands_for_a_benchmark_that_there_is() -> None:
    ids = [each.id for each in BENCHMARKS]
    assert len(set(ids)) == len(ids)
    assert set(MEASURED_BY.values()) <= set(ids)
    assert not set(MEASURED_BY) & set(ids)


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


@pytest.mark.parametrize(
    "target,met",
    [
        (at_most(2), True),
        (at_most(1.9), False),
        (at_most(8, p99=True), False),
        (at_most(9, p99=True), True),
        (below(2), False),
        (below(2.1), True),
        (at_least(2), True),
        (at_least(2.1), False),
        (times_better(25, "plain"), True),
        (times_better(26, "plain"), False),
        (at_most_times(2, "floor"), True),
        (at_most_times(1.9, "floor"), False),
    ],
)
def test_a_target_is_judged_by_the_number_it_names(target: Target, met: bool) -> None:
    one = record("X", "a thing", "ms", {"ours": [1.0, 2.0, 9.0], "plain": [50.0], "floor": [1.0]}, targets=[target])
    assert one.met is met
    assert [cell.strip() for cell in render([one]).splitlines()[2].split("|")[9:11]] == [target.words("ms"), "yes" if met else "no"]


def test_a_target_is_in_the_json_in_words_and_as_a_comparison() -> None:
    targets = [times_better(20, "plain"), at_most(1)]
    told = json.loads(json.dumps(record("X", "a thing", "ms", {"ours": [2.0], "slow": [1.0], "plain": [50.0]}, targets=targets).as_json()))
    assert told["target"] == "plain >= 20 x ours; median <= 1 ms"
    assert told["met"] is False, "one of two"
    assert (told["baseline"], told["ratio"]) == ({"name": "plain", "median": 50.0, "p99": 50.0, "n": 1}, 25)
    assert told["targets"][0] == {
        "words": "plain >= 20 x ours",
        "figure": "baseline / ours",
        "baseline": "plain",
        "comparison": ">=",
        "value": 20,
        "found": 25,
        "met": True,
    }
    nobody = record("X", "a thing", "ms", {"ours": [2.0]}).as_json()
    assert (nobody["target"], nobody["met"], nobody["ratio"]) == (None, None, None)


def test_what_a_quick_run_says_of_a_target_is_marked() -> None:
    one = record("X", "a thing", "ms", {"ours": [2.0]}, targets=[at_most(3)])
    assert "yes (quick: a hint)" in render([one], quick=True)
    assert "quick" not in render([one])
    assert one.as_json(quick=True)["quick"] is True
    assert "(quick run)" in plot.draw("X", [one.as_json(quick=True)])


def test_a_target_that_cannot_be_judged_is_refused() -> None:
    with pytest.raises(KeyError, match="other"):
        record("X", "a thing", "ms", {"ours": [2.0], "plain": [1.0]}, targets=[times_better(2, "other")])
    with pytest.raises(ValueError, match="is no comparison"):
        Target(figure=Figure.MEDIAN, comparison="about", value=1)
    with pytest.raises(ValueError, match="names its baseline"):
        Target(figure=Figure.TIMES_OURS, comparison=">=", value=1)


def test_a_plot_has_every_bar_its_whisker_and_the_target_where_it_belongs(tmp_path: Path) -> None:
    values = {"ours": [10.0, 30.0], "virsh <by hand>": [1000.0]}
    rows = [record("X1", "a thing", "ms", values, targets=[times_better(10, "virsh <by hand>")]).as_json()]
    rows += [record("X1-more", "more", "s", {"ours": [0.0]}).as_json(), record("X10", "another", "s", {"ours": [1.0]}).as_json()]
    assert [file.name for file in plot.write(rows, tmp_path)] == ["bench-X1.svg", "bench-X10.svg"]
    drawn = ElementTree.fromstring((tmp_path / "bench-X1.svg").read_text(encoding="utf-8"))  # noqa: S314  (our own)
    said = [each.text for each in drawn.iter(f"{SVG}text")]
    assert "X1: a thing, ms, logarithmic - met" in said
    assert "virsh <by hand>" in said
    bars = list(drawn.iter(f"{SVG}rect"))
    assert len(bars) == 3
    [target] = [each for each in drawn.iter(f"{SVG}path") if each.get("class") == "target"]
    at = float(str(target.get("d")).removeprefix("M").split(" ")[0])
    ends = [float(str(each.get("x"))) + float(str(each.get("width"))) for each in bars[:2]]
    assert ends[0] < at < ends[1], "20 ms reach it, 100 are what it wants at most, virsh takes 1,000"


@pytest.mark.parametrize("low,high,logarithmic", [(1.0, 10.0, False), (1.0, 10.5, True), (0.0, 100.0, False)])
def test_a_scale_is_logarithmic_when_its_values_differ_much(low: float, high: float, logarithmic: bool) -> None:
    scale = plot.Scale([low, high])
    assert scale.log is logarithmic
    assert scale.x(high) == plot.WIDTH - plot.RIGHT
    assert plot.LEFT <= scale.x(low) < scale.x(high)


def test_the_guests_own_part_of_its_qemus_memory() -> None:
    mappings = (
        ("7f0000000000-7f0010000000", 2048),  # 256 MiB: not the smallest that has room
        ("7f1000000000-7f100c000000", 1024),  # 192 MiB
        ("7f2000000000-7f2000100000", 512),
    )
    smaps = "".join(f"{where} rw-p 00000000 00:01 5  /memfd:ram (deleted)\nRss: 9 kB\nAnonymous: {kb} kB\n" for where, kb in mappings)
    assert parts(smaps, 192) == Private(guest=1.0, qemu=2.5)
    assert parts(smaps, 192).whole == 3.5
    with pytest.raises(ValueError, match="no mapping has room for 300 MiB"):
        parts(smaps, 300)


def test_a_burst_gets_every_answer_in_the_order_of_its_requests() -> None:
    program = [sys.executable, str(RUN.with_name("plain_server.py")), "stdlib", "1000"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            door = ("127.0.0.1", int(server.stdout.readline()))
            for over in (0.0, 0.2):
                replies = burst(door, [request(door, "/terminals/config?id=x")] * 300, over=over)
                assert {(each.status, len(each.body), each.problem) for each in replies} == {(200, 1000, "")}
        finally:
            server.kill()
    refused = burst(door, [request(door, "/")] * 3)
    assert [each.status for each in refused] == [0, 0, 0]
    assert all("refused" in each.problem.lower() for each in refused), refused


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
