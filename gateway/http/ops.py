"""The operators' routes: /health (alive), /ready (can decide), /metrics. They carry nothing of any artifact."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from gateway.http.metrics import Metrics

Check = Callable[[], Awaitable[str]]


class Ops:
    """`checks` name what must be well to decide; each returns "" or one sentence."""

    def __init__(self, checks: Mapping[str, Check], metrics: Metrics) -> None:
        self._checks = dict(checks)
        self._metrics = metrics
        self.draining = False

    def answer(self, method: str, target: str) -> Awaitable[web.StreamResponse] | None:
        """The answer to an operators' route, or None where the target is not one."""
        if method not in {"GET", "HEAD"}:
            return None
        match target:
            case "/health":
                return self._health()
            case "/ready":
                return self._ready()
            case "/metrics":
                return self._render()
            case _:
                return None

    async def _health(self) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _ready(self) -> web.Response:
        report = {name: await check() for name, check in self._checks.items()}
        if self.draining:
            report["gateway"] = "draining: no new connections are wanted"
        ready = not any(report.values())
        self._metrics.ready.set(1 if ready else 0)
        detail = {name: trouble or "ok" for name, trouble in report.items()}
        return web.json_response({"ready": ready, "checks": detail}, status=200 if ready else 503)

    async def _render(self) -> web.Response:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4"})
