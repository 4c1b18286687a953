"""P9: whatever is refused, the reason stands in the message of the exception that reaches the user, in every client and
by every way of asking; nothing is installed, nothing falls back, and no error code leads a client astray."""

import json
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest

from gateway.simulator import builders
from gateway.simulator.faults import Fault, Gate, throttled
from gateway.simulator.samples import CONFIG, sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import CLIENTS, GatewayProcess, cli, curl, run_client

pytestmark = pytest.mark.clients

NAMES = sorted(CLIENTS)
HUB_TOKEN = "hf_gatewaysOwnHubToken000000000000"
FOREIGN = "hf_" + "aB3" * 11 + "x"
ST = builders.safetensors({"weight": (4, 4)})
EVIL = builders.torch_zip({"weight": (4, 4)}, data_pkl=builders.pickle_call("posix", "system"))

# One process asks for everything, each time into a cache of its own, and prints what a user would read.
ASK = """
import json, os, pathlib, sys, tempfile
from huggingface_hub import hf_hub_download, snapshot_download
for case in json.loads(sys.argv[1] if len(sys.argv) > 1 else os.environ["CASES"]):
    cache = tempfile.mkdtemp(dir=os.environ["HF_HOME"])
    options = {"revision": case.get("revision"), "cache_dir": cache, "token": case.get("token", False)}
    for way in case.get("ways", ["file", "snapshot"]):
        said = {"case": case["name"], "way": way, "kind": "", "message": ""}
        try:
            if way == "file":
                hf_hub_download(case["repo"], case["path"], **options)
            else:
                snapshot_download(case["repo"], **options)
        except Exception as error:  # whatever it is, the user reads it: the tests compare kind and words
            said["kind"], said["message"] = type(error).__name__, str(error)
        files = [p for p in pathlib.Path(cache).rglob("*") if p.is_file() and "blobs" in p.parts]
        said["installed"] = sorted(p.name for p in files if p.suffix != ".incomplete")
        print("SAID", json.dumps(said))
"""


@pytest.fixture(scope="module")
def world():
    world = sample_world()
    now = datetime.now(UTC)
    young = world.repo("demo/young", card={"license": "apache-2.0"}, created_at=now - timedelta(hours=2))
    young.commit({"README.md": young.readme(), "model.safetensors": ST}, date=now - timedelta(hours=1))
    both = world.repo("demo/evil-beside-good", card={"license": "apache-2.0"}, library="transformers")
    both.commit({"README.md": both.readme(), "config.json": json.dumps(CONFIG), "ok.safetensors": ST, "evil.bin": EVIL})
    bad = world.repo("demo/bad-weights", card={"license": "apache-2.0"}, library="transformers")
    bad.commit(
        {
            "README.md": bad.readme(), "config.json": json.dumps(CONFIG), "model.safetensors": b"\xff" * 64,
            "pytorch_model.bin": builders.torch_zip({"weight": (4, 4)}),
        }
    )  # fmt: skip
    away = world["demo/good-torch"]
    away.commit({"README.md": away.readme("on a side branch")}, branch="side")
    secret = world.repo("corp/secret", card={"license": "apache-2.0"}, private=True)
    secret.commit({"README.md": secret.readme(), "model.safetensors": ST})
    world.token(HUB_TOKEN, "corp/secret", "demo/gated", name="gateway")
    return world


@pytest.fixture(scope="module")
def setup(world, tmp_path_factory):
    """A gateway that refuses for every reason there is; `tokens` open it for bob, who is entitled to nothing."""
    root = tmp_path_factory.mktemp("denials")
    overlay = root / "site.yaml"
    rules = {"age/quarantine": {"mode": "enforce"}}
    overlay.write_text(
        json.dumps(
            {
                "config": {
                    "rules": rules,
                    "age": {"commit_min_hours": 48, "repo_min_hours": 48},
                    "decision": {"serve_last_approved": {"age/quarantine": False}},
                },
                "entitlements": {"corp": {"corp/*": True, "demo/gated": True}},
            }
        )
    )
    done = cli("token", "add", "bob", "--state", str(root / "state"), "--json")
    assert done.returncode == 0, done.stderr
    with SimulatorThread(world) as hub:
        process = GatewayProcess(
            hub, root / "state", "--policy-data", str(overlay), env={"GATEWAY_UPSTREAM_TOKEN": HUB_TOKEN}
        )
        yield hub, process, json.loads(done.stdout)["token"]
        process.stop()


def cases(bob):
    """name -> (what to ask for, the rule in the message, does the repo as a whole fail)."""
    return {
        "repo": ({"repo": "demo/no-license", "path": "model.safetensors"}, "license/unknown"),
        "license": ({"repo": "demo/llama-style-license", "path": "README.md"}, "license/other"),
        "pull request": (
            {"repo": "demo/pull-request", "path": "pytorch_model.bin", "revision": "refs/pr/1"}, "provenance/pull-request",
        ),
        "one file": ({"repo": "demo/evil-beside-good", "path": "evil.bin"}, "scan/"),
        "hidden": ({"repo": "demo/pickle-with-twin", "path": "pytorch_model.bin", "ways": ["file"]}, "format/twin"),
        "template": ({"repo": "demo/evil-gguf", "path": "model.gguf"}, "scan/template"),
        "shard index": ({"repo": "demo/bad-shard-index", "path": "model.safetensors.index.json"}, "scan/"),
        "custom code": ({"repo": "demo/custom-code", "path": "modeling.py"}, "code/"),
        "quarantine": ({"repo": "demo/young", "path": "model.safetensors"}, "age/quarantine"),
        "gated": ({"repo": "demo/gated", "path": "model.safetensors", "token": bob}, "entitlement/gated"),
        "wrong credential": (
            {"repo": "demo/good-torch", "path": "config.json", "token": "mgw_" + "x" * 40}, "identity/",
        ),
        "public-hub token": (
            {"repo": "demo/good-torch", "path": "config.json", "token": FOREIGN}, "identity/public-hub-token",
        ),
    }  # fmt: skip


def ask(name, url, home, asked, **env):
    """What the client said in each case."""
    home.mkdir(parents=True, exist_ok=True)
    run = run_client(name, url, home, ASK, CASES=json.dumps(asked), **env)
    assert run.code == 0, run.text
    return [json.loads(line.removeprefix("SAID ")) for line in run.out.splitlines() if line.startswith("SAID ")]


@pytest.mark.parametrize("name", NAMES)
def test_every_denial_reaches_the_user_by_every_way(name, setup, tmp_path):
    _, gateway, bob = setup
    expected = cases(bob)
    said = ask(name, gateway.url, tmp_path / "home", [{"name": n, **asked} for n, (asked, _) in expected.items()])
    assert len(said) == sum(len(asked.get("ways", "12")) for asked, _ in expected.values())
    for answer in said:
        rule = expected[answer["case"]][1]
        assert rule in answer["message"], answer
        assert answer["kind"], answer
        if not rule.startswith("identity/"):
            assert re.search(r"Decision d-[0-9a-f]{20}", answer["message"]), answer
        assert "Next step:" in answer["message"], answer
        assert FOREIGN not in answer["message"]
        if answer["way"] == "file":
            assert not answer["installed"], answer
        if answer["case"] == "quarantine":
            assert "QUARANTINED" in answer["message"], answer


@pytest.mark.parametrize("name", NAMES)
def test_a_private_repo_is_plainly_not_there(name, setup, tmp_path):
    _, gateway, bob = setup
    asked = [
        {"name": "private", "repo": "corp/secret", "path": "model.safetensors", "token": bob},
        {"name": "private, nobody", "repo": "corp/secret", "path": "model.safetensors"},
        {"name": "missing", "repo": "corp/nothing", "path": "model.safetensors", "token": bob},
    ]
    for answer in ask(name, gateway.url, tmp_path / "home", asked):
        assert answer["kind"] == "RepositoryNotFoundError", answer
        assert "entitle" not in answer["message"]
        assert not answer["installed"]


@pytest.mark.parametrize("name", NAMES)
def test_the_hf_command_says_why_and_fails(name, setup, tmp_path):
    _, gateway, bob = setup
    for number, (arguments, token, rule) in enumerate(
        [
            (["demo/evil-beside-good", "evil.bin"], "", "scan/"),
            (["demo/evil-beside-good"], "", "scan/"),
            (["demo/young"], "", "age/quarantine"),
            (["demo/gated", "model.safetensors"], bob, "entitlement/gated"),
            (["demo/good-torch", "config.json"], FOREIGN, "identity/public-hub-token"),
        ]
    ):
        target = tmp_path / f"there-{number}"
        command = ["hf", "download", *arguments, "--local-dir", str(target)]
        run = run_client(name, gateway.url, tmp_path / "home", command, token=token)
        assert run.code != 0, run.text
        assert rule in run.text, run.text
        assert "Next step:" in re.sub(r"\s+", " ", run.text), run.text
        assert FOREIGN not in run.text
        assert not [p for p in target.rglob("*.bin") if ".cache" not in p.parts]


def test_the_public_hub_token_of_a_developer_reaches_nobody(setup):
    hub, gateway, _ = setup
    curl("-H", f"Authorization: Bearer {FOREIGN}", f"{gateway.url}/demo/good-torch/resolve/main/config.json")
    assert all(FOREIGN not in json.dumps(dict(r.headers)) for r in hub.requests)
    assert FOREIGN not in "".join(gateway.log) + json.dumps(gateway.records())


def test_curl_reads_the_reason_and_no_code_leads_astray(setup):
    _, gateway, bob = setup
    for name, (asked, rule) in cases(bob).items():
        token = asked.get("token")
        headers = ["-H", f"Authorization: Bearer {token}"] if token else []
        revision = asked.get("revision", "main").replace("/", "%2F")
        url = f"{gateway.url}/{asked['repo']}/resolve/{revision}/{asked['path']}"
        wire = curl("-i", *headers, url).stdout.decode()
        head, _, body = wire.partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 403"), (name, head)
        message = re.search(r"(?im)^x-error-message: (.*?)\r?$", head)[1]
        assert rule in message, name
        assert json.loads(body)["error"] == message
        assert len(message) <= 1024
        assert not re.search(r"(?im)^(x-error-code|location|link|x-xet-\S*|x-repo-commit):", head), head
        shown = curl("-I", *headers, url).stdout.decode()
        assert shown.startswith("HTTP/1.1 200"), (name, shown)
        assert re.search(r"(?im)^x-repo-commit: [0-9a-f]{40}\r", shown)
        assert not re.search(r"(?im)^x-error-code:", shown)


def test_a_denied_file_keeps_the_real_commit_and_a_denied_revision_does_not(setup, world):
    _, gateway, _ = setup

    def commit(repo, path):
        return gateway.get(f"/{repo}/resolve/main/{path}", "HEAD").headers["X-Repo-Commit"]

    real = world["demo/evil-beside-good"].main.id
    assert commit("demo/evil-beside-good", "evil.bin") == real == commit("demo/evil-beside-good", "config.json")
    assert commit("demo/no-license", "model.safetensors") != world["demo/no-license"].main.id
    etag = gateway.get("/demo/evil-beside-good/resolve/main/evil.bin", "HEAD").headers["ETag"]
    assert world["demo/evil-beside-good"].main.files["evil.bin"].etag not in etag


@pytest.mark.parametrize("name", ["hub-0.36", "hub-1"])
def test_transformers_does_not_fall_back_from_denied_weights_to_a_pickle(name, setup, tmp_path):
    """hub-protocol §1.3: with the weights refused the wrong way, transformers would load pytorch_model.bin instead."""
    hub, gateway, _ = setup
    # What transformers does before it reads a tensor (it needs no torch so far): the next name where one is missing.
    script = (
        "from transformers import AutoConfig\n"
        "from transformers.utils.hub import cached_file\n"
        "AutoConfig.from_pretrained('demo/bad-weights')\n"
        "for file in ('model.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin'):\n"
        "    if cached_file('demo/bad-weights', file, _raise_exceptions_for_missing_entries=False,"
        " _raise_exceptions_for_gated_repo=False):\n"
        "        print('LOADED', file)\n"
        "        break\n"
    )
    hub.clear()
    run = run_client(name, gateway.url, tmp_path / "home", script)
    assert "LOADED" not in run.out, run.text
    assert run.code != 0
    last = run.err.rsplit("Traceback (most recent call last)", 1)[-1]
    assert "demo/bad-weights" in last or "model.safetensors" in last, run.err
    assert "Rule " in last, run.err
    assert not [r for r in hub.requests if r.file == "demo/bad-weights/pytorch_model.bin"]
    assert not [
        r for r in gateway.records() if r.get("path") == "pytorch_model.bin" and r["repo"].endswith("bad-weights")
    ]


@pytest.mark.parametrize("name", NAMES)
def test_who_am_i_with_and_without_a_gateway_token(name, setup, tmp_path):
    _, gateway, bob = setup
    home = tmp_path / "home"
    script = "from huggingface_hub import HfApi\nprint('NAME', HfApi().whoami()['name'])\n"
    run = run_client(name, gateway.url, home, script, token=bob)
    assert run.code == 0, run.text
    assert re.search(r"NAME \S*bob", run.out), run.out
    command = ["hf", "auth", "whoami"]
    run = run_client(name, gateway.url, home, command, token=bob)
    assert run.code == 0, run.text
    assert "bob" in run.text
    run = run_client(name, gateway.url, home, script, token="mgw_" + "x" * 40)
    assert run.code != 0
    assert bob not in run.text


# -- no credential, limits -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def closed(world, tmp_path_factory):
    with SimulatorThread(world) as hub:
        process = GatewayProcess(
            hub, tmp_path_factory.mktemp("closed") / "state", config='[identity]\nanonymous = "off"\n'
        )
        yield hub, process
        process.stop()


@pytest.mark.parametrize("name", NAMES)
def test_without_a_credential_the_user_is_told_where_to_get_one(name, closed, tmp_path):
    hub, gateway = closed
    hub.clear()
    asked = [{"name": "none", "repo": "demo/good-torch", "path": "config.json"}]
    for answer in ask(name, gateway.url, tmp_path / "home", asked):
        assert "identity/" in answer["message"], answer
        assert "HF_TOKEN" in answer["message"], answer
        assert not answer["installed"]
    assert not hub.requests


def test_a_limited_client_is_told_to_wait(world, tmp_path, launch):
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config="[limits]\naddress_rate = 0.0001\naddress_burst = 1\n")
        assert gateway.get("/demo/good-torch/resolve/main/config.json").status == 200
        for method in ("GET", "HEAD"):
            answer = gateway.get("/demo/good-torch/resolve/main/config.json", method)
            assert answer.status == 429
            assert int(answer.headers["Retry-After"]) > 1000
            assert "limit/rate" in answer.headers["X-Error-Message"]
            assert answer.headers["X-Error-Code"] is None
        # Later clients wait as long as they are told.
        run = run_client("hub-0.36", gateway.url, tmp_path / "home", ["hf", "download", "demo/good-torch"])
        assert run.code != 0
        assert "limit/rate" in run.text


def test_a_hub_that_asks_to_wait_is_passed_on_as_such(world, launch):
    with SimulatorThread(world) as hub:
        gateway = launch(hub)
        hub.faults.add(throttled("/api/models/demo/good-torch*", wait_s=100))
        for method in ("HEAD", "GET"):
            answer = gateway.get("/demo/good-torch/resolve/main/config.json", method)
            assert answer.status == 429
            assert int(answer.headers["Retry-After"]) > 50
            assert "upstream/throttled" in answer.headers["X-Error-Message"]
            assert answer.headers["X-Error-Code"] is None


# -- pending, then allowed -----------------------------------------------------------------------------------------


@pytest.fixture
def stalled(tmp_path):
    """A repo whose file stands at a gate in the middle of its way from the hub."""
    world = sample_world()
    repo = world.repo("demo/slow", card={"license": "apache-2.0"})
    repo.commit({"README.md": repo.readme(), "model.safetensors": builders.safetensors({"w": (64, 64)})})
    gate = Gate()
    with SimulatorThread(world) as hub:
        hub.faults.add(Fault(path="demo/slow/model.safetensors", host="cdn", stall_at=0, stall_gate=gate))
        process = GatewayProcess(hub, tmp_path / "state")
        yield process, gate
        gate.open()
        process.stop()


def test_a_file_under_way_is_waited_for_in_the_same_call_or_says_so(stalled, tmp_path):
    gateway, gate = stalled
    script = (
        "from huggingface_hub import hf_hub_download\nprint('GOT', hf_hub_download('demo/slow', 'model.safetensors'))\n"
    )
    runs = {}

    def run(name):
        runs[name] = run_client(name, gateway.url, tmp_path / name, script)

    clients = [threading.Thread(target=run, args=(name,)) for name in NAMES]
    for client in clients:
        client.start()
    gate.wait_reached()
    _until(lambda: sum('"status":429' in line for line in gateway.log) >= len(NAMES))
    gate.open()
    for client in clients:
        client.join(100)
    old = runs.pop("hub-0.36")
    assert old.code != 0
    assert "ask again" in old.err.rsplit("Traceback (most recent call last)", 1)[-1], old.err
    assert run_client("hub-0.36", gateway.url, tmp_path / "hub-0.36", script).code == 0
    for later in runs.values():
        assert later.code == 0, later.text
        assert "GOT" in later.out


def _until(is_so):
    """Wait for what another process does; the test's own time limit ends it."""
    pause = threading.Event()
    while not is_so():
        pause.wait(0.02)


# -- the hub's own trouble -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    world = sample_world()
    with SimulatorThread(world) as hub:
        process = GatewayProcess(
            hub, tmp_path_factory.mktemp("broken") / "state", config="[upstream]\nread_timeout_s = 1\n"
        )
        yield hub, process
        process.stop()


def test_the_hubs_trouble_is_told_as_such(broken):
    hub, gateway = broken
    trouble = {
        "/demo/good-torch/resolve/main/config.json": (
            Fault(path="/api/models/demo/good-torch*", status=503, body=b""),
            {502},
        ),
        "/demo/good-gguf/resolve/main/model.gguf": (Fault(path="/api/models/demo/good-gguf*", delay_s=30), {504}),
    }
    for route, (fault, statuses) in trouble.items():
        with hub.faults.during(fault):
            for method in ("HEAD", "GET"):
                answer = gateway.get(route, method)
                assert answer.status in statuses, (route, method, answer.status, answer.body)
                assert "upstream/" in answer.headers["X-Error-Message"]
                assert answer.headers["X-Error-Code"] is None
                assert answer.headers["X-Repo-Commit"] is None
                for url in (hub.hub_url, hub.cdn_url):
                    assert url.removeprefix("http://") not in answer.headers["X-Error-Message"]


@pytest.mark.parametrize("name", NAMES)
def test_a_hub_that_is_down_is_not_taken_for_a_denial(name, broken, tmp_path):
    hub, gateway = broken
    hub.down()
    try:
        run = run_client(
            name, gateway.url, tmp_path / "home",
            "from huggingface_hub import HfApi\nHfApi().model_info('demo/evil-gguf')\n",
        )  # fmt: skip
    finally:
        hub.up()
    assert run.code != 0
    last = run.err.rsplit("Traceback (most recent call last)", 1)[-1]
    assert "502" in last or "hub cannot be asked" in last, run.err
    assert "BLOCKED" not in run.err


# -- after an approval ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_pinned_tombstone_is_told_of_the_approval(name, world, tmp_path, launch):
    with SimulatorThread(world) as hub:
        state = tmp_path / "state"
        gateway = launch(hub, state=state)
        tombs = {}
        for ref in ("main", "refs%2Fpr%2F1", world["demo/pull-request"].pull_requests[1].head):
            repo = "demo/no-license" if ref == "main" else "demo/pull-request"
            tombs[ref] = (repo, gateway.get(f"/{repo}/resolve/{ref}/README.md", "HEAD").headers["X-Repo-Commit"])
        for repo, tomb in tombs.values():
            again = gateway.get(f"/{repo}/resolve/{tomb}/README.md")
            assert again.status == 403, (repo, again.body)
        gateway.stop()
        approved = tmp_path / "approved.yaml"
        modes = {"license/unknown": {"mode": "warn"}}
        approved.write_text(json.dumps({"config": {"rules": modes}}))
        opened = launch(hub, "--policy-data", str(approved), state=state)
        repo, tomb = tombs.pop("main")
        asked = [{"name": "pinned", "repo": repo, "path": "model.safetensors", "revision": tomb}]
        for answer in ask(name, opened.url, tmp_path / "home", asked):
            assert answer["kind"] == "RevisionNotFoundError", answer
            assert "approved since" in answer["message"], answer
        wire = opened.get(f"/{repo}/resolve/{tomb}/model.safetensors")
        assert wire.status == 404
        assert wire.headers["X-Error-Code"] == "RevisionNotFound"
        assert wire.headers["X-Repo-Commit"] is None
        for repo, tomb in tombs.values():  # a pull request is not approved because the default branch is
            again = opened.get(f"/{repo}/resolve/{tomb}/README.md")
            assert again.status == 403, (repo, again.body)
