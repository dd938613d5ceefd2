"""What Prometheus sees: made of rows and queues when it asks; all web processes tell the same."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector

from app import queues
from app.queries import runs

CONTENT_TYPE = CONTENT_TYPE_LATEST


def text() -> bytes:
    """All metrics in the text format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Queues())
    registry.register(_Runs())
    registry.register(_Workers())
    registry.register(_Chores())
    return generate_latest(registry)


class _Queues(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        waiting = GaugeMetricFamily("cairn_queue_waiting", "Jobs that wait", labels=["queue"])
        running = GaugeMetricFamily("cairn_queue_running", "Jobs in work", labels=["queue"])
        age = GaugeMetricFamily(
            "cairn_queue_age_seconds", "How long the oldest job has waited", labels=["queue"]
        )
        for depth in queues.depths():
            waiting.add_metric([depth.name], depth.waiting)
            running.add_metric([depth.name], depth.running)
            age.add_metric([depth.name], depth.oldest_s)
        yield from (waiting, running, age)


class _Runs(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily | SummaryMetricFamily]:
        states = GaugeMetricFamily("cairn_runs", "Runs by state", labels=["state"])
        for state, count in runs.count_by_state().items():
            states.add_metric([state], count)
        failures = CounterMetricFamily(
            "cairn_run_failures", "Runs that failed, by what stopped them", labels=["cause"]
        )
        for cause, count in runs.count_failures().items():
            failures.add_metric([cause], count)
        stages = SummaryMetricFamily(
            "cairn_stage_seconds", "Time of the stages that were done", labels=["stage"]
        )
        for name, (count, seconds) in runs.stage_seconds().items():
            stages.add_metric([name], count_value=count, sum_value=seconds)
        yield from (states, failures, stages)


class _Workers(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        used = GaugeMetricFamily(
            "cairn_worker_memory_bytes", "Memory that a worker and its job hold", labels=["worker"]
        )
        limit = GaugeMetricFamily(
            "cairn_worker_memory_limit_bytes", "Memory that it may hold", labels=["worker"]
        )
        serving = dict.fromkeys(queues.ALL, 0)
        for worker in runs.workers():
            if worker["is_alive"]:
                used.add_metric([worker["name"]], queues.memory_of(worker["name"]))
                limit.add_metric([worker["name"]], worker["memory_bytes"])
                for name in worker["queues"]:
                    serving[name] = serving.get(name, 0) + 1
        count = GaugeMetricFamily("cairn_workers", "Workers that serve a queue", labels=["queue"])
        for name, workers in serving.items():
            count.add_metric([name], workers)
        yield from (used, limit, count)


class _Chores(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        done = GaugeMetricFamily(
            "cairn_chore_done_timestamp_seconds",
            "When a chore that the clock rings for was done last, since 1970",
            labels=["chore"],
        )
        for chore, at in queues.chores_done().items():
            done.add_metric([chore], at.timestamp())
        yield done
