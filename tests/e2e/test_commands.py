"""The commands beside and before a running gateway, as an operator types them: what they print and how they end."""

import json
import re
import signal
import socket
import subprocess
import sys

import pytest

from gateway.simulator import builders
from gateway.simulator.faults import Fault, Gate
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import GatewayProcess, cli
from tests.e2e.wire import Download, add_repo, some_tensor

CHECKED = {"demo/good-safetensors": 0, "demo/good-torch": 0, "demo/no-license": 1, "demo/evil-pickle": 1, "demo/evil-gguf": 1,
           "datasets/demo/table": 0, "demo/gated": 1}  # fmt: skip


def upstream(hub):
    return (
        "--upstream",
        hub.hub_url,
        "--redirect-host",
        hub.cdn_url.removeprefix("http://"),
        "--unsafe-allow-private-upstream",
    )


@pytest.mark.parametrize("repo", CHECKED)
def test_check_judges_without_a_server_and_says_so_by_its_exit_code(repo, hub, gateway):
    done = cli("check", repo, "--json", *upstream(hub))
    assert done.returncode == CHECKED[repo], done.stderr
    value = json.loads(done.stdout)
    assert value["repo"].endswith(repo.removeprefix("datasets/"))
    assert value["outcome"] == {0: "allow", 1: "deny"}[done.returncode]
    assert re.fullmatch(r"[0-9a-f]{40}", value["commit"])
    if done.returncode:
        refused = [file for file in value["files"] if file["outcome"] != "allow"]
        reasons = value["reasons"] + [reason for file in refused for reason in file["reasons"]]
        assert reasons
        # The server says the same of the same repo.
        path = refused[0]["path"] if refused else "README.md"
        answer = gateway.get(f"/{repo}/resolve/main/{path}")
        assert answer.status == 403
        assert any(reason["rule"] in answer.headers["X-Error-Message"] for reason in reasons)


def test_check_explains_like_a_compiler(hub):
    done = cli("check", "demo/evil-pickle", *upstream(hub))
    assert done.returncode == 1
    text = re.sub(r"\s+", " ", done.stdout)
    assert "pytorch_model.bin" in text
    assert "scan/" in text
    assert "posix.system" in text or "system" in text


def test_check_as_somebody_else(hub, tmp_path):
    overlay = tmp_path / "entitlements.yaml"
    overlay.write_text(json.dumps({"entitlements": {"corp": {"demo/gated": True}}}))
    flags = (*upstream(hub), "--policy-data", str(overlay), "--json")
    env = {"GATEWAY_UPSTREAM_TOKEN": "hf_sample_reader"}
    assert cli("check", "demo/gated", "--as", "ada:corp", *flags, env=env).returncode == 0
    stranger = cli("check", "demo/gated", "--as", "bob:other", *flags, env=env)
    assert stranger.returncode == 1
    assert "entitlement/gated" in stranger.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo/nothing-there"], "no such repo"),
        (["demo/good-torch", "--revision", "no-such-branch"], "revision"),
        (["not a repo"], "no repo"),
        (["demo/x HTTP/1.1\r\nHost: evil"], "no repo"),
        (["demo/../../api/whoami-v2"], "no repo"),
        (["demo/good-torch?x=y"], "no repo"),
        (["demo/good-torch", "--revision", "../../x"], "no revision"),
        (["demo/good-torch", "--revision", "main\r\nX: y"], "no revision"),
        (["demo/good-torch", "--profile", "nonsense"], "nonsense"),
    ],
)
def test_check_that_cannot_judge_ends_with_2(words, said, hub):
    done = cli("check", *words, *upstream(hub))
    assert done.returncode == 2, done.stdout
    assert said in done.stderr.lower()
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_check_of_a_hub_that_is_down_ends_with_2():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = cli("check", "demo/good-torch", "--upstream", f"http://127.0.0.1:{port}", "--unsafe-allow-private-upstream")
    assert done.returncode == 2
    assert "cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_scan_finds_on_this_machine_what_the_gateway_finds_on_its_way(tmp_path):
    good, evil = tmp_path / "good", tmp_path / "evil"
    good.mkdir()
    evil.mkdir()
    (good / "model.safetensors").write_bytes(builders.safetensors({"w": (2, 2)}))
    (evil / "pytorch_model.bin").write_bytes(
        builders.torch_zip({"w": (2, 2)}, data_pkl=builders.pickle_call("posix", "system"))
    )
    assert cli("scan", str(good)).returncode == 0
    done = cli("scan", "--json", str(evil))
    assert done.returncode == 1
    value = json.loads(done.stdout)
    assert [file["path"] for file in value["files"]]
    assert any(finding["enforced"] for file in value["files"] for finding in file["findings"])
    assert cli("scan", str(tmp_path / "nowhere")).returncode == 2


# -- the ledger of a running gateway -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def used(hub, tmp_path_factory):
    """A gateway with a little history of one named person."""
    state = tmp_path_factory.mktemp("used") / "state"
    token = json.loads(cli("token", "add", "ada", "--group", "ml", "--state", str(state), "--json").stdout)["token"]
    process = GatewayProcess(hub, state)
    who = {"Authorization": f"Bearer {token}", "User-Agent": "probe/1.0"}
    for route in (
        "/demo/good-torch/resolve/main/pytorch_model.bin", "/demo/evil-gguf/resolve/main/model.gguf",
        "/demo/no-license/resolve/main/README.md", "/api/models/demo/good-torch", "/no/such/route/here",
    ):  # fmt: skip
        process.get(route, headers=who)
    yield process
    process.stop()


def test_list_filters_what_happened(used):
    state = ("--state", str(used.state), "--json")

    def listed(*filters):
        done = cli("audit", "list", *state, *filters)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert {r["path"] for r in listed("--effect", "deny") if r.get("path")} >= {"model.gguf", "README.md"}
    assert all("ada" in r["subject"] for r in listed("--effect", "deny"))
    assert {r["repo"] for r in listed("--rule", "scan/template")} == {"demo/evil-gguf"}
    assert {r["repo"] for r in listed("--repo", "demo/good-*")} == {"demo/good-torch"}
    table = cli("audit", "list", "--state", str(used.state))
    assert table.returncode == 0
    assert "deny" in table.stdout


def test_show_explains_a_decision_from_who_to_what_left(used):
    def shown(path, effect):
        record = next(
            r for r in used.records() if r.get("path") == path and r["effect"] == effect and r["kind"] == "decision"
        )
        done = cli("audit", "show", record["decision_id"], "--state", str(used.state))
        assert done.returncode == 0, done.stderr
        return re.sub(r"\s+", " ", done.stdout), record

    text, record = shown("model.gguf", "deny")
    for words in ("scan/template", "ada", record["policy_digest"][7:19], "demo/evil-gguf", "model.gguf"):
        assert words in text, words
    text, record = shown("pytorch_model.bin", "allow")
    for words in ("ada", record["digest"][7:19], "delivered"):
        assert words in text, words


def test_show_of_a_file_tells_of_the_waiver_that_opened_its_revision(hub, tmp_path):
    waiver = {
        "rules": {"license/unknown": True}, "scope": {"repo": "demo/no-license"}, "owner": "a@example.org",
        "approver": "b@example.org", "ticket": "T-1", "reason": "a test", "expires": "2099-01-01T00:00:00Z",
    }  # fmt: skip
    site = tmp_path / "site.json"
    site.write_text(json.dumps({"waivers": {"W-1": waiver}}))
    gateway = GatewayProcess(hub, tmp_path / "state", "--policy-data", str(site))
    for path in ("config.json", "model.safetensors"):  # the second stands on a decision that is on record already
        assert gateway.get(f"/demo/no-license/resolve/main/{path}").status == 200
    gateway.stop()
    for path in ("config.json", "model.safetensors"):
        record = next(r for r in gateway.records("--path", path) if r["kind"] == "decision")
        done = cli("audit", "show", record["decision_id"], "--state", str(gateway.state))
        assert "waived by W-1[license/unknown]" in done.stdout, done.stdout
        assert done.stdout.count("demo/no-license @") == 2
        assert "bytes of [0, " in done.stdout


def test_every_decision_that_was_made_has_its_record(used):
    """The revision's decision is one of its own: a file's decision refers to its input."""
    records = [r for r in used.records() if r["kind"] == "decision" and r.get("repo") == "demo/evil-gguf"]
    assert {r["effect"] for r in records} == {"allow", "deny"}
    assert len({r["input_digest"] for r in records}) == 2
    assert all(re.fullmatch(r"[0-9a-f]{40}", r["commit"]) for r in records)


def test_the_chains_verify_beside_a_running_server_and_a_change_is_found(used, tmp_path):
    done = used.verify()
    assert done.returncode == 0, done.stdout + done.stderr
    heads = cli("audit", "verify", "--state", str(used.state), "--json")
    assert json.loads(heads.stdout)


def test_the_cache_is_listed_and_verified(used):
    done = cli("cache", "ls", "--state", str(used.state), "--json")
    assert done.returncode == 0
    held = json.loads(done.stdout)
    torch = used.hub.world["demo/good-torch"].main.files["pytorch_model.bin"].content.sha256
    assert torch in {blob["sha256"] for blob in held["blobs"]}
    assert held["count"] == len(held["blobs"])
    assert cli("cache", "verify", "--state", str(used.state)).returncode == 0


@pytest.mark.parametrize("profile", ["permissive", "balanced", "strict"])
def test_policy_check_needs_nothing_else(profile):
    done = cli("policy", "check", "--profile", profile)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_ruined_ledger_is_told_and_nothing_is_served(hub, tmp_path):
    state = tmp_path / "state"
    gateway = GatewayProcess(hub, state)
    gateway.get("/demo/good-torch/resolve/main/config.json")
    gateway.get("/demo/good-torch/resolve/main/pytorch_model.bin")
    gateway.stop()
    segment = max((p for p in (state / "ledger").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(segment.read_bytes())
    data[len(data) // 3] ^= 0xFF
    segment.write_bytes(data)
    done = cli("audit", "verify", "--state", str(state))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


# -- health, metrics, the end --------------------------------------------------------------------------------------


def test_health_ready_and_metrics(used):
    assert used.get("/health").json == {"status": "alive"}
    ready = used.get("/ready")
    assert ready.status == 200
    assert ready.json["ready"] is True
    text = used.get("/metrics").body.decode()
    for name in ("gateway_requests_total", "gateway_request_seconds_bucket", "gateway_delivered_bytes_total"):
        assert name in text
    assert "ada" not in text
    assert "demo/" not in text
    for route in ("/health/", "/metrics/x", "/ready?x=1", "/HEALTH"):
        assert used.get(route).status == 404
    assert used.get("/metrics", "POST", data=b"").status == 403


def test_sigterm_lets_a_running_download_end_and_then_ends(tmp_path):
    world = sample_world()
    add_repo(world, "big/one", {"model.safetensors": some_tensor(16, 7)})
    gate = Gate()
    with SimulatorThread(world) as hub:
        gateway = GatewayProcess(hub, tmp_path / "state")
        hub.faults.add(Fault(path="big/one/model.safetensors", host="cdn", stall_at=12 << 20, stall_gate=gate))
        download = Download(gateway.url, "/big/one/resolve/main/model.safetensors")
        assert download.status == 200
        gate.wait_reached()
        gateway.process.send_signal(signal.SIGTERM)
        gate.open()
        download.read_all()
        assert download.error is None
        assert download.received == download.length
        assert download.digest.hexdigest() == world["big/one"].main.files["model.safetensors"].content.sha256
        assert gateway.stop() == 0
        delivered = [r for r in gateway.records() if r["kind"] == "delivery"]
        assert [r["bytes_delivered"] for r in delivered] == [download.length]
        assert gateway.verify().returncode == 0
        with pytest.raises(OSError):
            gateway.get("/health")


def test_an_idle_gateway_ends_at_once_on_sigint_too(tmp_path, hub):
    gateway = GatewayProcess(hub, tmp_path / "state")
    gateway.process.send_signal(signal.SIGINT)
    assert gateway.process.wait(20) == 0
    gateway.stop()
    assert not [line for line in gateway.log if "Traceback" in line]


def test_help_is_worth_reading():
    for command in ((), ("serve",), ("check",), ("scan",), ("audit",), ("token",), ("policy",), ("cache",), ("demo",)):
        done = cli(*command, "--help")
        assert done.returncode == 0
        assert len(done.stdout) > 300, command
    assert cli("nonsense").returncode == 2
    done = subprocess.run([sys.executable, "-m", "gateway", "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert re.search(r"\d+\.\d+", done.stdout)
