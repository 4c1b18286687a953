"""The real huggingface_hub client works against the simulator as it does against the hub."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest
from huggingface_hub import errors

from tests.simulator.conftest import BIG_BYTES, WEIGHTS, Client


def test_small_and_large_files_arrive_byte_identical(client: Client, sim, world) -> None:
    assert client.download("demo/tiny", "model.safetensors") == WEIGHTS
    assert client.download("demo/tiny", "config.json") == b'{"model_type":"bert"}'
    assert client.download("demo/tiny", "empty.txt") == b""
    assert client.download("demo/tiny", "sub dir/größe [1].txt") == b"odd name"
    assert sim.traffic.matching(host="cdn", method="GET")
    assert not sim.traffic.matching("*xet-read-token*")


def test_a_snapshot_holds_every_file(client: Client, world) -> None:
    folder = client.snapshot("demo/tiny")
    files = world["demo/tiny"].main.files
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == set(files)
    for path, file in files.items():
        assert (folder / path).read_bytes() == file.content.read(0, file.size)
    assert folder.name == world["demo/tiny"].main.id


def test_a_generated_file_arrives_whole(client: Client, world) -> None:
    data = client.download("demo/big", "big.bin")
    assert len(data) == BIG_BYTES
    assert hashlib.sha256(data).hexdigest() == world["demo/big"].main.files["big.bin"].content.sha256


def test_datasets_spaces_and_one_segment_names(client: Client) -> None:
    assert client.download("demo/table", "data.csv", repo_type="dataset") == b"a,b\n1,2\n"
    assert client.download("demo/app", "app.py", repo_type="space") == b"print('hello')\n"
    assert client.download("gpt2", "config.json") == b"{}"
    assert client.api.model_info("gpt2").id == "gpt2"
    assert client.api.list_repo_files("gpt2") == ["config.json"]


def test_revisions_by_branch_tag_commit_pull_request_and_convert(client: Client, world) -> None:
    repo = world["demo/tiny"]
    first = repo.main.parent
    number = repo.pull_request({"config.json": "from the pull request"})
    repo.convert("parquet", {"a.parquet": b"PAR1"})
    pull = client.download("demo/tiny", "config.json", revision=f"refs/pr/{number}")
    assert pull == b"from the pull request"
    head = repo.pull_requests[number].head
    assert client.download("demo/tiny", "config.json", revision=head) == b"from the pull request"
    assert client.download("demo/tiny", "README.md", revision=first).endswith(b"v1\n")
    assert client.download("demo/tiny", "README.md", revision="v1.0").endswith(b"v2\n")
    assert client.download("demo/tiny", "a.parquet", revision="refs/convert/parquet") == b"PAR1"
    refs = client.api.list_repo_refs("demo/tiny", include_pull_requests=True)
    assert [b.name for b in refs.branches] == ["main"]
    assert [t.ref for t in refs.tags] == ["refs/tags/v1.0"]
    assert [p.target_commit for p in refs.pull_requests or []] == [head]
    assert [c.name for c in refs.converts] == ["parquet"]


def test_facts_parse(client: Client, world) -> None:
    info = client.api.model_info("demo/tiny", files_metadata=True, securityStatus=True)
    assert info.sha == world["demo/tiny"].main.id
    assert info.card_data is not None
    assert info.card_data["license"] == "apache-2.0"
    assert "license:apache-2.0" in (info.tags or [])
    sibling = next(s for s in info.siblings or [] if s.rfilename == "model.safetensors")
    assert sibling.lfs is not None
    assert sibling.lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert info.security_repo_status == {"scansDone": True, "filesWithIssues": []}
    commits = client.api.list_repo_commits("demo/tiny")
    assert [c.title for c in commits] == ["Upload files", "initial commit"]
    paths = client.api.get_paths_info("demo/tiny", ["config.json", "onnx", "absent"], expand=True)
    assert [p.path for p in paths] == ["config.json", "onnx"]
    assert client.api.model_info("demo/tiny", expand=["gated"]).gated is False
    assert [m.id for m in client.api.list_models(search="tiny")] == ["demo/tiny"]


def test_a_long_tree_is_paged(client: Client, sim, world) -> None:
    many = {f"part-{n:04d}.txt": str(n) for n in range(2500)}
    sim.edit(lambda w: w.repo("demo/many").commit(many))
    assert sorted(client.api.list_repo_files("demo/many")) == sorted(many)
    assert len(sim.traffic.matching("/api/models/demo/many/tree/main")) == 3


def test_a_long_history_is_paged(client: Client, sim) -> None:
    def grow(world) -> None:
        repo = world.repo("demo/history")
        for n in range(120):
            repo.commit({"n.txt": str(n)}, message=f"commit {n}")

    sim.edit(grow)
    assert len(client.api.list_repo_commits("demo/history")) == 120
    assert len(sim.traffic.matching("/api/models/demo/history/commits/main")) == 3


def test_renamed_and_wrong_case_repos_redirect(client: Client) -> None:
    assert client.download("demo/old-name", "config.json") == b'{"model_type":"bert"}'
    assert client.api.model_info("Demo/TINY").id == "demo/tiny"


@pytest.mark.parametrize(
    ("repo", "token", "error"),
    [
        ("demo/gated", False, errors.GatedRepoError),
        ("demo/gated", "hf_stranger", errors.GatedRepoError),
        ("demo/nothing", "hf_stranger", errors.RepositoryNotFoundError),
        ("demo/private", "hf_stranger", errors.RepositoryNotFoundError),
        ("demo/disabled", False, errors.DisabledRepoError),
    ],
)
def test_refused_repos_raise_the_clients_own_errors(client: Client, repo: str, token, error: type[Exception]) -> None:
    with pytest.raises(Exception) as caught:
        client.download(repo, "config.json", token=token)
    chain = [caught.value, caught.value.__cause__]
    assert any(isinstance(e, error) for e in chain), chain


def test_granted_tokens_open_gated_and_private_repos(client: Client) -> None:
    assert client.download("demo/gated", "model.safetensors", token="hf_granted") == WEIGHTS[:100]
    assert client.download("demo/private", "config.json", token="hf_granted") == b"{}"
    assert client.api.whoami("hf_granted")["name"] == "grace"


def test_missing_files_and_revisions(client: Client) -> None:
    with pytest.raises(errors.RemoteEntryNotFoundError):
        client.download("demo/tiny", "absent.bin")
    with pytest.raises(errors.RevisionNotFoundError):
        client.download("demo/tiny", "config.json", revision="no-such-branch")


def test_main_moves_while_running(client: Client, sim) -> None:
    assert client.download("demo/tiny", "config.json") == b'{"model_type":"bert"}'
    sim.edit(lambda w: w["demo/tiny"].commit({"config.json": "{}"}))
    assert client.download("demo/tiny", "config.json") == b"{}"
    sim.edit(lambda w: w["demo/tiny"].move("main", w["demo/tiny"].main.parent))
    assert client.download("demo/tiny", "config.json") == b'{"model_type":"bert"}'


def test_the_xet_lure_works(sim, tmp_path) -> None:
    """A client that is not kept off Xet asks for the token: so that its absence elsewhere proves something."""
    code = "import huggingface_hub as h; h.hf_hub_download('demo/tiny', 'model.safetensors')"
    settings = {
        "HF_ENDPOINT": sim.hub_url,
        "HF_HOME": str(tmp_path),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_TOKEN": "hf_granted",
    }
    environment = {**os.environ, **settings, "HF_HUB_DISABLE_XET": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode != 0
    (asked, *_) = sim.traffic.matching("*/xet-read-token/*")
    assert asked.authorization == "Bearer hf_granted"
    assert sim.bytes_sent("demo/tiny/model.safetensors", host="cdn") == 0
