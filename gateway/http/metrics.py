"""Prometheus metrics; children are kept, so that the hot path looks nothing up."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One registry per gateway; nothing global."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "gateway_requests_total", "Answers by route and status", ("route", "status"), registry=self.registry
        )
        self._children: dict[tuple[str, int], Counter] = {}
        self.seconds = Histogram(
            "gateway_request_seconds", "From request to last byte", buckets=_BUCKETS, registry=self.registry
        )
        self.bytes_delivered = Counter(
            "gateway_delivered_bytes_total", "Artifact bytes that left", registry=self.registry
        )
        self._circuit = Gauge(
            "gateway_upstream_circuit_open",
            "1 while an upstream host is asked by a probe only",
            ("host",),
            registry=self.registry,
        )
        self._seen_hosts: set[str] = set()
        self.ready = Gauge("gateway_ready", "1 while new decisions can be made", registry=self.registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        child = self._children.get((route, status))
        if child is None:
            child = self._children[route, status] = self._requests.labels(route, str(status))
        child.inc()
        self.seconds.observe(seconds)

    def circuits(self, open_hosts: Iterable[str]) -> None:
        """Say which upstream hosts are asked by a probe only; one that was once stays, as 0."""
        for host in self._seen_hosts:
            self._circuit.labels(host).set(0)
        for host in open_hosts:
            self._seen_hosts.add(host)
            self._circuit.labels(host).set(1)

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)
