"""
A node's counters and gauges in the format that Prometheus reads, made from its status when it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()


def metricName(name: str) -> str:
    """C{bytesSent} as C{p2p_bytes_sent}."""
    return "p2p_" + re.sub(r"\W", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).lower()


class StatusCollector(Collector):
    """
    Reads a node's C{status()} at each scrape.
    """

    def __init__(self, node: Any) -> None:
        self._node = node

    def describe(self) -> list[Metric]:
        """Nothing in advance: so that registering does not ask the node."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics, as they are now."""
        status = self._node.status()
        about = {name: str(status[name]) for name in ("role", "id", "incarnation", "address", "network")}
        yield InfoMetricFamily("p2p_node", "Who this node is.", about)
        yield GaugeMetricFamily("p2p_uptime_seconds", "Time since the node's start.", status["uptime"])
        for name, value in sorted(status["counters"].items()):
            yield CounterMetricFamily(metricName(name), f"{name} since the node's start.", value)
        for name, value in sorted(status["gauges"].items()):
            if value is not None:
                yield GaugeMetricFamily(metricName(name), f"{name} now.", value)


def metrics(node: Any) -> bytes:
    """All metrics of a node and of its process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StatusCollector(node))
    ProcessCollector(registry=registry)
    return generate_latest(registry)
