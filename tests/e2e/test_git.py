"""The real git and git-lfs: git is refused in words that it prints, LFS objects are judged as their files are."""

import base64
import hashlib
import json
import os
import subprocess

import pytest

from gateway.simulator import builders
from gateway.simulator.content import lfs_pointer
from gateway.simulator.faults import Fault, Gate
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import GatewayProcess, cli, fetch

LFS = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}
HUB_TOKEN = "hf_gatewaysOwnHubToken000000000000"
ST = builders.safetensors({"weight": (4, 4)})
OTHER = builders.safetensors({"weight": (4, 5)})
SECRET = builders.safetensors({"secret": (4, 6)})
EVIL = builders.torch_zip({"weight": (4, 4)}, data_pkl=builders.pickle_call("posix", "system"))


@pytest.fixture(scope="module")
def world():
    world = sample_world()
    mixed = world.repo("demo/mixed", card={"license": "apache-2.0"}, library="transformers")
    mixed.commit({"README.md": mixed.readme(), "a/ok #1.safetensors": ST, "b.safetensors": OTHER})
    bad = world.repo("demo/part-bad", card={"license": "apache-2.0"}, library="transformers")
    bad.commit({"README.md": bad.readme(), "ok.safetensors": ST, "evil.bin": EVIL})
    secret = world.repo("corp/secret", card={"license": "apache-2.0"}, private=True)
    secret.commit({"README.md": secret.readme(), "model.safetensors": SECRET})
    slow = world.repo("demo/slow", card={"license": "apache-2.0"}, library="transformers")
    slow.commit({"README.md": slow.readme(), "model.safetensors": builders.safetensors({"slow": (4, 7)})})
    world.token(HUB_TOKEN, "corp/secret", "demo/gated", name="gateway")
    return world


@pytest.fixture(scope="module")
def setup(world, tmp_path_factory):
    """A gateway and a user `bob` who is entitled to nothing."""
    root = tmp_path_factory.mktemp("git")
    overlay = root / "site.yaml"
    overlay.write_text(json.dumps({"entitlements": {"corp": {"corp/*": True, "demo/gated": True}}}))
    tokens = {}
    for name, *flags in (("bob",), ("carol", "--group", "corp")):
        done = cli("token", "add", name, *flags, "--state", str(root / "state"), "--json")
        assert done.returncode == 0, done.stderr
        tokens[name] = json.loads(done.stdout)["token"]
    with SimulatorThread(world) as hub:
        process = GatewayProcess(
            hub, root / "state", "--policy-data", str(overlay), env={"GATEWAY_UPSTREAM_TOKEN": HUB_TOKEN}
        )
        yield hub, process, tokens
        process.stop()


def run(*command, cwd=None, code=None, **env):
    """A program with a home of its own, without a terminal to ask on."""
    clean = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and not k.startswith("GIT_")}
    clean |= {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_ASKPASS": "false", **env}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, env=clean, check=False)
    if code is not None:
        assert done.returncode == code, done.stdout + done.stderr
    return done


def clone_of(repo, folder, url, home, *config):
    """A local clone whose LFS files are pointers, as `git clone` from elsewhere leaves it, with `lfs.url` at `url`."""
    folder.mkdir(parents=True)
    env = {"HOME": str(home)}
    run("git", "init", "-q", "-b", "main", str(folder), code=0, **env)
    run("git", "lfs", "install", "--local", "--skip-smudge", cwd=folder, code=0, **env)
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs -text\n*.bin filter=lfs -text\n")
    for path, file in repo.main.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(lfs_pointer(file.content) if file.lfs else file.content.read(0, file.size))
    settings = ["user.name=a", "user.email=a@localhost", f"lfs.url={url}", "lfs.locksverify=false", *config]
    for setting in settings:
        name, _, value = setting.partition("=")
        run("git", "config", name, value, cwd=folder, code=0, **env)
    # The clean filter of git-lfs leaves a pointer as it is.
    run("git", "add", ".", cwd=folder, code=0, **env)
    run("git", "commit", "-q", "-m", "pointers", cwd=folder, code=0, **env)
    return folder


def pull(folder, home, code=None):
    return run("git", "lfs", "pull", cwd=folder, code=code, HOME=str(home))


def batch(gateway, name, *objects, token="", **changes):
    headers = LFS | ({"Authorization": f"Bearer {token}"} if token else {})
    body = {"operation": "download", "objects": [{"oid": o, "size": s} for o, s in objects], **changes}
    return gateway.get(f"/{name}.git/info/lfs/objects/batch", "POST", headers, json.dumps(body).encode())


def ident(repo, path):
    file = repo.main.files[path]
    return file.content.sha256, file.size


# -- git ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["demo/good-torch", "demo/no-license", "corp/secret", "no/where", "datasets/demo/table"]
)
@pytest.mark.parametrize("suffix", ["", ".git"])
def test_git_clone_says_why_and_what_to_do_and_never_asks_for_a_password(name, suffix, setup, tmp_path):
    hub, gateway, _ = setup
    hub.clear()
    done = run("git", "clone", f"{gateway.url}/{name}{suffix}", str(tmp_path / "x"), HOME=str(tmp_path))
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("remote: ")]
    assert "route/git" in line
    assert f"{name.removeprefix('datasets/')}`" in line
    assert "hf download" in line
    assert "Username" not in done.stderr
    assert not hub.requests


def test_whether_a_repo_is_there_cannot_be_told(setup):
    _, gateway, _ = setup
    seen = set()
    for name in ("demo/good-torch", "corp/secret", "no/where"):
        answer = gateway.get(f"/{name}/info/refs?service=git-upload-pack")
        body = answer.body.replace(name.encode(), b"NAME")
        seen.add((answer.status, answer.headers["Content-Type"], body))
    assert len(seen) == 1


def test_git_fetch_and_push_are_refused_in_words(setup, tmp_path):
    hub, gateway, _ = setup
    hub.clear()
    env = {"HOME": str(tmp_path)}
    run("git", "init", "-q", "-b", "main", str(tmp_path / "x"), code=0, **env)
    run("git", "remote", "add", "origin", f"{gateway.url}/demo/good-torch", cwd=tmp_path / "x", code=0, **env)
    run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x",
        cwd=tmp_path / "x", code=0, **env)  # fmt: skip
    fetched = run("git", "fetch", "origin", cwd=tmp_path / "x", **env)
    assert fetched.returncode != 0
    assert "remote: this gateway serves no git" in fetched.stderr
    pushed = run("git", "push", "origin", "main", cwd=tmp_path / "x", **env)
    assert pushed.returncode != 0
    assert "remote: this gateway is read-only" in pushed.stderr
    assert not hub.requests


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "git-upload-pack"),
        ("GET", "git-upload-pack"),
        ("POST", "git-receive-pack"),
        ("GET", "info/refs"),
        ("GET", "HEAD"),
        ("GET", "objects/info/packs"),
        ("GET", f"objects/aa/{'b' * 38}"),
        ("GET", f"objects/pack/pack-{'c' * 40}.pack"),
    ],
)
def test_no_way_of_git_is_open_and_each_is_on_record(method, path, setup):
    hub, gateway, _ = setup
    hub.clear()
    before = len(gateway.records())
    # A name for each, since repeats of one refusal are counted in one record.
    name = f"probe/p{hashlib.sha256((method + path).encode()).hexdigest()[:8]}"
    answer = gateway.get(f"/{name}.git/{path}", method, {}, b"0000" if method == "POST" else None)
    assert answer.status == 403
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert not hub.requests
    assert len(gateway.records()) - before == 1


# -- git-lfs: attacks --------------------------------------------------------------------------------------------------


def test_an_oid_opens_nothing_of_another_repo(setup, world):
    """Neither what is private, nor what another revision refused, nor what the gateway holds already."""
    _, gateway, tokens = setup
    secret = ident(world["corp/secret"], "model.safetensors")
    held = batch(gateway, "corp/secret", secret, token=tokens["carol"])
    assert "actions" in held.json["objects"][0]
    assert fetch(held.json["objects"][0]["actions"]["download"]["href"], headers={
        "Authorization": f"Bearer {tokens['carol']}"}).body == SECRET  # fmt: skip
    evil = ident(world["demo/part-bad"], "evil.bin")
    for foreign in (secret, evil, ("0" * 64, 5)):
        answer = batch(gateway, "demo/mixed", foreign)
        (row,) = answer.json["objects"]
        assert (answer.status, row["error"]["code"]) == (200, 404)
        assert "actions" not in row


def test_a_size_that_is_not_the_files_is_no_object(setup, world):
    _, gateway, _ = setup
    oid, size = ident(world["demo/mixed"], "b.safetensors")
    (row,) = batch(gateway, "demo/mixed", (oid, size + 1)).json["objects"]
    assert row["error"]["code"] == 404


def test_a_private_repo_is_plainly_absent(setup, world):
    _, gateway, tokens = setup
    secret = ident(world["corp/secret"], "model.safetensors")
    answers = [
        batch(gateway, name, secret, token=t) for name in ("corp/secret", "no/where") for t in ("", tokens["bob"])
    ]
    assert {(a.status, a.body) for a in answers} == {(404, b'{"message":"Repository not found"}')}


def test_a_gated_repo_says_how_to_ask(setup, world):
    _, gateway, tokens = setup
    weights = ident(world["demo/gated"], "model.safetensors")
    for token in ("", tokens["bob"]):
        answer = batch(gateway, "demo/gated", weights, token=token)
        assert answer.status == 403
        assert "entitlement/gated" in answer.json["message"]
    assert "actions" in batch(gateway, "demo/gated", weights, token=tokens["carol"]).json["objects"][0]


def test_a_hidden_file_is_refused_by_its_oid_too(setup, world):
    _, gateway, _ = setup
    twin = ident(world["demo/pickle-with-twin"], "pytorch_model.bin")
    kept = ident(world["demo/pickle-with-twin"], "model.safetensors")
    answer = batch(gateway, "demo/pickle-with-twin", twin, kept)
    hidden, shown = answer.json["objects"]
    assert hidden["error"]["code"] == 403
    assert "format/twin" in hidden["error"]["message"]
    assert "actions" in shown


def test_the_revision_of_a_pull_request_is_judged_as_one(setup, world):
    _, gateway, _ = setup
    repo = world["demo/pull-request"]
    head = repo.commits[repo.pull_requests[1].head]
    file = head.files["pytorch_model.bin"]
    for ref in ({"name": "refs/pr/1"}, {"name": "refs/heads/refs/pr/1"}):
        answer = batch(gateway, "demo/pull-request", (file.content.sha256, file.size), ref=ref)
        assert answer.status == 403
        assert "provenance/pull-request" in answer.json["message"]
    (row,) = batch(gateway, "demo/pull-request", (file.content.sha256, file.size)).json["objects"]
    assert row["error"]["code"] == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
        {"Forwarded": "host=evil.example"},
        {"Host": "evil.example:1", "X-Original-URL": "http://evil.example/"},
    ],
)
def test_no_header_changes_an_address(headers, setup, world):
    _, gateway, _ = setup
    oid, size = ident(world["demo/mixed"], "a/ok #1.safetensors")
    body = json.dumps({"operation": "download", "objects": [{"oid": oid, "size": size}]}).encode()
    answer = gateway.get("/demo/mixed.git/info/lfs/objects/batch", "POST", LFS | headers, body)
    href = answer.json["objects"][0]["actions"]["download"]["href"]
    assert href == f"{gateway.url}/demo/mixed/resolve/{world['demo/mixed'].main.id}/a/ok%20%231.safetensors"
    assert b"evil" not in answer.body + str(answer.headers).encode()
    assert fetch(href).body == ST


def test_who_asks_is_asked_for_in_words_and_never_by_401(world, launch, tmp_path):
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config='[identity]\nanonymous = "off"\n')
        hub.clear()
        done = run("git", "clone", f"{gateway.url}/demo/mixed", str(tmp_path / "x"), HOME=str(tmp_path))
        assert "remote: BLOCKED" in done.stderr
        assert "identity/missing" in done.stderr
        assert "Username" not in done.stderr
        folder = clone_of(world["demo/mixed"], tmp_path / "y", f"{gateway.url}/demo/mixed.git/info/lfs", tmp_path)
        assert "identity/missing" in pull(folder, tmp_path).stderr
        for path in ("/v2/", "/v2/demo/good-gguf/manifests/latest", f"/v2/demo/good-gguf/blobs/sha256:{'0' * 64}"):
            answer = gateway.get(path)
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (403, None)
            assert b"identity/missing" in answer.body
        assert not hub.requests


def test_a_hub_that_is_down_is_said_to_be(world, launch):
    with SimulatorThread(world) as hub:
        gateway = launch(hub)
        hub.down()
        answer = batch(gateway, "demo/mixed", ident(world["demo/mixed"], "b.safetensors"))
        assert answer.status in {502, 504}
        assert "The hub cannot be asked now" in answer.json["message"]
        answer = gateway.get("/v2/demo/good-gguf/manifests/latest")
        assert answer.status in {502, 504}
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert gateway.get("/demo/mixed/info/refs").status == 403
        hub.up()


def test_addresses_start_with_the_public_url_and_its_path(world, launch):
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config='[server]\npublic_url = "https://gate.example/hf"\n')
        oid, size = ident(world["demo/mixed"], "b.safetensors")
        at = f"/demo/mixed/resolve/{world['demo/mixed'].main.id}/b.safetensors"
        for prefix in ("", "/hf"):
            body = json.dumps({"operation": "download", "objects": [{"oid": oid, "size": size}]}).encode()
            answer = gateway.get(f"{prefix}/demo/mixed.git/info/lfs/objects/batch", "POST", LFS, body)
            assert answer.json["objects"][0]["actions"]["download"]["href"] == f"https://gate.example/hf{at}"
            assert gateway.get(f"{prefix}{at}").body == OTHER
            model = ident(world["demo/good-gguf"], "model.gguf")[0]
            blob = gateway.get(f"{prefix}/v2/demo/good-gguf/blobs/sha256:{model}", "HEAD")
            assert blob.headers["Location"] == f"https://gate.example/hf/v2/demo/good-gguf/blobs/sha256:{model}"
            refused = gateway.get(f"{prefix}/demo/mixed/info/refs?service=git-upload-pack")
            assert refused.status == 403
            assert refused.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[" * 200_000, b'{"operation":"download","objects":NaN}',
        b'{"operation":"download","operation":"download","objects":[]}',
        json.dumps({"operation": "download", "objects": [{"oid": f"{n:064x}", "size": n} for n in range(100_000)]}).encode(),
        json.dumps({"operation": "download", "objects": [{"oid": f"{n:064x}", "size": n} for n in range(1001)]}).encode(),
    ],
    ids=["broken", "deep", "nan", "twice", "hundred-thousand", "thousand-and-one"],
)  # fmt: skip
def test_a_hostile_batch_is_refused_in_git_lfs_own_form_without_the_hub(body, setup):
    hub, gateway, _ = setup
    hub.clear()
    answer = gateway.get("/demo/mixed.git/info/lfs/objects/batch", "POST", LFS, body)
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/vnd.git-lfs+json"
    assert set(answer.json) == {"message"}
    assert not hub.requests


def test_uploads_and_locks(setup, world):
    hub, gateway, _ = setup
    hub.clear()
    upload = batch(gateway, "demo/mixed", ("1" * 64, 5), operation="upload")
    assert upload.status == 403
    assert "read-only" in upload.json["message"]
    for method, path in (("GET", "locks"), ("POST", "locks"), ("POST", "locks/verify"), ("POST", "locks/1/unlock")):
        answer = gateway.get(f"/demo/mixed.git/info/lfs/{path}", method, LFS, b"{}" if method == "POST" else None)
        assert answer.status == 404
        assert set(answer.json) == {"message"}
    assert not hub.requests


def test_a_thousand_unknown_objects_cost_one_revision(setup):
    hub, gateway, _ = setup
    hub.clear()
    answer = batch(gateway, "demo/mixed", *((f"{n:064x}", n) for n in range(1000)))
    assert [row["error"]["code"] for row in answer.json["objects"]] == [404] * 1000
    assert len(hub.requests) < 10


def test_every_address_is_on_record_before_it_is_told(setup, world):
    _, gateway, _ = setup
    oid, size = ident(world["demo/mixed"], "b.safetensors")
    before = len([r for r in gateway.records() if r.get("path") == "b.safetensors"])
    for _ in range(2):
        assert "actions" in batch(gateway, "demo/mixed", (oid, size)).json["objects"][0]
    records = [r for r in gateway.records() if r.get("path") == "b.safetensors"]
    assert len(records) - before == 2
    assert {(r["effect"], r["digest"]) for r in records} == {("allow", f"sha256:{oid}")}


# -- git-lfs itself ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["/info/lfs", ".git/info/lfs"])
def test_git_lfs_pull_brings_the_right_bytes(suffix, setup, world, tmp_path):
    _, gateway, _ = setup
    folder = clone_of(world["demo/mixed"], tmp_path / "x", f"{gateway.url}/demo/mixed{suffix}", tmp_path)
    pull(folder, tmp_path, code=0)
    assert (folder / "a/ok #1.safetensors").read_bytes() == ST
    assert (folder / "b.safetensors").read_bytes() == OTHER


def test_git_lfs_pull_on_a_branch_that_the_hub_does_not_have(setup, world, tmp_path):
    _, gateway, _ = setup
    folder = clone_of(world["demo/mixed"], tmp_path / "x", f"{gateway.url}/demo/mixed.git/info/lfs", tmp_path)
    run("git", "checkout", "-q", "-b", "feature/mine", cwd=folder, code=0, HOME=str(tmp_path))
    pull(folder, tmp_path, code=0)
    assert (folder / "b.safetensors").read_bytes() == OTHER


def test_git_lfs_shows_the_reason_of_one_object_and_brings_the_others(setup, world, tmp_path):
    _, gateway, _ = setup
    folder = clone_of(world["demo/part-bad"], tmp_path / "x", f"{gateway.url}/demo/part-bad.git/info/lfs", tmp_path)
    done = pull(folder, tmp_path)
    assert done.returncode != 0
    assert "scan/" in done.stderr, done.stderr
    assert "Next step" in done.stderr
    assert "panic" not in done.stderr
    assert (folder / "ok.safetensors").read_bytes() == ST
    assert (folder / "evil.bin").read_bytes() == lfs_pointer(world["demo/part-bad"].main.files["evil.bin"].content)


def test_git_lfs_shows_the_reason_of_a_whole_repo(setup, world, tmp_path):
    _, gateway, _ = setup
    folder = clone_of(world["demo/no-license"], tmp_path / "x", f"{gateway.url}/demo/no-license.git/info/lfs", tmp_path)
    done = pull(folder, tmp_path)
    assert done.returncode != 0
    assert "batch response: BLOCKED by gateway policy" in done.stderr
    assert "license/unknown" in done.stderr


def test_git_lfs_waits_for_a_scan_that_takes_its_time(setup, world, tmp_path):
    """The batch answers 429 with Retry-After: git-lfs asks again, and has the file in the end."""
    hub, gateway, _ = setup
    gate = Gate()
    fault = hub.faults.add(Fault(path="demo/slow/model.safetensors", host="cdn", gate=gate))
    folder = clone_of(world["demo/slow"], tmp_path / "x", f"{gateway.url}/demo/slow.git/info/lfs", tmp_path)
    first = batch(gateway, "demo/slow", ident(world["demo/slow"], "model.safetensors"))
    assert first.status == 429
    assert first.headers["Retry-After"] == "5"
    assert "scan/under-way" in first.json["message"]
    gate.open()
    hub.faults.remove(fault)
    done = pull(folder, tmp_path)
    assert "panic" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert (folder / "model.safetensors").read_bytes() == builders.safetensors({"slow": (4, 7)})


def test_git_lfs_with_a_gateway_token(setup, world, tmp_path):
    """As `http.extraHeader`, which goes with the batch and with the objects alike."""
    _, gateway, tokens = setup
    url = f"{gateway.url}/corp/secret.git/info/lfs"
    folder = clone_of(world["corp/secret"], tmp_path / "x", url, tmp_path)
    assert "Repository not found" in pull(folder, tmp_path).stderr
    header = f"http.{gateway.url}/.extraHeader=Authorization: Bearer {tokens['carol']}"
    folder = clone_of(world["corp/secret"], tmp_path / "y", url, tmp_path, header)
    pull(folder, tmp_path, code=0)
    assert (folder / "model.safetensors").read_bytes() == SECRET


def test_a_password_is_a_token(setup, world):
    """RFC 7617, as git's credential helpers send it. (git-lfs 3.3 sends it with the batch, but not with the object.)"""
    _, gateway, tokens = setup
    secret = ident(world["corp/secret"], "model.safetensors")
    assert "actions" in batch(gateway, "corp/secret", secret, token=tokens["carol"]).json["objects"][0]
    basic = base64.b64encode(f"anybody:{tokens['carol']}".encode()).decode()
    body = json.dumps({"operation": "download", "objects": [{"oid": secret[0], "size": secret[1]}]}).encode()
    target = "/corp/secret.git/info/lfs/objects/batch"
    answer = gateway.get(target, "POST", LFS | {"Authorization": f"Basic {basic}"}, body)
    assert "actions" in answer.json["objects"][0]
    wrong = base64.b64encode(b"carol:mgw_" + b"x" * 43).decode()
    refused = gateway.get(target, "POST", LFS | {"Authorization": f"Basic {wrong}"}, body)
    assert refused.status == 403
    assert "identity/" in refused.json["message"]
    assert "WWW-Authenticate" not in refused.headers


def test_git_lfs_push_is_refused_as_read_only(setup, world, tmp_path):
    _, gateway, _ = setup
    folder = clone_of(world["demo/mixed"], tmp_path / "x", f"{gateway.url}/demo/mixed.git/info/lfs", tmp_path)
    pull(folder, tmp_path, code=0)
    run("git", "remote", "add", "origin", f"{gateway.url}/demo/mixed", cwd=folder, code=0, HOME=str(tmp_path))
    done = run("git", "lfs", "push", "--all", "origin", cwd=folder, HOME=str(tmp_path))
    assert done.returncode != 0
    assert "read-only" in done.stderr
