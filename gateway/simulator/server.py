"""Runs the simulated hub: two HTTP servers on loopback, hub and CDN."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Self
from urllib.parse import unquote
from uuid import uuid4

from aiohttp import web

from gateway.simulator import lfs
from gateway.simulator.answers import Answer
from gateway.simulator.cdn import Cdn
from gateway.simulator.content import Bytes
from gateway.simulator.delivery import bend, send
from gateway.simulator.faults import Faults
from gateway.simulator.hub import Hub
from gateway.simulator.registry import Registry
from gateway.simulator.targets import parse_target
from gateway.simulator.traffic import SeenRequest, Traffic
from gateway.simulator.world import World

_EXPOSED = (
    "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,"
    "X-Linked-Size,X-Linked-ETag,X-Xet-Hash"
)


class Simulator:
    """`async with Simulator(world) as sim:` serves `sim.hub_url` and `sim.cdn_url` until the block ends.

    Ports of 0 are chosen by the system. `cdn_name` is the host name in CDN links; it must resolve to loopback and
    differ from the hub's, since some client versions (1.30 to 2.1) tell hosts apart without the port. `now` gives
    Unix seconds for the links' expiry. The world may be edited from the same loop at any time; from other threads
    use `SimulatorThread`. With `tls` both hosts speak https. With `control` the hub also answers
    `GET /.simulator/requests` and `POST /.simulator/clear`, for programs that run the simulator as a process.
    """

    def __init__(
        self,
        world: World,
        *,
        port: int = 0,
        cdn_port: int = 0,
        cdn_name: str = "localhost",
        now: Callable[[], float] = time.time,
        tls: ssl.SSLContext | None = None,
        control: bool = False,
    ) -> None:
        self.world = world
        self.faults = Faults()
        self.traffic = Traffic()
        self.cdn = Cdn(now)
        self.hub = Hub(world, self.cdn)
        self._registry = Registry(world, self.cdn)
        self._ports = {"hub": port, "cdn": cdn_port}
        self._cdn_name = cdn_name
        self._tls = tls
        self._control = control
        self._runners: dict[str, web.ServerRunner] = {}

    @property
    def hub_url(self) -> str:
        return self.hub.base_url

    @property
    def cdn_url(self) -> str:
        return self.cdn.base_url

    @property
    def requests(self) -> list[SeenRequest]:
        """Every request seen since the start or the last `clear`, in order of arrival."""
        return self.traffic.requests

    def bytes_sent(self, path: str = "*", *, host: str = "") -> int:
        """Body bytes sent for requests whose path or file matches the glob."""
        return self.traffic.bytes_sent(path, host=host)

    def clear(self) -> None:
        """Forget the requests seen; world and faults stay."""
        self.traffic.clear()

    async def up(self) -> None:
        """Start to listen; after `down`, on the same ports again."""
        for host in ("hub", "cdn"):
            if host not in self._runners:
                await self._listen(host)
        scheme = "https" if self._tls else "http"
        self.hub.base_url = f"{scheme}://127.0.0.1:{self._ports['hub']}"
        self.cdn.base_url = f"{scheme}://{self._cdn_name}:{self._ports['cdn']}"

    async def down(self, host: str = "") -> None:
        """An outage of one host, or of both: running answers are cut, connections refused until `up`."""
        for name in [host] if host else list(self._runners):
            runner = self._runners.pop(name, None)
            if runner is not None:
                await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.faults.clear()
        await self.down()

    async def _listen(self, host: str) -> None:
        answer = self._answer_hub if host == "hub" else self._answer_cdn

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self._handle(host, request, answer)

        server = web.Server(handle, access_log=None, max_line_size=65_536, max_field_size=65_536)
        runner = web.ServerRunner(server, shutdown_timeout=0.05)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._ports[host], ssl_context=self._tls, reuse_address=True)
        await site.start()
        self._ports[host] = runner.addresses[0][1]
        self._runners[host] = runner

    async def _handle(
        self, host: str, request: web.BaseRequest, answer: Callable[[SeenRequest], tuple[Answer, str]]
    ) -> web.StreamResponse:
        if self._control and request.raw_path.startswith("/.simulator/"):
            return self._controlled(request.raw_path)
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = unquote(request.raw_path.partition("?")[0])
        seen = SeenRequest(host, request.method, request.raw_path, path, headers)
        seen.started_s = asyncio.get_running_loop().time()
        self.traffic.requests.append(seen)
        seen.body = await request.read()
        seen.file = self._file(seen)
        made, bucket = answer(seen)
        made.headers = {**(_common(bucket) if host == "hub" else {}), **made.headers}
        has_bytes = request.method == "GET" and made.status in (200, 206)
        fault = self.faults.effect(host, request.method, (path, seen.file), has_bytes=has_bytes)
        return await send(request, bend(made, fault, seen.range), fault, seen)

    def _controlled(self, path: str) -> web.Response:
        if path == "/.simulator/clear":
            self.clear()
            return web.json_response({})
        return web.json_response([seen.as_json() for seen in self.requests])

    def _file(self, seen: SeenRequest) -> str:
        return self.cdn.file(seen.path) if seen.host == "cdn" else parse_target(seen.target, self.world).file

    def _answer_hub(self, seen: SeenRequest) -> tuple[Answer, str]:
        headers = dict(seen.headers)
        other = self._registry.answer(seen.method, seen.target, headers)
        other = other or lfs.answer(self.world, self.cdn, seen.target, headers, seen.body)
        if other is not None:
            return other, "resolvers"
        target = parse_target(seen.target, self.world)
        bucket = "resolvers" if target.is_file else "api"
        return self.hub.answer(seen.method, target, dict(seen.headers), seen.body), bucket

    def _answer_cdn(self, seen: SeenRequest) -> tuple[Answer, str]:
        if seen.method not in ("GET", "HEAD"):
            return Answer(405, {"Content-Type": "text/plain"}, Bytes(b"method not allowed")), ""
        return self.cdn.answer(seen.path, seen.target.partition("?")[2], seen.headers.get("range", "")), ""


def _common(bucket: str) -> dict[str, str]:
    quota = {"resolvers": 3000, "api": 500}[bucket]
    return {
        "X-Powered-By": "huggingface-moon",
        "X-Request-Id": f"Root=1-{uuid4().hex[:8]}-{uuid4().hex[:24]};{uuid4()}",
        "RateLimit": f'"{bucket}";r={quota - 2};t=172',
        "RateLimit-Policy": f'"fixed window";"{bucket}";q={quota};w=300',
        "Access-Control-Expose-Headers": _EXPOSED,
        "Vary": "Origin, Accept",
    }
