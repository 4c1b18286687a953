"""The operators' routes: /health (alive), /ready (can decide), /metrics. They carry nothing of any artifact."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from gateway.http.metrics import Metrics

Check = Callable[[], Awaitable[str]]


class Ops:
    """`checks` name what must be well to decide; each returns "" or one sentence. `circuits` are the upstream hosts
    that do not answer, and why: said, but no reason not to be ready, since what was judged is served."""

    def __init__(
        self, checks: Mapping[str, Check], metrics: Metrics, circuits: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        self._checks = dict(checks)
        self._metrics = metrics
        self._circuits = circuits
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
        down = [f"{host} is asked by a probe only ({cause})" for host, cause in self._circuits().items()]
        detail["upstream"] = "; ".join(down) or "ok"
        return web.json_response({"ready": ready, "checks": detail}, status=200 if ready else 503)

    async def _render(self) -> web.Response:
        self._metrics.circuits(self._circuits())
        return web.Response(body=self._metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4"})
