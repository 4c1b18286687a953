"""What every ports.Upstream must do. A test module subclasses UpstreamContract and gives the fixture `bench`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import pytest

from gateway.domain.artifact import Artifact, FileEntry, RefKind, Repo, RepoType, Span
from gateway.domain.errors import IntegrityError, UpstreamError, UpstreamNotFound, UpstreamUnavailable
from gateway.domain.evidence import Reachable
from gateway.ports import KnownCommit, Resolved, Upstream

REPO = Repo("huggingface", RepoType.MODEL, "org/model")
SECRET = Repo("huggingface", RepoType.MODEL, "org/secret")
NOWHERE = Repo("huggingface", RepoType.MODEL, "org/nothing")
ABSENT = "f" * 40
WEIGHTS = bytes(range(256)) * 1024
FILES = {"model.bin": WEIGHTS, "config.json": b'{"a":1}', "empty.txt": b"", "sub/größe [1].txt": b"odd name"}
SPANS = [Span(0, 1), Span(8, 20), Span(len(WEIGHTS) - 1, len(WEIGHTS)), Span(0, len(WEIGHTS)), Span(5, 5)]
OUTSIDE = [Span(0, 8), Span(7, 8), Span(8, 9), Span(-1, 3), Span(3, 2)]  # of the 7 bytes of config.json
A = "anonymous"


class UpstreamBench(Protocol):
    """An empty hub, the upstream that asks it (and holds a token that opens private repos), and what goes wrong."""

    upstream: Upstream

    def publish(self, repo: Repo, files: Mapping[str, bytes], *, private: bool = False) -> str:
        """Add the files to `main` in a new commit, and return its id. `*.bin` are LFS files."""
        ...

    def tag(self, repo: Repo, name: str) -> None: ...

    def cut_bodies_at(self, sent_bytes: int) -> None:
        """From now on every body of a file ends after so many bytes."""
        ...

    def go_down(self) -> None: ...

    def come_up(self) -> None: ...


async def artifact_of(bench: UpstreamBench, path: str, repo: Repo = REPO) -> Artifact:
    resolved = await bench.upstream.resolve(repo, "")
    snapshot = await bench.upstream.snapshot(repo, "", resolved.commit, resolved.access)
    facts = snapshot.revision.file(path)
    assert facts is not None
    return Artifact(repo, resolved.commit, facts.entry)


async def whole(upstream: Upstream, artifact: Artifact, access: str = A, start: int = 0) -> bytes:
    async with upstream.open(artifact, access, start) as chunks:
        return b"".join([chunk async for chunk in chunks])


class UpstreamContract:
    async def test_every_ref_resolves_to_its_commit(self, bench: UpstreamBench) -> None:
        first = bench.publish(REPO, {"README.md": b"v1"})
        bench.tag(REPO, "v1")
        second = bench.publish(REPO, FILES)
        for ref, commit in {"": second, "main": second, "v1": first, first: first, second: second}.items():
            assert await bench.upstream.resolve(REPO, ref) == Resolved(commit, A), ref

    async def test_a_branch_is_followed_when_it_moves(self, bench: UpstreamBench) -> None:
        first = bench.publish(REPO, FILES)
        assert (await bench.upstream.resolve(REPO, "main")).commit == first
        second = bench.publish(REPO, {"README.md": b"v2"})
        assert (await bench.upstream.resolve(REPO, "main")).commit == second != first

    async def test_a_missing_repo_is_told_by_every_question(self, bench: UpstreamBench) -> None:
        gone = Artifact(NOWHERE, ABSENT, FileEntry("config.json", 7, "a" * 40))
        for question in (
            bench.upstream.resolve(NOWHERE, ""),
            bench.upstream.resolve(NOWHERE, "main"),
            bench.upstream.snapshot(NOWHERE, "main", ABSENT, A),
            bench.upstream.forward(NOWHERE, "refs", {}, A),
            bench.upstream.read_range(gone, Span(0, 1), A),
            whole(bench.upstream, gone),
        ):
            assert await _absent(question) == "repo"

    @pytest.mark.parametrize("ref", ["no-such-branch", ABSENT, "refs/pr/99"])
    async def test_a_missing_revision_is_told_from_a_missing_repo(self, bench: UpstreamBench, ref: str) -> None:
        bench.publish(REPO, FILES)
        assert await _absent(bench.upstream.resolve(REPO, ref)) == "revision"
        assert await _absent(bench.upstream.snapshot(REPO, ref, ABSENT, A)) == "revision"

    async def test_a_missing_file_is_told_from_both(self, bench: UpstreamBench) -> None:
        commit = bench.publish(REPO, FILES)
        gone = Artifact(REPO, commit, FileEntry("gone.json", 7, "a" * 40))
        assert await _absent(bench.upstream.read_range(gone, Span(0, 1), A)) == "entry"
        assert await _absent(whole(bench.upstream, gone)) == "entry"

    async def test_a_snapshot_holds_the_facts_and_every_file_with_its_digest(self, bench: UpstreamBench) -> None:
        commit = bench.publish(REPO, FILES)
        snapshot = await bench.upstream.snapshot(REPO, "main", commit, A)
        repo, revision = snapshot.repo, snapshot.revision
        assert (repo.repo, repo.publisher, repo.access, repo.private) == (REPO, "org", A, False)
        assert (revision.commit, revision.ref, revision.files_complete) == (commit, "main", True)
        assert revision.reachable is Reachable.YES
        listed = {file.entry.path: file.entry for file in revision.files}
        assert {path: entry.size_bytes for path, entry in listed.items()} == {p: len(d) for p, d in FILES.items()}
        assert listed["model.bin"].sha256 == hashlib.sha256(WEIGHTS).hexdigest()
        blob = b"blob 7\0" + FILES["config.json"]
        assert (listed["config.json"].is_lfs, listed["config.json"].git_oid) == (False, hashlib.sha1(blob).hexdigest())

    async def test_a_snapshot_is_of_its_commit_and_tells_how_it_was_asked_for(self, bench: UpstreamBench) -> None:
        first = bench.publish(REPO, {"README.md": b"v1"})
        bench.tag(REPO, "v1")
        second = bench.publish(REPO, FILES)
        for ref, commit, kind in (
            ("main", second, RefKind.BRANCH),
            ("v1", first, RefKind.TAG),
            (first, first, RefKind.COMMIT),
        ):
            revision = (await bench.upstream.snapshot(REPO, ref, commit, A)).revision
            assert (revision.commit, revision.ref_kind) == (commit, kind)
            assert (revision.file("model.bin") is None) is (commit == first)

    async def test_a_known_commit_is_told_by_another_ref_as_if_it_were_asked_for(self, bench: UpstreamBench) -> None:
        commit = bench.publish(REPO, FILES)
        bench.tag(REPO, "v1")
        first = await bench.upstream.snapshot(REPO, "main", commit, A)
        for ref in ("main", "v1", commit):
            plain = await bench.upstream.snapshot(REPO, ref, commit, A)
            for is_fresh in (False, True):
                again = await bench.upstream.snapshot(REPO, ref, commit, A, KnownCommit(first, is_fresh))
                assert (again.revision, again.tree) == (plain.revision, plain.tree)

    async def test_a_stable_key_stays_with_its_repo(self, bench: UpstreamBench) -> None:
        other = replace(REPO, id="org/other")
        commits = [bench.publish(repo, FILES | {"n": bytes([n])}) for n, repo in enumerate((REPO, REPO, other))]
        repos = zip((REPO, REPO, other), commits, strict=True)
        keys = [(await bench.upstream.snapshot(r, "main", c, A)).repo.stable_key for r, c in repos]
        assert keys[0] == keys[1] != keys[2]
        assert all(keys)

    async def test_what_only_the_token_opens_says_so_and_stays_shut_without_it(self, bench: UpstreamBench) -> None:
        commit = bench.publish(SECRET, FILES, private=True)
        assert await bench.upstream.resolve(SECRET, "main") == Resolved(commit, "gateway_token")
        repo = (await bench.upstream.snapshot(SECRET, "main", commit, "gateway_token")).repo
        assert (repo.private, repo.access) == (True, "gateway_token")
        artifact = await artifact_of(bench, "model.bin", SECRET)
        assert await bench.upstream.read_range(artifact, Span(1, 3), "gateway_token") == WEIGHTS[1:3]
        for question in (
            bench.upstream.snapshot(SECRET, "main", commit, A),
            bench.upstream.read_range(artifact, Span(0, 3), A),
            bench.upstream.forward(SECRET, "refs", {}, A),
        ):
            with pytest.raises(UpstreamError):
                await question

    @pytest.mark.parametrize("span", SPANS, ids=str)
    async def test_a_range_is_exactly_its_bytes(self, bench: UpstreamBench, span: Span) -> None:
        bench.publish(REPO, FILES)
        artifact = await artifact_of(bench, "model.bin")
        assert await bench.upstream.read_range(artifact, span, A) == WEIGHTS[span.start : span.end]

    @pytest.mark.parametrize("span", OUTSIDE, ids=str)
    async def test_a_range_outside_the_file_is_never_asked_for(self, bench: UpstreamBench, span: Span) -> None:
        bench.publish(REPO, FILES)
        with pytest.raises(ValueError, match="outside"):
            await bench.upstream.read_range(await artifact_of(bench, "config.json"), span, A)

    @pytest.mark.parametrize("path", list(FILES))
    async def test_a_file_streams_from_any_offset_to_its_end(self, bench: UpstreamBench, path: str) -> None:
        bench.publish(REPO, FILES)
        artifact, data = await artifact_of(bench, path), FILES[path]
        for start in {0, len(data) // 2, len(data)}:
            assert await whole(bench.upstream, artifact, start=start) == data[start:]
        for start in (-1, len(data) + 1):
            with pytest.raises(ValueError, match="outside"):
                await whole(bench.upstream, artifact, start=start)

    async def test_a_stream_may_be_left_early_and_many_do_not_mix(self, bench: UpstreamBench) -> None:
        bench.publish(REPO, FILES)
        artifact = await artifact_of(bench, "model.bin")
        async with bench.upstream.open(artifact, A) as chunks:
            assert WEIGHTS.startswith(await anext(chunks))
        starts = range(0, len(WEIGHTS), 10_007)
        found = await asyncio.gather(*(whole(bench.upstream, artifact, start=start) for start in starts))
        assert found == [WEIGHTS[start:] for start in starts]

    @pytest.mark.parametrize("path", ["model.bin", "config.json"])
    async def test_bytes_of_another_digest_are_never_handed_out(self, bench: UpstreamBench, path: str) -> None:
        bench.publish(REPO, FILES)
        artifact = await artifact_of(bench, path)
        sha256 = "f" * 64 if artifact.entry.is_lfs else None
        other = replace(artifact, entry=replace(artifact.entry, git_oid="f" * 40, sha256=sha256))
        with pytest.raises(IntegrityError):
            await bench.upstream.read_range(other, Span(0, 3), A)
        with pytest.raises(IntegrityError):
            await whole(bench.upstream, other)

    async def test_a_body_that_is_cut_short_is_never_taken_for_whole(self, bench: UpstreamBench) -> None:
        bench.publish(REPO, FILES)
        artifact = await artifact_of(bench, "model.bin")
        bench.cut_bodies_at(1000)
        got = bytearray()

        async def drain() -> None:
            async with bench.upstream.open(artifact, A) as chunks:
                async for chunk in chunks:
                    got.extend(chunk)

        with pytest.raises(UpstreamUnavailable):
            await drain()
        assert bytes(got) == WEIGHTS[: len(got)]
        assert len(got) <= 1000
        with pytest.raises(UpstreamUnavailable):
            await bench.upstream.read_range(artifact, Span(0, 2000), A)

    async def test_forwarded_refs_name_every_branch_and_tag(self, bench: UpstreamBench) -> None:
        first = bench.publish(REPO, FILES)
        bench.tag(REPO, "v1")
        second = bench.publish(REPO, {"README.md": b"v2"})
        refs = await bench.upstream.forward(REPO, "refs", {}, A)
        assert [(row["name"], row["targetCommit"]) for row in refs["branches"]] == [("main", second)]
        assert [(row["name"], row["targetCommit"]) for row in refs["tags"]] == [("v1", first)]

    async def test_forwarded_listings_are_of_the_commit_and_folder_asked_for(self, bench: UpstreamBench) -> None:
        commit = bench.publish(REPO, FILES)
        bench.publish(REPO, {"sub/later.txt": b"x"})
        at = {"commit": (commit,), "expand": ("true",)}
        rows = await bench.upstream.forward(REPO, "tree", {**at, "path": ("sub",)}, A)
        assert [(row["type"], row["path"], row["size"]) for row in rows] == [("file", "sub/größe [1].txt", 8)]
        rows = await bench.upstream.forward(REPO, "paths_info", {**at, "paths": ("config.json", "no")}, A)
        assert [row["path"] for row in rows] == ["config.json"]
        info = await bench.upstream.forward(REPO, "info", {"commit": (commit,), "expand": ("sha",)}, A)
        assert info["sha"] == commit
        with pytest.raises(ValueError, match="no upstream route"):
            await bench.upstream.forward(REPO, "stars", at, A)

    async def test_the_forwarded_log_begins_at_the_commit_asked_for(self, bench: UpstreamBench) -> None:
        first = bench.publish(REPO, FILES)
        second = bench.publish(REPO, {"README.md": b"v2"})
        for commit, log in ((second, [second, first]), (first, [first])):
            page = await bench.upstream.forward(REPO, "commits", {"commit": (commit,)}, A)
            assert [row["id"] for row in page["rows"]] == log
            assert page["next"] == {}

    async def test_while_the_hub_is_down_every_question_fails_and_afterwards_none(self, bench: UpstreamBench) -> None:
        commit = bench.publish(REPO, FILES)
        artifact, upstream = await artifact_of(bench, "model.bin"), bench.upstream
        questions = (
            lambda: upstream.resolve(REPO, "main"),
            lambda: upstream.resolve(NOWHERE, ""),
            lambda: upstream.snapshot(REPO, "main", commit, A),
            lambda: upstream.read_range(artifact, Span(0, 5), A),
            lambda: whole(upstream, artifact),
            lambda: upstream.forward(REPO, "refs", {}, A),
        )
        bench.go_down()
        for question in questions:
            with pytest.raises(UpstreamUnavailable) as caught:
                await question()
            assert "\n" not in str(caught.value)
        bench.come_up()
        assert await _absent(questions[1]()) == "repo"
        for number in (0, 2, 3, 4, 5):
            assert await questions[number]()


async def _absent(question) -> str:
    with pytest.raises(UpstreamNotFound) as caught:
        await question
    return caught.value.what
