"""The installed huggingface_hub against the dialect alone: a server that renders scripted outcomes, no admission.

What counts is the text of the exception that reaches the user, not its `__cause__` (promise P9).
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from pathlib import Path
from typing import Self

import huggingface_hub
import pytest
from aiohttp import web
from huggingface_hub import HfApi, constants

from gateway.domain.artifact import Artifact, FileEntry, RefKind
from gateway.domain.decision import Decision, DecisionScope, Effect, FileEffect, Reason
from gateway.domain.errors import UnroutableRequest
from gateway.domain.evidence import Reachable, RepoFacts, RevisionFacts, Snapshot
from gateway.domain.outcome import Absence, Denial, Refused
from gateway.domain.request import RequestKind
from gateway.domain.siblings import file_facts
from gateway.domain.subject import Subject, SubjectKind
from gateway.hubs.huggingface.dialect import HuggingFaceDialect

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b'{"a": 1}', "model.safetensors": b"weights" * 100, "pytorch_model.bin": b"pickle" * 100}
ENTRIES = [
    FileEntry(
        path,
        len(body),
        hashlib.sha1(body).hexdigest(),
        None if path.endswith("json") else hashlib.sha256(body).hexdigest(),
    )
    for path, body in FILES.items()
]
REASON = Reason("scan/code-exec", "critical", "pickle opcode os.system", "use the safetensors file")


class ScriptedGateway:
    """Repos by name: `org/denied` is refused whole, `org/partly` refuses one file, `org/fine` refuses nothing."""

    def __init__(self) -> None:
        self.dialect = HuggingFaceDialect("hub", "http://gate.example", b"k" * 32)
        self.denied = {"org/denied"}
        self.seen: list[tuple[str, str]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> str:
        self._runner = web.ServerRunner(web.Server(self._handle))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        target = request.raw_path
        self.seen.append((request.method, target))
        body = await request.read()
        try:
            asked = self.dialect.parse(request.method, target, request.headers.get("Content-Type", ""), body)
        except UnroutableRequest as error:
            rendering = self.dialect.refuse(None, request.method, Refused(404, error.code, str(error)))
        else:
            rendering = self._answer(asked, request.method)
        response = web.Response(status=rendering.status, body=rendering.body or None)
        for name, value in rendering.headers:
            if name == "Content-Type":
                response.headers[name] = value
            else:
                response.headers.add(name, value)
        return response

    def _answer(self, asked, method):
        if asked.kind is RequestKind.WRITE:
            return self.dialect.refuse(asked, method, Refused(403, "route/read-only", "this gateway is read-only"))
        if asked.repo is None:
            return self.dialect.local(asked, Subject("ada", SubjectKind.USER))
        if asked.repo.id in self.denied:
            refusal = Denial(Effect.DENY, DecisionScope.REVISION, (REASON,), "dec-123", COMMIT)
            return self.dialect.refuse(asked, method, refusal)
        if self.dialect.tombstone_ref(asked.repo, asked.ref) is not None:
            return self.dialect.refuse(asked, method, Absence("revision", "approved since; drop the pinned revision"))
        decision = Decision(
            Effect.ALLOW, DecisionScope.REVISION, warnings=(Reason("age/new", "low", "two days old", "wait"),)
        )
        if asked.repo.id == "org/partly":
            decision.files["pytorch_model.bin"] = FileEffect.DENY
        if asked.kind is not RequestKind.RESOLVE:
            refs = {"branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}]}
            return self.dialect.listing(asked, self._snapshot(asked.repo), decision, refs)
        entry = next((e for e in ENTRIES if e.path == asked.path), None)
        if entry is None:
            return self.dialect.refuse(asked, method, Absence("entry", "Entry not found", COMMIT))
        if decision.files.get(entry.path) is FileEffect.DENY:
            refusal = Denial(Effect.DENY, DecisionScope.FILE, (REASON,), "dec-123", COMMIT, entry)
            return self.dialect.refuse(asked, method, refusal)
        rendering = self.dialect.file(Artifact(asked.repo, COMMIT, entry), decision)
        content = FILES[entry.path]
        headers = (*rendering.headers, ("Content-Length", str(len(content))))
        return type(rendering)(200, headers, b"" if method == "HEAD" else content)

    def _snapshot(self, repo):
        revision = RevisionFacts(COMMIT, "main", RefKind.BRANCH, Reachable.YES, "", file_facts(ENTRIES))
        tree = tuple(
            {
                "type": "file",
                "path": e.path,
                "oid": e.git_oid,
                "size": e.size_bytes,
                "xetHash": "e" * 64,
                **({"lfs": {"oid": e.sha256, "size": e.size_bytes, "pointerSize": 130}} if e.sha256 else {}),
            }
            for e in ENTRIES
        )
        return Snapshot(RepoFacts(repo, "", "org"), revision, {"id": repo.id, "tags": [], "private": False}, tree)


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Settings of the client library, as its environment variables would set them before import.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    with ScriptedGateway() as gateway:
        monkeypatch.setattr(constants, "ENDPOINT", gateway.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", gateway.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        gateway.options = {"endpoint": gateway.url, "cache_dir": tmp_path / "cache", "token": "t"}
        yield gateway


def refused_by(action):
    with pytest.raises(Exception) as caught:
        action()
    text = str(caught.value)
    for part in ("pickle opcode os.system", "scan/code-exec", "dec-123", "use the safetensors file"):
        assert part in text
    return caught.value


@pytest.mark.parametrize("revision", [None, "refs/pr/3", COMMIT, "v1.0"])
def test_a_denied_repo_says_why_in_every_kind_of_download(gateway, revision):
    options = {**gateway.options, "revision": revision}
    refused_by(lambda: huggingface_hub.hf_hub_download("org/denied", "config.json", **options))
    refused_by(lambda: huggingface_hub.snapshot_download("org/denied", **options))
    refused_by(lambda: huggingface_hub.snapshot_download("org/denied", allow_patterns=["*.safetensors"], **options))
    refused_by(lambda: huggingface_hub.snapshot_download("org/denied", allow_patterns=["*.gguf"], **options))


def test_a_recall_beats_a_full_cache(gateway):
    gateway.denied.clear()
    huggingface_hub.snapshot_download("org/denied", **gateway.options)
    gateway.denied.add("org/denied")
    refused_by(lambda: huggingface_hub.hf_hub_download("org/denied", "config.json", **gateway.options))
    refused_by(lambda: huggingface_hub.snapshot_download("org/denied", **gateway.options))
    gateway.denied.clear()
    path = huggingface_hub.hf_hub_download("org/denied", "config.json", **gateway.options)
    assert Path(path).read_bytes() == FILES["config.json"]


def test_one_denied_file_leaves_the_rest_of_the_load_alone(gateway):
    refused_by(lambda: huggingface_hub.hf_hub_download("org/partly", "pytorch_model.bin", **gateway.options))
    folder = Path(huggingface_hub.snapshot_download("org/partly", ignore_patterns=["*.bin"], **gateway.options))
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
        name: body for name, body in FILES.items() if not name.endswith(".bin")
    }


def test_an_allowed_repo_is_as_on_the_hub(gateway):
    folder = Path(huggingface_hub.snapshot_download("org/fine", **gateway.options))
    assert folder.name == COMMIT
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == FILES
    api = HfApi(endpoint=gateway.url, token="t")
    info = api.model_info("org/fine", files_metadata=True)
    assert {s.rfilename: s.size for s in info.siblings} == {name: len(body) for name, body in FILES.items()}
    assert sorted(api.list_repo_files("org/fine")) == sorted(FILES)
    assert [row.path for row in api.get_paths_info("org/fine", ["config.json", "no"])] == ["config.json"]
    assert [b.name for b in api.list_repo_refs("org/fine").branches] == ["main"]
    assert api.whoami()["name"] == "ada"
    assert api.file_exists("org/fine", "config.json")
    assert not api.file_exists("org/fine", "absent.json")
    assert not [target for _, target in gateway.seen if "xet" in target]


def test_absent_files_are_the_clients_own_error(gateway):
    with pytest.raises(huggingface_hub.errors.EntryNotFoundError):
        huggingface_hub.hf_hub_download("org/fine", "absent.json", **gateway.options)


def test_writes_are_refused_in_words(gateway):
    with pytest.raises(huggingface_hub.errors.HfHubHTTPError, match="this gateway is read-only"):
        HfApi(endpoint=gateway.url, token="t").create_repo("org/new")


def test_warnings_reach_the_developer(gateway, caplog):
    from huggingface_hub.utils import _http

    _http._WARNED_TOPICS.clear()
    with caplog.at_level("WARNING", logger="huggingface_hub"):
        huggingface_hub.logging.enable_propagation()
        huggingface_hub.hf_hub_download("org/fine", "config.json", **gateway.options)
        huggingface_hub.logging.disable_propagation()
    assert [r.message for r in caplog.records] == ["two days old. wait."]
