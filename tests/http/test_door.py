"""The door itself, with the whole gateway behind it in one process: what happens when what it stands on gives way."""

import asyncio
import io
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

from gateway.clock import SystemClock
from gateway.domain.explaining import Explaining
from gateway.enforcement.background import Background
from gateway.http.body import BODY_BYTES
from gateway.http.door import Door
from gateway.http.files import Files
from gateway.http.hold import Holding
from gateway.http.listener import Listener
from gateway.http.metrics import Metrics
from gateway.http.ops import Ops
from gateway.http.views import Views
from gateway.identity.anonymous import AnonymousIdentifier
from gateway.identity.chain import CompositeIdentifier
from gateway.identity.ratelimit import Rate, RateLimiter
from gateway.service import own_pages
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.enforcement.whole import records, whole

FILE = "/demo/good-torch/resolve/main/pytorch_model.bin"


@asynccontextmanager
async def open_door(core, **limits):
    """The gateway's own door on a free port."""
    background, metrics = Background(), Metrics()
    files = Files(core.delivery, core.recording, metrics)
    limiter = RateLimiter(SystemClock(), subject=limits.get("subject"), address=limits.get("address"))
    views = Views(files, core.dialect, core.admission, core.delivery, core.recording, limiter)
    holding = Holding(core.dialect, core.admission, core.beginnings, core.delivery, files, core.recording, metrics)
    identifier = CompositeIdentifier([], anonymous=AnonymousIdentifier(), how_to="ask", hub_token_is_anonymous=False)
    door = Door(
        core.dialect, identifier, limiter, core.admission, core.recording, views, holding, Ops({}, metrics),
        own_pages(core, identifier, limiter, Explaining("http://gateway")), metrics, (), background,
    )  # fmt: skip
    runner = aiohttp.web.ServerRunner(Listener(door.handle, door.malformed))
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}", auto_decompress=False) as client:
        yield client
    await runner.cleanup()
    await background.close()


@pytest.fixture
async def core(tmp_path):
    with SimulatorThread(sample_world()) as hub:
        async with whole(hub, tmp_path / "state") as core:
            yield core


async def got(client, path, method="GET", **options):
    async with client.request(method, path, **options) as answer:
        return answer.status, answer.headers, await answer.read()


async def test_a_ledger_that_cannot_be_written_stops_everything_and_poisons_nothing(core):
    async with open_door(core) as client:
        assert (await got(client, FILE))[0] == 200
        await core.ledger.close()
        for method, path in (
            ("GET", FILE), ("HEAD", FILE), ("GET", "/demo/no-license/resolve/main/README.md"), ("GET", "/api/models/demo/good-torch"),
            ("GET", "/api/whoami-v2"), ("GET", "/no/such/route/x"), ("POST", "/api/repos/create"),
        ):  # fmt: skip
            status, headers, body = await got(client, path, method)
            assert status == 429, (method, path, status)
            assert "Retry-After" in headers
            assert "ledger" in headers["X-Error-Message"]
            assert "X-Repo-Commit" not in headers
            assert "X-Error-Code" not in headers
            assert b"PK" not in body


async def test_a_fault_nobody_foresaw_is_a_500_that_gives_nothing_away_and_the_door_stays_open(core):
    class Broken:
        async def admit(self, *_):
            raise ZeroDivisionError("hf_abcdefghijklmnopqrst in /srv/state")

    real = core.admission
    object.__setattr__(core, "admission", Broken())
    async with open_door(core) as client:
        status, headers, body = await got(client, FILE)
        assert status == 500
        assert b"hf_" not in body
        assert b"ZeroDivision" not in body
        assert headers["Server"] == "model-gateway"
        assert headers["X-Request-Id"] in json.loads(body)["error"]
        (record,) = [r for r in records(core) if r.get("request_id") == headers["X-Request-Id"]]
        assert (record["effect"], record["reasons"][0]["rule"], record["extra"]["target"]) == (
            "refused",
            "gateway/error",
            FILE,
        )
        assert "hf_" not in json.dumps(record)
        assert (await got(client, "/health"))[0] == 200
    object.__setattr__(core, "admission", real)
    async with open_door(core) as client:
        assert (await got(client, FILE))[0] == 200


async def test_a_limit_is_told_before_anything_is_asked(core):
    async with open_door(core, address=Rate(0.001, 2)) as client:
        answers = [await got(client, FILE) for _ in range(4)]
        assert [status for status, _, _ in answers] == [200, 200, 429, 429]
        assert "limit/rate" in answers[-1][1]["X-Error-Message"]
        assert (await got(client, "/health"))[0] == 200, "operators are not limited"
    limited = [r for r in records(core) if any(x["rule"] == "limit/rate" for x in r.get("reasons", []))]
    assert len(limited) == 1, "the second is a repeat"


async def test_each_object_of_a_batch_counts_as_a_request(core):
    objects = [{"oid": f"{number:064x}", "size": 1} for number in range(1000)]
    batch = {"operation": "download", "objects": objects}
    async with open_door(core, address=Rate(0.001, 500)) as client:
        first, _, _ = await got(client, "/demo/good-torch.git/info/lfs/objects/batch", "POST", json=batch)
        assert first == 200
        assert (await got(client, FILE))[0] == 429


async def test_bodies_are_bounded(core):
    route = "/api/models/demo/good-torch/paths-info/main"
    async with open_door(core) as client:
        status, _, _ = await got(client, route, "POST", json={"paths": ["config.json"]})
        assert status == 200
        for body in (b"x" * (BODY_BYTES + 1), b"", b"{"):
            status, _, answer = await got(
                client, route, "POST", data=io.BytesIO(body), headers={"Content-Type": "application/json"}
            )
            assert status in {400, 404, 413}, (len(body), status, answer)
        status, _, _ = await got(
            client, "/api/models/demo/good-torch/commit/main", "POST", data=io.BytesIO(b"x" * (BODY_BYTES * 2))
        )
        assert status == 403, "a write is refused without reading it"


async def test_every_answer_names_its_request_and_the_ledger_knows_it(core):
    async with open_door(core) as client:
        seen = {}
        for path in (
            FILE,
            "/demo/no-license/resolve/main/README.md",
            "/api/models/demo/good-torch",
            "/nothing/at/all/x",
        ):
            seen[path] = (await got(client, path))[1]["X-Request-Id"]
    assert len(set(seen.values())) == 4
    known = {r["request_id"] for r in records(core) if r.get("request_id")}
    assert set(seen.values()) <= known


async def test_answers_to_many_at_once_do_not_mix(core):
    async with open_door(core) as client:
        paths = [
            f"/demo/{name}/resolve/main/config.json"
            for name in ("good-torch", "good-gguf", "custom-code", "no-license")
        ]
        answers = await asyncio.gather(*(got(client, path) for path in paths * 10))
        for path in range(4):
            assert len({(status, body) if status == 200 else status for status, _, body in answers[path::4]}) == 1


async def test_what_is_remembered_of_one_question_answers_no_other(core):
    files = "/demo/good-torch/resolve/main/config.json", FILE
    listing = "/api/models/demo/good-torch/paths-info/main"
    async with open_door(core) as client:
        for _ in range(2):
            etags = [(await got(client, path, method))[1]["ETag"] for path in files for method in ("GET", "HEAD")]
            assert etags[0] == etags[1] != etags[2] == etags[3]
            for path in ("config.json", "pytorch_model.bin"):
                status, _, body = await got(client, listing, "POST", json={"paths": [path]})
                assert (status, [each["path"] for each in json.loads(body)]) == (200, [path])
            assert (await got(client, listing))[0] == 404
