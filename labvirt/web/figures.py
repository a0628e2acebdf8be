# SPDX-License-Identifier: MIT
"""The figures in the words of Prometheus (prometheus.io/docs/practices/naming): base units, one meaning a name, few labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from labvirt import __version__
from labvirt.errors import LabVirtError
from labvirt.usecases.figures import Figures

MIB = 1 << 20
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Questions:
    """What this process counts of terminals' questions. Cheap, and safe from any thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._answers = Counter(
            "labvirt_questions", "Terminals' questions that were answered, by HTTP status.", ("status",), registry=registry
        )
        self._seconds = Histogram(
            "labvirt_question_lookup_seconds",
            "Time of one look-up for terminals' questions, its turn included. How long the answer was held is not in it.",
            registry=registry,
            buckets=SECONDS,
        )

    def answered(self, status: int) -> None:
        self._answers.labels(str(status)).inc()

    def looked_up(self, seconds: float) -> None:
        self._seconds.observe(seconds)


class Exposition:
    """All figures as the text that Prometheus reads."""

    def __init__(self, figures: Callable[[], Figures]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.questions = Questions(self._registry)
        self._registry.register(_Site(figures))

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _Site(Collector):
    def __init__(self, figures: Callable[[], Figures]) -> None:
        self._figures = figures

    def describe(self) -> list[Metric]:
        return []  # registering asks nobody

    def collect(self) -> Iterator[Metric]:
        yield _gauge("labvirt_build_info", "Which LabVirt this is.", ("version",), {(__version__,): 1})
        try:
            found = self._figures()
        except LabVirtError:
            yield _gauge("labvirt_database_up", "Whether the database answers.", (), {(): 0})
            return
        yield _gauge("labvirt_database_up", "Whether the database answers.", (), {(): 1})
        yield from _site(found)
        yield from _engine(found)
        yield from _host(found)


def _site(found: Figures) -> Iterator[Metric]:
    guests = {(lab, str(state)): count for (lab, state), count in found.guests.items()}
    yield _gauge("labvirt_guests", "Guests by lab and state.", ("lab", "state"), guests)
    yield _gauge("labvirt_terminals", "Terminals that are registered.", ("lab",), _keyed(found.terminals))
    yield _gauge("labvirt_terminals_online", "Terminals heard of within the last minute.", ("lab",), _keyed(found.online))
    yield _gauge("labvirt_terminals_unknown", "Terminals in the inbox.", (), {(): found.strangers})
    yield _gauge("labvirt_jobs", "Long works that wait or are being done.", ("state",), {(str(k),): v for k, v in found.jobs.items()})
    yield _gauge("labvirt_versions", "Versions of each image.", ("image",), _keyed(found.versions))
    yield _gauge("labvirt_version_bytes", "Size of the files of an image's versions.", ("image",), _keyed(found.version_bytes))
    yield _gauge("labvirt_audit_last_entry", "Number of the newest entry of the audit.", (), {(): found.entries})


def _engine(found: Figures) -> Iterator[Metric]:
    engine = found.engine
    yield _gauge("labvirt_engine_up", "Whether the engine answers.", (), {(): int(engine is not None)})
    if engine is None:
        return
    yield _gauge("labvirt_engine_info", "How it runs guests.", ("driver", "accelerator"), {(engine.driver, engine.accelerator): 1})
    yield _gauge("labvirt_engine_queue", "Guests that wait for their turn to be started.", (), {(): len(engine.queue)})
    yield _gauge("labvirt_engine_findings", "Strange things that the last look saw and did not touch.", (), {(): len(engine.findings)})
    if engine.reconciled_at is not None:
        at = engine.reconciled_at.timestamp()
        yield _gauge("labvirt_engine_reconciled_timestamp_seconds", "When it last compared wishes and reality.", (), {(): at})


def _host(found: Figures) -> Iterator[Metric]:
    load = found.load
    if load is None:
        return
    yield _gauge("labvirt_host_memory_bytes", "Memory of the host.", (), {(): load.memory_total_mib * MIB})
    yield _gauge(
        "labvirt_host_memory_available_bytes", "Memory of the host that guests could have.", (), {(): load.memory_available_mib * MIB}
    )
    yield _gauge("labvirt_host_cpus", "Processors of the host.", (), {(): load.cpus})
    yield _gauge("labvirt_host_disk_free_bytes", "Free space where guests' overlays lie.", (), {(): load.disk_free_mib * MIB})
    if load.cpu_pressure is not None:
        ratio = load.cpu_pressure / 100
        yield _gauge(
            "labvirt_host_cpu_pressure_ratio", "Share of the last 10 s in which something waited for a processor.", (), {(): ratio}
        )


def _keyed(values: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    return {(key,): value for key, value in values.items()}


def _gauge(name: str, sentence: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, sentence, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
