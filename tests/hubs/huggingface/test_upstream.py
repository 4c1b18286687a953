"""Refs, facts and bytes of the hub, held against the simulated hub with its faults."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from gateway.domain.artifact import Artifact, FileEntry, RefKind, Span
from gateway.domain.errors import (
    IntegrityError,
    UpstreamError,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamThrottled,
    UpstreamUnavailable,
)
from gateway.domain.evidence import Reachable
from gateway.ports import KnownCommit, Resolved
from gateway.simulator import Bytes, Fault, Gate, Sparse
from tests.hubs.huggingface.hub_world import WEIGHTS, model

INFO = "/api/models/demo/tiny*"


async def whole(upstream, artifact, access="anonymous", start=0):
    async with upstream.open(artifact, access, start) as chunks:
        return b"".join([chunk async for chunk in chunks])


# --- what the hub refuses, and what it lacks -------------------------------------------------------------------------


async def test_a_missing_repo_and_a_private_one_look_the_same_without_a_token(upstream):
    for repo_id in ("demo/nothing", "demo/private"):
        with pytest.raises(UpstreamNotFound) as caught:
            await upstream.resolve(model(repo_id), "")
        assert caught.value.what == "repo"


async def test_the_token_opens_a_private_repo_and_says_so(start, sim):
    upstream = await start(token="hf_gateway")
    resolved = await upstream.resolve(model("demo/private"), "")
    assert resolved.access == "gateway_token"
    snapshot = await upstream.snapshot(model("demo/private"), "", resolved.commit, resolved.access)
    assert (snapshot.repo.private, snapshot.repo.access) == (True, "gateway_token")
    artifact = Artifact(model("demo/private"), resolved.commit, snapshot.revision.files[0].entry)
    with pytest.raises(UpstreamError):
        await upstream.read_range(artifact, Span(0, 4), "anonymous")
    assert await upstream.read_range(artifact, Span(2, 8), "gateway_token") == b"secret"


async def test_a_public_repo_is_never_asked_for_with_the_token(start, sim):
    upstream = await start(token="hf_gateway")
    resolved = await upstream.resolve(model(), "")
    assert resolved.access == "anonymous"
    snapshot = await upstream.snapshot(model(), "", resolved.commit, resolved.access)
    await whole(upstream, Artifact(model(), resolved.commit, snapshot.revision.file("config.json").entry))
    with pytest.raises(UpstreamNotFound):
        await upstream.resolve(model(), "no-such-branch")
    assert not any(seen.authorization for seen in sim.requests)


async def test_a_gated_repo_shows_its_facts_and_its_bytes_need_the_token(start):
    stranger, known = await start(), await start(token="hf_gateway")
    resolved = await known.resolve(model("demo/gated"), "")
    assert resolved.access == "anonymous"
    snapshot = await known.snapshot(model("demo/gated"), "", resolved.commit, "anonymous")
    assert (snapshot.repo.gated, snapshot.repo.access) == ("manual", "gateway_token")
    artifact = Artifact(snapshot.repo.repo, resolved.commit, snapshot.revision.file("model.safetensors").entry)
    with pytest.raises(UpstreamRefused) as caught:
        await whole(stranger, artifact)
    assert caught.value.gated
    assert await whole(known, artifact, snapshot.repo.access) == WEIGHTS[:100]
    assert (await stranger.snapshot(model("demo/gated"), "", resolved.commit, "anonymous")).repo.access == "anonymous"


async def test_a_disabled_repo_is_refused_not_gated(upstream):
    artifact = Artifact(model("demo/disabled"), "a" * 40, FileEntry("config.json", 2, "a" * 40))
    for read in (upstream.resolve(model("demo/disabled"), ""), whole(upstream, artifact)):
        with pytest.raises(UpstreamRefused) as caught:
            await read
        assert not caught.value.gated


async def test_an_unknown_revision_is_told_from_an_unknown_repo(upstream):
    for ref in ("no-such-branch", "f" * 40, "refs/pr/99"):
        with pytest.raises(UpstreamNotFound) as caught:
            await upstream.resolve(model(), ref)
        assert caught.value.what == "revision"


async def test_a_token_that_the_hub_rejects_is_our_fault_not_an_absence(start, sim):
    sim.faults.add(Fault(INFO, status=401, headers={"X-Error-Message": "Invalid credentials in Authorization header"}))
    upstream = await start(token="hf_wrong")
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.resolve(model(), "")
    assert caught.value.code == "upstream/bad-token"
    assert "hf_wrong" not in str(caught.value)


# --- refs and facts --------------------------------------------------------------------------------------------------


async def test_refs_resolve_to_commits(upstream, world):
    head, first = world["demo/tiny"].main, next(iter(world["demo/tiny"].commits))
    for ref in ("", "main", "v1.0", head.id):
        assert await upstream.resolve(model(), ref) == Resolved(head.id, "anonymous")
    assert (await upstream.resolve(model(), first)).commit == first


async def test_a_prefix_of_a_commit_resolves_as_tombstones_need(upstream, world):
    head = world["demo/tiny"].main.id
    assert (await upstream.resolve(model(), head[:26])).commit == head


async def test_a_renamed_repo_is_followed_and_known_by_its_own_id(upstream, world):
    resolved = await upstream.resolve(model("demo/old-name"), "main")
    snapshot = await upstream.snapshot(model("demo/old-name"), "main", resolved.commit, "anonymous")
    assert snapshot.repo.repo == model("demo/tiny")


async def test_the_facts_of_a_revision(upstream, world):
    tiny = world["demo/tiny"]
    snapshot = await upstream.snapshot(model(), "main", tiny.main.id, "anonymous")
    repo, revision = snapshot.repo, snapshot.revision
    assert (repo.publisher, repo.library, repo.pipeline) == ("demo", "transformers", "text-generation")
    assert len(repo.stable_key) == 24
    assert (repo.license.declared, repo.license.spdx, repo.license.source) == (("apache-2.0",), "Apache-2.0", "card")
    assert [(p.id, p.relation) for p in repo.lineage] == [("demo/base", "quantized")]
    assert repo.auto_map == ("modeling_tiny.Tiny", "tok.A")
    assert (repo.downloads, repo.likes, repo.gated, repo.private, repo.disabled) == (7, 3, "no", False, False)
    assert repo.created_at.startswith("2025-01-15T10:00:00")
    assert (revision.commit, revision.ref, revision.ref_kind) == (tiny.main.id, "main", RefKind.BRANCH)
    assert revision.reachable is Reachable.YES
    assert revision.committed_at.startswith(tiny.main.date.strftime("%Y-%m-%dT%H:%M:%S"))
    assert revision.files_complete
    assert [(v.path, v.vendor, v.level) for v in revision.hub_verdicts] == [
        ("model.safetensors", "huggingface", "unsafe")
    ]
    weights = revision.file("model.safetensors")
    assert weights.entry.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert weights.format_guess == "safetensors"
    assert revision.file("empty.txt").format_guess == "empty"
    assert revision.file("sub dir/größe [1].txt").entry.size_bytes == 8
    assert "xet" not in str(snapshot.tree).lower()


async def test_ref_kinds_and_reachability(upstream, world):
    tiny = world["demo/tiny"]
    old = next(iter(tiny.commits))
    side = tiny.commit({"evil.py": "import os"}, branch="side")
    number = tiny.pull_request({"evil.bin": b"x"})
    proposed = tiny.pull_requests[number].head
    expected = {
        ("v1.0", tiny.main.id): (RefKind.TAG, Reachable.YES),
        ("side", side): (RefKind.BRANCH, Reachable.NO),
        (f"refs/pr/{number}", proposed): (RefKind.PULL_REQUEST, Reachable.NO),
        (proposed, proposed): (RefKind.COMMIT, Reachable.NO),
        (old, old): (RefKind.COMMIT, Reachable.YES),
        (old[:8], old): (RefKind.COMMIT, Reachable.YES),
    }
    for (ref, commit), (kind, reachable) in expected.items():
        revision = (await upstream.snapshot(model(), ref, commit, "anonymous")).revision
        assert (revision.ref_kind, revision.reachable) == (kind, reachable), ref
        assert revision.committed_at, ref


async def test_a_walk_that_is_capped_says_unknown(start, world):
    tiny = world["demo/tiny"]
    old = next(iter(tiny.commits))
    upstream = await start(commit_pages=0)
    revision = (await upstream.snapshot(model(), old, old, "anonymous")).revision
    assert revision.reachable is Reachable.UNKNOWN


async def test_an_answer_for_another_commit_is_refused(upstream, world, sim):
    old, new = list(world["demo/tiny"].commits)
    body = b'{"id":"demo/tiny","sha":"%s"}' % new.encode()
    sim.faults.add(Fault(f"/api/models/demo/tiny/revision/{old}", status=200, body=body))
    for read in (upstream.resolve(model(), old), upstream.snapshot(model(), "", old, "anonymous")):
        with pytest.raises(UpstreamUnavailable) as caught:
            await read
        assert caught.value.code == "upstream/malformed"


async def test_forwarded_reads(upstream, world):
    tiny = world["demo/tiny"]
    commit = ("commit", (tiny.main.id,))
    refs = await upstream.forward(model(), "refs", dict([commit]), "anonymous")
    assert refs["branches"][0]["targetCommit"] == tiny.main.id
    tree = await upstream.forward(
        model(), "tree", dict([commit, ("path", ("onnx",)), ("expand", ("true",))]), "anonymous"
    )
    assert [row["path"] for row in tree] == ["onnx/deep"]
    rows = await upstream.forward(
        model(), "paths_info", dict([commit, ("paths", ("config.json", "no")), ("expand", ("true",))]), "anonymous"
    )
    assert [row["path"] for row in rows] == ["config.json"]
    info = await upstream.forward(model(), "info", dict([commit, ("expand", ("sha", "tags"))]), "anonymous")
    assert info["sha"] == tiny.main.id


# --- bytes -----------------------------------------------------------------------------------------------------------


async def test_whole_files_and_ranges(upstream, tiny):
    weights, small, empty = tiny("model.safetensors"), tiny("config.json"), tiny("empty.txt")
    assert await whole(upstream, weights) == WEIGHTS
    assert await whole(upstream, weights, start=1000) == WEIGHTS[1000:]
    assert await whole(upstream, weights, start=len(WEIGHTS)) == b""
    assert await upstream.read_range(weights, Span(8, 20), "anonymous") == WEIGHTS[8:20]
    assert await upstream.read_range(weights, Span(0, len(WEIGHTS)), "anonymous") == WEIGHTS
    assert await whole(upstream, small) == b'{"model_type":"bert"}'
    assert await upstream.read_range(small, Span(1, 3), "anonymous") == b'"m'
    assert await upstream.read_range(small, Span(3, 3), "anonymous") == b""
    assert await whole(upstream, empty) == b""
    assert await whole(upstream, tiny("sub dir/größe [1].txt")) == b"odd name"


async def test_a_signed_address_is_asked_for_once_until_it_nearly_expires(upstream, tiny, sim, clock):
    weights = tiny("model.safetensors")
    sim.clear()
    for start in range(5):
        await upstream.read_range(weights, Span(start, start + 10), "anonymous")
    assert (len(sim.traffic.matching(host="hub")), len(sim.traffic.matching(host="cdn"))) == (1, 5)
    clock.advance(2 * 3600)
    await upstream.read_range(weights, Span(0, 10), "anonymous")
    assert len(sim.traffic.matching(host="hub")) == 2


async def test_an_address_that_died_early_is_asked_for_anew(upstream, tiny, sim):
    weights = tiny("model.safetensors")
    await upstream.read_range(weights, Span(0, 10), "anonymous")
    sim.faults.add(Fault(host="cdn", times=1, status=403, body=b"expired"))
    assert await upstream.read_range(weights, Span(5, 10), "anonymous") == WEIGHTS[5:10]


async def test_the_token_never_reaches_the_cdn(start, sim, world):
    upstream = await start(token="hf_gateway")
    snapshot = await upstream.snapshot(model("demo/gated"), "", world["demo/gated"].main.id, "anonymous")
    artifact = Artifact(
        model("demo/gated"), snapshot.revision.commit, snapshot.revision.file("model.safetensors").entry
    )
    assert await whole(upstream, artifact, "gateway_token") == WEIGHTS[:100]
    cdn = sim.traffic.matching(host="cdn")
    assert cdn
    assert not any(seen.authorization for seen in cdn)
    assert any(seen.authorization for seen in sim.traffic.matching(host="hub"))


async def test_bytes_of_a_renamed_repo_are_checked_behind_the_redirect(upstream, tiny, sim):
    weights = Artifact(model("demo/old-name"), tiny("config.json").commit, tiny("model.safetensors").entry)
    assert await upstream.read_range(weights, Span(0, 10), "anonymous") == WEIGHTS[:10]
    sim.faults.add(Fault("/demo/tiny/resolve/*", host="hub", etag="f" * 64))
    small = Artifact(model("demo/old-name"), weights.commit, tiny("onnx/deep/model.onnx").entry)
    with pytest.raises(IntegrityError):
        await whole(upstream, small)


async def test_after_an_etag_change_the_next_read_starts_anew(upstream, tiny, sim):
    weights = tiny("model.safetensors")
    await upstream.read_range(weights, Span(0, 10), "anonymous")
    sim.faults.add(Fault("*model.safetensors", host="cdn", etag="f" * 64, times=1))
    with pytest.raises(IntegrityError):
        await upstream.read_range(weights, Span(10, 20), "anonymous")
    assert await upstream.read_range(weights, Span(10, 20), "anonymous") == WEIGHTS[10:20]


async def test_a_range_that_is_ignored_is_refused(upstream, tiny, sim):
    sim.faults.add(Fault("*model.safetensors", ignore_range=True))
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.read_range(tiny("model.safetensors"), Span(8, 20), "anonymous")
    assert caught.value.code == "upstream/range-ignored"
    with pytest.raises(UpstreamUnavailable):
        await whole(upstream, tiny("model.safetensors"), start=10)


async def test_another_etag_on_the_second_read_is_an_integrity_error(upstream, tiny, sim):
    weights = tiny("model.safetensors")
    await upstream.read_range(weights, Span(0, 10), "anonymous")
    sim.faults.add(Fault("*model.safetensors", host="cdn", etag="f" * 64))
    with pytest.raises(IntegrityError):
        await upstream.read_range(weights, Span(10, 20), "anonymous")


async def test_a_hub_that_names_other_bytes_than_its_listing_is_an_integrity_error(upstream, tiny, sim):
    sim.faults.add(Fault("*", host="hub", etag="f" * 64))
    with pytest.raises(IntegrityError):
        await whole(upstream, tiny("model.safetensors"))
    sim.faults.clear()
    sim.faults.add(Fault("*", host="hub", etag="f" * 40))
    with pytest.raises(IntegrityError):
        await whole(upstream, tiny("config.json"))


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
async def test_another_commit_or_size_in_the_headers_is_an_integrity_error(upstream, tiny, sim, path):
    for headers in ({"X-Repo-Commit": "a" * 40}, {"X-Linked-Size": "5"}):
        sim.faults.add(Fault("/demo/tiny/resolve/*", host="hub", headers=headers))
        with pytest.raises(IntegrityError):
            await upstream.read_range(tiny(path), Span(0, 5), "anonymous")
        sim.faults.clear()


async def test_a_body_of_another_length_is_an_integrity_error(upstream, tiny, sim):
    sim.faults.add(Fault("*model.safetensors", content=Bytes(WEIGHTS + b"more")))
    with pytest.raises(IntegrityError):
        await whole(upstream, tiny("model.safetensors"))
    with pytest.raises(IntegrityError):
        await upstream.read_range(tiny("model.safetensors"), Span(0, 10), "anonymous")


async def test_a_chunked_body_that_goes_on_too_long_is_an_integrity_error(upstream, tiny, sim):
    sim.faults.add(Fault("*model.safetensors", content=Bytes(WEIGHTS + b"more"), chunked=True))
    with pytest.raises(IntegrityError):
        await whole(upstream, tiny("model.safetensors"))


async def test_a_chunked_body_that_ends_politely_too_early_is_never_taken_for_whole(upstream, tiny, sim):
    sim.faults.add(Fault("*model.safetensors", content=Bytes(WEIGHTS[:100]), chunked=True))
    with pytest.raises(UpstreamUnavailable):
        await whole(upstream, tiny("model.safetensors"))
    with pytest.raises(UpstreamUnavailable):
        await upstream.read_range(tiny("model.safetensors"), Span(0, len(WEIGHTS)), "anonymous")


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_that_is_cut_is_never_taken_for_whole(upstream, tiny, sim, chunked):
    weights = tiny("model.safetensors")
    sim.faults.add(Fault("*model.safetensors", truncate_at=1000, chunked=chunked or None))
    with pytest.raises(UpstreamUnavailable):
        await whole(upstream, weights)
    with pytest.raises(UpstreamUnavailable):
        await upstream.read_range(weights, Span(0, 5000), "anonymous")


async def test_a_range_read_survives_a_cut_and_a_reset(upstream, tiny, sim):
    weights = tiny("model.safetensors")
    sim.faults.add(Fault("*model.safetensors", truncate_at=100, times=1))
    assert await upstream.read_range(weights, Span(0, 5000), "anonymous") == WEIGHTS[:5000]
    sim.faults.clear()
    sim.faults.add(Fault("*model.safetensors", reset_at=100, times=1))
    assert await upstream.read_range(weights, Span(0, 5000), "anonymous") == WEIGHTS[:5000]


async def test_a_reader_may_leave_early(upstream, tiny, sim):
    for _ in range(3):
        async with upstream.open(tiny("model.safetensors"), "anonymous") as chunks:
            async for _chunk in chunks:
                break
    assert await whole(upstream, tiny("model.safetensors")) == WEIGHTS


async def test_connections_are_used_again_over_redirects_and_errors(start):
    peers = set()

    async def answer(request):
        peers.add(request.transport.get_extra_info("peername"))
        if request.path.endswith("/resolve/" + "a" * 40 + "/f"):
            return web.Response(status=307, headers={"Location": "/elsewhere"}, text="see there")
        if request.path == "/elsewhere":
            return web.Response(body=b"x")
        return web.Response(status=404, headers={"X-Error-Code": "RepoNotFound"}, text="no")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        upstream = await start(endpoint=f"http://127.0.0.1:{runner.addresses[0][1]}")
        for _ in range(3):
            assert await whole(upstream, Artifact(model(), "a" * 40, FileEntry("f", 1, "b" * 40))) == b"x"
            with pytest.raises(UpstreamNotFound):
                await upstream.resolve(model(), "")
    finally:
        await runner.cleanup()
    assert len(peers) == 1


async def test_a_small_file_that_is_not_small_is_refused_unasked(upstream, sim):
    sim.clear()
    entry = FileEntry("notes.txt", (10 << 20) + 1, "a" * 40)
    artifact = Artifact(model(), "b" * 40, entry)
    for read in (whole(upstream, artifact), upstream.read_range(artifact, Span(0, 1), "anonymous")):
        with pytest.raises(UpstreamUnavailable) as caught:
            await read
        assert caught.value.code == "upstream/too-large"
    assert sim.requests == []


async def test_a_large_file_streams_in_bounded_chunks(upstream, world):
    size = 9 * 1024 * 1024
    world.repo("demo/big").commit({"big.bin": Sparse(size, ((0, b"HEAD"),), seed=3)})
    resolved = await upstream.resolve(model("demo/big"), "")
    snapshot = await upstream.snapshot(model("demo/big"), "", resolved.commit, "anonymous")
    artifact = Artifact(model("demo/big"), resolved.commit, snapshot.revision.files[0].entry)
    hashed, sizes = hashlib.sha256(), []
    async with upstream.open(artifact, "anonymous") as chunks:
        async for chunk in chunks:
            hashed.update(chunk)
            sizes.append(len(chunk))
    assert hashed.hexdigest() == artifact.entry.sha256
    assert max(sizes) <= 1 << 20


# --- waiting and trying again ----------------------------------------------------------------------------------------


async def test_a_server_error_is_tried_again_with_a_pause(upstream, sim, waits):
    sim.faults.add(Fault(INFO, times=2, status=503))
    assert (await upstream.resolve(model(), "")).access == "anonymous"
    assert len(waits.slept_s) == 2


async def test_a_lasting_outage_is_unavailable_and_a_client_error_is_not_tried_again(upstream, sim):
    sim.faults.add(Fault(INFO, status=500))
    sim.clear()
    with pytest.raises(UpstreamUnavailable):
        await upstream.resolve(model(), "")
    assert len(sim.requests) == 3
    sim.faults.clear()
    sim.faults.add(Fault(INFO, status=418))
    sim.clear()
    with pytest.raises(UpstreamUnavailable):
        await upstream.resolve(model(), "")
    assert len(sim.requests) == 1


async def test_a_short_rate_limit_is_waited_out(upstream, sim, waits):
    sim.faults.add(Fault(INFO, times=1, status=429, headers={"Retry-After": "3"}))
    assert (await upstream.resolve(model(), "")).access == "anonymous"
    assert sum(waits.slept_s) == pytest.approx(3, abs=0.5)


async def test_a_long_rate_limit_is_shared_by_all_requests_without_asking_again(upstream, sim, waits):
    sim.faults.add(Fault(INFO, times=1, status=429, headers={"RateLimit": '"api";r=0;t=120'}))
    with pytest.raises(UpstreamThrottled) as caught:
        await upstream.resolve(model(), "")
    assert caught.value.retry_after_s == pytest.approx(120, abs=2)
    sim.clear()
    with pytest.raises(UpstreamThrottled):
        await upstream.resolve(model("demo/gated"), "")
    assert sim.requests == []
    waits.now_s += 121
    assert (await upstream.resolve(model("demo/gated"), "")).access == "anonymous"


async def test_a_storm_of_429_ends_within_the_budget(upstream, sim, waits):
    sim.faults.add(Fault(INFO, status=429, headers={"Retry-After": "2"}))
    with pytest.raises(UpstreamThrottled):
        await upstream.resolve(model(), "")
    assert sum(s for s in waits.slept_s if s >= 1.5) <= 5


async def test_an_exhausted_limit_on_a_good_answer_holds_the_next_request_back(upstream, sim):
    sim.faults.add(Fault(INFO, times=1, headers={"RateLimit": '"api";r=0;t=90'}))
    await upstream.resolve(model(), "")
    with pytest.raises(UpstreamThrottled):
        await upstream.resolve(model(), "")


async def test_silence_is_a_timeout(start, sim):
    gate = Gate()
    sim.faults.add(Fault(INFO, gate=gate))
    upstream = await start(read_timeout_s=0.05, attempts=1)
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.resolve(model(), "")
    gate.open()
    assert caught.value.timeout


async def test_a_listing_that_drips_for_ever_is_a_timeout(start, sim):
    gate = Gate()
    sim.faults.add(Fault(INFO, stall_at=1, stall_gate=gate))
    upstream = await start(listing_timeout_s=0.05, attempts=1)
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.resolve(model(), "")
    gate.open()
    assert caught.value.timeout


async def test_a_hub_that_is_down_is_unavailable(start):
    upstream = await start(endpoint="http://127.0.0.1:1")
    with pytest.raises(UpstreamUnavailable):
        await upstream.resolve(model(), "")


# --- hostile answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b"null",
        b'{"sha":"main"}',
        b'{"sha":"%s"}' % (b"A" * 40),
        b'{"id":"demo/tiny"}',
        b"[" * 100_000,
        b'{"sha":"' + b"a" * 40 + b'","x":' + b"[" * 70 + b"]" * 70 + b"}",
        b"\xff\xfe",
    ],
)
async def test_an_answer_that_is_no_info_is_malformed(upstream, sim, body):
    sim.faults.add(Fault(INFO, status=200, body=body))
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.resolve(model(), "")
    assert caught.value.code == "upstream/malformed"


async def test_a_huge_listing_is_cut_off(start, sim):
    sim.faults.add(Fault(INFO, status=200, body=b" " * 65536, repeat=64))
    upstream = await start(listing_bytes=1 << 20)
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.resolve(model(), "")
    assert caught.value.code == "upstream/too-large"


@pytest.mark.parametrize("repo_id", ["../x", "a/b/c", "datasets/x", 7, "evil--x/y", ""])
async def test_a_canonical_id_that_is_no_repo_id_is_malformed(upstream, sim, world, repo_id):
    import json

    commit = world["demo/tiny"].main.id
    sim.faults.add(Fault(INFO, status=200, body=json.dumps({"id": repo_id, "sha": commit}).encode()))
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.snapshot(model(), "", commit, "anonymous")
    assert caught.value.code == "upstream/malformed"


@pytest.mark.parametrize(
    "location",
    [
        "http://evil.example/x",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1/x",
        "http://user:pass@127.0.0.1/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1/x",
        "//evil.example/x",
        "http://[::1]/x",
        "",
    ],
)
async def test_redirects_to_foreign_places_are_not_followed(upstream, tiny, sim, location):
    sim.faults.add(Fault("/demo/tiny/resolve/*", host="hub", status=302, location=location))
    with pytest.raises(UpstreamUnavailable) as caught:
        await whole(upstream, tiny("model.safetensors"))
    assert caught.value.code in ("upstream/redirect-refused", "upstream/malformed")


async def test_a_listing_is_not_redirected_even_to_the_cdn(upstream, sim):
    sim.faults.add(Fault(INFO, status=302, location=sim.cdn_url + "/x"))
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.resolve(model(), "")
    assert caught.value.code == "upstream/redirect-refused"


async def test_a_circle_of_redirects_ends(upstream, sim):
    sim.faults.add(Fault(INFO, status=307, location="/api/models/demo/tiny"))
    with pytest.raises(UpstreamUnavailable):
        await upstream.resolve(model(), "")


async def test_the_token_does_not_follow_a_redirect_to_another_host(start, sim):
    """An allow-listed host still gets no credential, and a foreign one nothing at all."""
    seen = []

    async def answer(request):
        seen.append(dict(request.headers))
        return web.Response(text="x")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        upstream = await start(token="hf_gateway", redirect_hosts=(host,))
        sim.faults.add(Fault("/demo/private/resolve/*", host="hub", status=302, location=f"http://{host}/x"))
        resolved = await upstream.resolve(model("demo/private"), "")
        artifact = Artifact(model("demo/private"), resolved.commit, FileEntry("config.json", 1, "a" * 40))
        assert await whole(upstream, artifact, "gateway_token") == b"x"
    finally:
        await runner.cleanup()
    assert len(seen) == 1
    assert "Authorization" not in seen[0]
    assert "hf_gateway" not in str(seen)


async def test_next_pages_are_not_fetched_from_another_host(upstream, sim, world):
    sim.faults.add(Fault("*/tree/*", headers={"Link": '<http://evil.example/p2>; rel="next"'}))
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.snapshot(model(), "", world["demo/tiny"].main.id, "anonymous")
    assert caught.value.code == "upstream/malformed"


async def test_a_tree_of_many_pages_is_whole_and_a_capped_one_says_so(start, world):
    many = {f"f{n:05}.txt": b"x" for n in range(1500)}
    world.repo("demo/many").commit(many)
    commit = world["demo/many"].main.id
    full = (await (await start()).snapshot(model("demo/many"), "", commit, "anonymous")).revision
    assert (len(full.files), full.files_complete) == (1500, True)
    capped = (await (await start(tree_pages=1)).snapshot(model("demo/many"), "", commit, "anonymous")).revision
    assert len(capped.files) < 1500
    assert not capped.files_complete


async def test_private_addresses_are_refused_before_and_after_dns(start, sim):
    literal = await start(allow_private=False)
    named = await start(allow_private=False, endpoint=f"http://localhost:{urlsplit(sim.hub_url).port}")
    sim.clear()
    for upstream in (literal, named):
        with pytest.raises(UpstreamUnavailable) as caught:
            await upstream.resolve(model(), "")
        assert caught.value.code == "upstream/address-refused"
    assert sim.requests == []


async def test_secrets_stay_out_of_errors(start, sim):
    signed = sim.cdn_url + "/x?Signature=verysecret"
    sim.faults.add(Fault("/demo/tiny/resolve/*", host="hub", status=302, location=signed))
    sim.faults.add(Fault(host="cdn", drop=True))
    upstream = await start(token="hf_gateway")
    resolved = await upstream.resolve(model(), "")
    snapshot = await upstream.snapshot(model(), "", resolved.commit, "anonymous")
    artifact = Artifact(model(), resolved.commit, snapshot.revision.file("model.safetensors").entry)
    with pytest.raises(UpstreamUnavailable) as caught:
        await whole(upstream, artifact, "gateway_token")
    chain = repr(caught.value) + repr(caught.value.__cause__) + str(caught.value.__suppress_context__)
    assert "verysecret" not in chain
    assert "hf_gateway" not in chain


async def test_what_cannot_change_of_a_commit_is_not_asked_for_again(upstream, world, sim):
    old, head = list(world["demo/tiny"].commits)
    for ref, commit in (("main", head), (old, old)):
        first = await upstream.snapshot(model(), ref, commit, "anonymous")
        sim.clear()
        world["demo/tiny"].gated = "auto"
        again = await upstream.snapshot(model(), ref, commit, "anonymous", KnownCommit(first, is_fresh=False))
        assert [seen.path for seen in sim.requests] == [f"/api/models/demo/tiny/revision/{commit}"]
        assert (again.repo.gated, again.revision) == ("auto", first.revision)
        sim.clear()
        for text in ("main", "", commit, "refs/pr/1"):
            await upstream.snapshot(model(), text, commit, "anonymous", KnownCommit(first, is_fresh=True))
        assert not sim.requests
        world["demo/tiny"].gated = False


async def test_a_cold_revision_of_the_default_branch_takes_three_questions(upstream, world, sim):
    head = world["demo/tiny"].main.id
    await upstream.snapshot(model(), "main", head, "anonymous")
    assert sorted(seen.target.partition("?")[0] for seen in sim.requests) == [
        f"/api/models/demo/tiny/commits/{head}",
        f"/api/models/demo/tiny/revision/{head}",
        f"/api/models/demo/tiny/tree/{head}",
    ]
