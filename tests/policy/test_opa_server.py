from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from opa_client.opa_async import AsyncOpaClient

from gateway.domain.decision import Effect
from gateway.domain.errors import ConfigError, PolicyError
from gateway.policy.bundle import Bundle
from gateway.policy.opa_server import OpaServerEngine
from tests.contracts.policy_engine import PolicyEngineContract
from tests.opa import OpaServer, opa_server
from tests.policy import hostile, tiny

pytestmark = pytest.mark.opa_server


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny.load(tmp_path)


@pytest.fixture
async def server() -> AsyncIterator[OpaServer]:
    async with opa_server() as running:
        yield running


@pytest.fixture
async def engine(bundle: Bundle, server: OpaServer) -> AsyncIterator[OpaServerEngine]:
    engine = await OpaServerEngine.start(bundle, url=server.url, deadline_s=20)
    yield engine
    await engine.close()


@pytest.fixture
async def hostile_engine(server: OpaServer) -> AsyncIterator[OpaServerEngine]:
    modules = {**hostile.MODULES, "main.rego": hostile.without_recursion()}
    engine = await OpaServerEngine.start(tiny.unchecked(modules), url=server.url, deadline_s=2)
    yield engine
    await engine.close()


class TestContract(PolicyEngineContract):
    pass


async def code_of(engine: OpaServerEngine, repo_id: str) -> str:
    with pytest.raises(PolicyError) as caught:
        await engine.decide(tiny.question(repo_id))
    return caught.value.code


async def test_names_the_version_of_the_server(engine: OpaServerEngine) -> None:
    decision = await engine.decide(tiny.question("good/repo"))
    assert decision.engine.startswith("opa 1.")


async def test_recursion_is_refused_by_the_server_too(server: OpaServer) -> None:
    with pytest.raises(ConfigError, match="recursi"):
        await OpaServerEngine.start(tiny.unchecked(hostile.MODULES), url=server.url)


async def test_a_module_that_does_not_parse_is_never_rewritten(server: OpaServer) -> None:
    broken = {"main.rego": tiny.MAIN, "lib/words.rego": 'package gateway.lib.words\n\nspecial { input.x == "y" }\n'}
    with pytest.raises(ConfigError, match="refuses"):
        await OpaServerEngine.start(tiny.unchecked(broken), url=server.url)


async def test_a_server_that_restarted_empty_gets_the_bundle_again(bundle: Bundle) -> None:
    async with opa_server() as first:
        engine = await OpaServerEngine.start(bundle, url=first.url, deadline_s=20)
    try:
        assert await code_of(engine, "good/repo") == "pdp/unavailable"
        assert await engine.ready() != ""
        async with opa_server(port=first.port):
            assert (await engine.decide(tiny.question("good/repo"))).effect is Effect.ALLOW
            assert (await engine.decide(tiny.question("bad/repo"))).effect is Effect.DENY
    finally:
        await engine.close()


async def test_a_restarted_server_that_someone_else_took_is_an_outage(bundle: Bundle) -> None:
    async with opa_server() as first:
        engine = await OpaServerEngine.start(bundle, url=first.url, deadline_s=20)
    try:
        async with opa_server(port=first.port):
            async with AsyncOpaClient(host="127.0.0.1", port=first.port, retries=0) as client:
                await client.update_policy_from_string("package gateway.x\n\np := 1\n", "theirs", rego_compat=False)
            assert await code_of(engine, "good/repo") == "pdp/unavailable"
    finally:
        await engine.close()


async def test_a_new_bundle_replaces_the_old_and_the_old_engine_decides_no_more(
    bundle: Bundle, engine: OpaServerEngine, server: OpaServer, tmp_path: Path
) -> None:
    changed = tiny.load(tmp_path / "new", {"lib/words.rego": tiny.WORDS.replace('"high"', '"low"')})
    other = await OpaServerEngine.start(changed, url=server.url, deadline_s=20)
    try:
        decision = await other.decide(tiny.question("bad/repo"))
        assert [r.severity for r in decision.reasons] == ["low"]
        assert await code_of(engine, "good/repo") == "pdp/unavailable"
    finally:
        await other.close()


async def test_other_data_on_the_server_is_not_decided_in_our_name(engine: OpaServerEngine, server: OpaServer) -> None:
    async with AsyncOpaClient(host="127.0.0.1", port=server.port, retries=0) as client:
        await client.patch_data("", [{"op": "add", "path": "/model_gateway_bundle/data_digest", "value": "sha256:x"}])
    assert await code_of(engine, "good/repo") == "pdp/unavailable"


async def test_a_foreign_module_in_our_package_is_refused(bundle: Bundle, server: OpaServer) -> None:
    async with AsyncOpaClient(host="127.0.0.1", port=server.port, retries=0) as client:
        await client.update_policy_from_string("package gateway.lib.extra\n\np := 1\n", "theirs", rego_compat=False)
    with pytest.raises(ConfigError, match="'theirs'"):
        await OpaServerEngine.start(bundle, url=server.url)


async def test_a_token_that_the_server_demands_is_sent(bundle: Bundle, tmp_path: Path) -> None:
    authz = tmp_path / "authz.rego"
    authz.write_text(
        'package system.authz\n\ndefault allow := false\n\nallow if input.identity == "s3cret"\n\nallow if input.path == ["health"]\n'
    )
    async with opa_server("--authentication=token", "--authorization=basic", str(authz)) as server:
        engine = await OpaServerEngine.start(bundle, url=server.url, token="s3cret", deadline_s=20)
        assert (await engine.decide(tiny.question("good/repo"))).effect is Effect.ALLOW
        await engine.close()
        with pytest.raises(PolicyError) as caught:
            await OpaServerEngine.start(bundle, url=server.url, token="wrong")
        assert caught.value.code == "pdp/unavailable"
        assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://127.0.0.1:8181", "must be http"),
        ("127.0.0.1:8181", "must be http"),
        ("http://user@127.0.0.1:8181", "must be http"),
        ("http://127.0.0.1:8181/base", "has a path"),
        ("http://127.0.0.1:99999", "is not a url"),
        ("http://opa.internal:8181", "in clear"),
    ],
)
async def test_refuses_urls_it_cannot_honour(bundle: Bundle, url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        await OpaServerEngine.start(bundle, url=url, token="s3cret")


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (500, "{}", "application/json", "pdp/error"),
        (503, "{}", "application/json", "pdp/unavailable"),
        (401, "{}", "application/json", "pdp/unavailable"),
        (200, "<html>", "text/html", "pdp/malformed"),
        (200, "{", "application/json", "pdp/malformed"),
        (200, "[]", "application/json", "pdp/malformed"),
        (200, '{"result": []}', "application/json", "pdp/malformed"),
        (200, "\xff", "application/json; charset=utf-8", "pdp/malformed"),
    ],
)
async def test_what_else_may_answer_at_that_port(
    engine: OpaServerEngine, status: int, body: str, kind: str, code: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body.encode("latin-1"), headers={"Content-Type": kind})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        engine._client.root_url = f"http://127.0.0.1:{port}/v1"
        assert await code_of(engine, "good/repo") == code
    finally:
        await runner.cleanup()
