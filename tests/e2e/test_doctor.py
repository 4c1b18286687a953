"""`gateway doctor --client` as a process of its own, on the standard library alone: against the real gateway, against
caches that real clients made, and against endpoints and caches that mean harm."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading

import pytest
import trustme

from gateway.doctor.trust import has_authorities
from tests.e2e.harness import ROOT, GatewayProcess, cli, run_client

NOBODY = "127.0.0.1:1"  # a host that is blocked
QUIET = {"DISABLE_SAFETENSORS_CONVERSION": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
FOLDER = [sys.executable, "-I", "-S", str(ROOT / "gateway/doctor")]  # no site-packages, no environment, no install


class Told:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    def states(self):
        return {check["check"]: check["state"] for check in self.json["checks"]}

    def words(self, check):
        return " ".join(f"{c['found']} {c['advice']}" for c in self.json["checks"] if c["check"] == check)


def doctor(home, *flags, program=FOLDER, hosts=NOBODY, as_json=True, **env):
    """Run it with nothing of this machine's own settings in its environment."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", **env}
    words = [*program, *(["--json"] if as_json else []), "--hosts", hosts, *flags]
    return Told(subprocess.run(words, capture_output=True, text=True, timeout=110, env=clean, cwd=home, check=False))


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def closed(hub, tmp_path_factory):
    """A gateway that asks who you are, and a token that it knows."""
    root = tmp_path_factory.mktemp("closed")
    process = GatewayProcess(hub, root / "state", config='[identity]\nanonymous = "off"\n')
    done = cli("token", "add", "ada", "--state", str(root / "state"), "--json")
    process.restart()  # so that nobody waits for the 2 s in which it follows
    yield process, json.loads(done.stdout)["token"]
    process.stop()


# -- a machine that is well, started in every way -----------------------------------------------------------------


STARTS = {
    "the folder": lambda _: FOLDER,
    "python -m": lambda _: [sys.executable, "-S", "-m", "gateway.doctor"],
    "the command": lambda _: [sys.executable, "-S", "-m", "gateway", "doctor", "--client"],
}


@pytest.mark.parametrize("way", STARTS)
def test_a_machine_that_is_well_has_nothing_to_mend(way, closed, home, tmp_path):
    gateway, token = closed
    env = {"PYTHONPATH": str(ROOT), "HF_ENDPOINT": gateway.url, "HF_TOKEN": token, **QUIET}
    told = doctor(home, program=STARTS[way](tmp_path), **env)
    assert told.err == ""
    assert told.code == 0, told.out
    assert told.json["endpoint"] == gateway.url
    assert told.json["exit_code"] == 0
    assert told.json["summary"]["fail"] == told.json["summary"]["warn"] == 0
    states = told.states()
    assert states["endpoint/gateway"] == states["endpoint/ready"] == states["token/accepted"] == "ok"
    assert "ada" in told.words("token/accepted")
    assert token not in told.out


def test_nothing_but_the_standard_library_is_imported(home):
    """Every module that it loads is Python's own, or of the doctor."""
    script = (
        "import sys; sys.argv = ['gateway', 'doctor', '--client', '--hosts', '127.0.0.1:1', '--json']\n"
        "from gateway.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('\\n' + repr(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=home, timeout=60,
        env={"PYTHONPATH": str(ROOT), "HOME": str(home), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    names = eval(done.stdout.splitlines()[-1])
    own = {name for name in names if name.startswith("gateway")}
    assert own <= {n for n in own if n.startswith(("gateway.doctor", "gateway.cli.doctor"))} | {
        "gateway", "gateway.__main__", "gateway.cli", "gateway.cli.main", "gateway.clock", "gateway.domain",
        "gateway.domain.errors",
    }  # fmt: skip
    assert {"aiohttp", "pydantic", "rich", "huggingface_hub", "structlog", "yaml"}.isdisjoint(names)


def test_without_client_it_says_in_one_sentence_what_there_is(home):
    told = doctor(home, program=[sys.executable, "-m", "gateway", "doctor"], as_json=False)
    assert told.code == 2
    assert told.out == ""
    assert "gateway doctor --client" in told.err
    assert len(told.err.splitlines()) == 1


@pytest.mark.parametrize(
    "flags", [["--timeout", "0"], ["--timeout", "x"], ["--hosts", "a:b"], ["--no-such"], ["extra"]]
)
def test_misuse_is_exit_code_2(flags, home):
    told = doctor(home, *flags, as_json=False)
    assert told.code == 2
    assert "Traceback" not in told.err


# -- the endpoint ----------------------------------------------------------------------------------------------------


def test_an_ipv6_gateway_with_a_slash_too_many(hub, launch, home):
    gateway = launch(hub, "--listen", "[::1]:0")
    told = doctor(home, HF_ENDPOINT=gateway.url + "/", **QUIET)
    assert told.states()["endpoint/gateway"] == "ok"
    assert told.states()["endpoint/form"] == "warn"
    assert told.json["endpoint"] == gateway.url
    assert "[::1]" in told.words("endpoint/gateway")


def test_a_gateway_under_a_path(hub, launch, home):
    gateway = launch(hub, "--public-url", "https://models.example/hf")
    told = doctor(home, HF_ENDPOINT=gateway.url + "/hf", **QUIET)
    assert told.states()["endpoint/gateway"] == "ok"
    assert told.states()["endpoint/path"] == "warn"
    astray = doctor(home, HF_ENDPOINT=gateway.url + "/other", **QUIET)
    assert astray.states()["endpoint/gateway"] == "fail"
    assert "model-gateway" in astray.words("endpoint/gateway")


def test_the_hub_itself_is_no_gateway_and_sees_no_token(hub, home):
    hub.clear()
    told = doctor(home, HF_ENDPOINT=hub.hub_url, HF_TOKEN="mgw_the-developers-secret")
    assert told.code == 1
    assert told.states()["endpoint/gateway"] == "fail"
    assert told.states()["token/accepted"] == "unknown"
    assert hub.requests
    assert not any(r.authorization for r in hub.requests)
    assert "the-developers-secret" not in told.out + told.err


@pytest.mark.parametrize(
    ("token", "state"), [("mgw_nobody-knows-this-one", "fail"), ("hf_abcdefghijklmnopqrst", None), ("", None)]
)
def test_a_token_that_will_not_do(token, state, closed, home):
    gateway, _ = closed
    told = doctor(home, HF_ENDPOINT=gateway.url, **({"HF_TOKEN": token} if token else {}), **QUIET)
    assert told.states().get("token/accepted") == state, "a token of the public hub is shown to nobody"
    assert told.states()["token/kind"] == {"": "warn", "hf_": "fail", "mgw": "ok"}[token[:3]]
    assert token == "" or token not in told.out
    assert token == "" or token[4:12] not in told.out
    assert told.code == (1 if token else 0)


def test_tokens_in_files_are_found_and_never_shown(closed, home):
    gateway, token = closed
    folder = home / ".cache/huggingface"
    folder.mkdir(parents=True)
    (folder / "token").write_text(f" {token}\n")
    (folder / "stored_tokens").write_text("[work]\nhf_token = hf_storedstoredstored\n")
    (home / ".netrc").write_text("default login me password netrc-secret-word\n")
    told = doctor(home, HF_ENDPOINT=gateway.url, **QUIET)
    states = told.states()
    assert states["token/accepted"] == "ok"
    assert states["token/stored"] == states["token/netrc"] == "warn"
    for secret in (token, "storedstored", "netrc-secret"):
        assert secret not in told.out


class Scripted:
    """A server on a port of its own that runs `serve(connection)` for each one; it counts what it was sent."""

    def __init__(self, serve, family=socket.AF_INET):
        self.socket = socket.create_server(("127.0.0.1", 0), family=family)
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.received = b""
        self._serve = serve
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with connection:
            try:
                self.received += connection.recv(65536)
                self._serve(connection, self._over)
            except OSError:
                pass

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.socket.close()


def says(answer):
    return lambda connection, over: connection.sendall(answer)


def silent(connection, over):
    over.wait(100)


def drips(connection, over):
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
    while not over.wait(0.05):
        connection.sendall(b"a")


def floods(connection, over):
    connection.sendall(b'HTTP/1.1 200 OK\r\nServer: model-gateway\r\n\r\n{"status": "alive", "x": "')
    while not over.is_set():
        connection.sendall(b"a" * 65536)


EVIL = "\033[2J\033]0;owned\a\u202e"
HOSTILE = {
    "silence": (silent, "fail"),
    "a header that never ends": (drips, "fail"),
    "a body that never ends": (floods, "fail"),
    "escape sequences": (says(f"HTTP/1.1 200 OK\r\nServer: {EVIL}\r\n\r\n{EVIL}".encode()), "fail"),
    "a redirect": (says(f"HTTP/1.1 302 Found\r\nLocation: http://evil.example/{EVIL}\r\n\r\n".encode()), "fail"),
    "no HTTP": (says(b"220 mail.example ESMTP\r\n" * 100), "fail"),
    "nothing": (says(b""), "fail"),
    "ten thousand headers": (says(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000 + b"\r\n"), "fail"),
    "deep JSON": (says(b"HTTP/1.1 200 OK\r\nServer: model-gateway\r\n\r\n" + b"[" * 60_000), "fail"),
    "a false chunk": (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZZZ\r\n"), "fail"),
    "a length below zero": (says(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc"), "fail"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_endpoint_costs_little_time_and_says_nothing(what, home):
    serve, state = HOSTILE[what]
    with Scripted(serve) as server:
        told = doctor(home, "--timeout", "1", HF_ENDPOINT=server.url, HF_TOKEN="mgw_the-developers-secret")
    assert told.err == ""
    assert told.code == 1
    reached = {told.states().get("endpoint/gateway"), told.states().get("endpoint/connection")}
    assert state in reached
    assert b"Authorization" not in server.received
    shown = json.loads(told.out)
    for check in shown["checks"]:
        assert (check["found"] + check["advice"]).isprintable(), check
        assert len(check["found"]) <= 400
    plain = doctor(home, "--timeout", "1", HF_ENDPOINT=server.url, as_json=False)
    assert plain.out.replace("\n", "").isprintable()


def test_a_server_that_says_the_token_back_does_not_get_it_shown(home):
    secret = "mgw_the-developers-secret"

    def echo(connection, over):
        body = json.dumps({"status": "alive", "name": f"you sent {secret}"}).encode()
        head = f"HTTP/1.1 200 OK\r\nServer: model-gateway\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    with Scripted(echo) as server:
        told = doctor(home, HF_ENDPOINT=server.url, HF_TOKEN=secret)
    assert told.states()["token/accepted"] == "ok"
    assert "[redacted]" in told.words("token/accepted")
    assert "developers-secret" not in told.out


# -- certificates and proxies ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    root = tmp_path_factory.mktemp("pki")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(root / "ca.pem")
    certificate.private_key_pem.write_to_path(root / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(root / "cert.pem", append=True)
    return root


@pytest.fixture(scope="module")
def secure(hub, pki, tmp_path_factory):
    process = GatewayProcess(
        hub, tmp_path_factory.mktemp("tls") / "state",
        "--tls-cert", str(pki / "cert.pem"), "--tls-key", str(pki / "key.pem"),
    )  # fmt: skip
    yield process
    process.stop()


@pytest.mark.parametrize(
    ("variables", "state", "gateway"),
    [
        ((), "fail" if has_authorities() else "unknown", None),
        (("SSL_CERT_FILE",), "warn", "ok"),
        (("REQUESTS_CA_BUNDLE",), "warn", "ok"),
        (("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), "ok", "ok"),
    ],
)
def test_who_trusts_the_certificate(variables, state, gateway, secure, pki, home):
    """Each generation of the Python client reads its own variable."""
    env = dict.fromkeys(variables, str(pki / "ca.pem"))
    told = doctor(home, HF_ENDPOINT=secure.url, HF_TOKEN="mgw_unknown-to-all", **env)
    assert told.states()["endpoint/certificate"] == state
    assert told.states().get("endpoint/gateway") == gateway
    assert told.states()["token/accepted"] == ("fail" if gateway else "unknown"), "no token before a certificate"
    if state == "warn":
        assert ("0.x" in told.words("endpoint/certificate")) is (variables == ("SSL_CERT_FILE",))


def test_a_bundle_that_is_none_is_named(secure, home):
    (home / "broken.pem").write_text("nothing here")
    told = doctor(home, HF_ENDPOINT=secure.url, SSL_CERT_FILE="broken.pem")
    assert told.states()["endpoint/bundle"] == "fail"


def test_a_proxy_on_the_way_is_used_named_and_its_password_is_not(closed, home):
    gateway, _ = closed

    def relay(connection, over):
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with Scripted(relay) as proxy:
        env = {"HTTP_PROXY": f"http://me:proxy-pass-word@127.0.0.1:{proxy.port}", "HF_ENDPOINT": gateway.url}
        told = doctor(home, **env)
        assert told.states()["setting/proxy"] == "warn"
        assert told.states()["endpoint/gateway"] == "fail"
        assert f"127.0.0.1:{proxy.port}" in told.words("setting/proxy")
        assert b"http://127.0.0.1" in proxy.received
        assert b"Proxy-Authorization: Basic" in proxy.received
        assert "proxy-pass-word" not in told.out
        told = doctor(home, **env, NO_PROXY="127.0.0.1")
        assert told.states()["setting/proxy"] == told.states()["endpoint/gateway"] == "ok"


# -- the public hub --------------------------------------------------------------------------------------------------


def speaks_tls(pki):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "cert.pem", pki / "key.pem")

    def serve(connection, over):
        with context.wrap_socket(connection, server_side=True) as tls:
            assert tls.recv(1) == b"", "a handshake, and nothing after it"

    return serve


class Peeking(Scripted):
    """Leaves the first bytes to the handshake."""

    def _one(self, connection):
        with connection:
            try:
                self._serve(connection, self._over)
            except AssertionError:
                self.received += b"a request"
            except OSError:
                pass


def test_a_hub_that_can_be_reached_past_the_gateway(pki, home):
    with Peeking(speaks_tls(pki)) as server:
        host = f"localhost:{server.port}"
        told = doctor(home, hosts=f"{host},{NOBODY}", SSL_CERT_FILE=str(pki / "ca.pem"))
        assert told.states()["egress/localhost"] == "fail"
        assert "1 of 2" in told.words("egress/blocked")
        strange = doctor(home, hosts=host)
        assert strange.states()["egress/localhost"] == ("warn" if has_authorities() else "fail")
        assert server.received == b""


@pytest.mark.parametrize("serve", [says(b""), silent, says(b"HTTP/1.1 400 Bad Request\r\n\r\n")])
def test_a_filter_that_only_looks_at_names_is_told_apart(serve, home):
    with Scripted(serve) as server:
        told = doctor(home, hosts=f"127.0.0.1:{server.port}")
    assert told.states()["egress/127.0.0.1"] == "warn"
    assert b"HTTP/" not in server.received, "no request goes there"


def test_a_proxy_that_lets_the_hub_through_counts(pki, home):
    with Peeking(speaks_tls(pki)) as hub_there:

        def tunnel(connection, over):
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with socket.create_connection(("127.0.0.1", hub_there.port)) as onward:
                back = threading.Thread(target=copied, args=(onward, connection), daemon=True)
                back.start()
                copied(connection, onward)
                back.join(5)

        def copied(source, sink):
            try:
                while piece := source.recv(65536):
                    sink.sendall(piece)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        with Scripted(tunnel) as proxy:
            told = doctor(
                home,
                hosts="localhost:1",
                HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}",
                SSL_CERT_FILE=str(pki / "ca.pem"),
            )
    assert told.states()["egress/localhost"] == "fail"
    assert "through the proxy" in told.words("egress/localhost")
    assert b"Authorization" not in proxy.received


# -- caches ----------------------------------------------------------------------------------------------------------


def cached(home):
    return home / ".cache/huggingface"


@pytest.mark.clients
def test_what_real_clients_leave_behind_is_found_and_can_be_cleared(hub, gateway, home):
    """A listing fetched straight from the hub, a tombstone, files believed absent: then the very commands it prints."""
    listed = "from huggingface_hub import snapshot_download\nsnapshot_download('demo/good-safetensors')\n"
    assert run_client("hub-2", hub.hub_url, cached(home), listed, HF_HUB_DISABLE_XET="1").code == 0
    refused = "from huggingface_hub import hf_hub_download\nhf_hub_download('demo/no-license', 'config.json')\n"
    assert run_client("hub-2", gateway.url, cached(home), refused).code != 0
    absent = (
        "from huggingface_hub import try_to_load_from_cache\nfrom huggingface_hub.utils import EntryNotFoundError\n"
        "from huggingface_hub import hf_hub_download\n"
        "try: hf_hub_download('demo/good-torch', 'model.safetensors')\nexcept EntryNotFoundError: pass\n"
    )
    assert run_client("hub-2", hub.hub_url, cached(home), absent).code == 0

    told = doctor(home, HF_ENDPOINT=gateway.url, **QUIET)
    states = told.states()
    assert told.code == 1
    assert states["cache/trees"] == "fail"
    assert states["cache/refs"] == "warn"
    assert states["cache/no-exist"] == "warn"
    assert "models--demo--good-safetensors" in told.words("cache/trees")
    assert "models--demo--no-license main" in told.words("cache/refs")
    assert "model.safetensors" in told.words("cache/no-exist")
    xet_off = doctor(home, HF_ENDPOINT=gateway.url, HF_HUB_DISABLE_XET="1", **QUIET)
    assert xet_off.states()["cache/trees"] == "warn"
    assert xet_off.code == 0

    for check in told.json["checks"]:
        command = check["advice"].partition("un: ")[2]
        if check["check"].startswith("cache/") and command:
            subprocess.run(["sh", "-c", command], check=True, timeout=30)
    told = doctor(home, HF_ENDPOINT=gateway.url, **QUIET)
    assert {told.states()[f"cache/{name}"] for name in ("trees", "refs", "no-exist")} == {"ok"}
    assert run_client("hub-2", gateway.url, cached(home), listed).code == 0, "the cache still works"


@pytest.mark.clients
def test_a_cache_made_through_the_gateway_has_nothing_to_mend(gateway, home):
    script = "from huggingface_hub import snapshot_download\nsnapshot_download('demo/good-safetensors')\n"
    assert run_client("hub-2", gateway.url, cached(home), script).code == 0
    told = doctor(home, HF_ENDPOINT=gateway.url, **QUIET)
    caches = {check: state for check, state in told.states().items() if check.startswith("cache/")}
    assert set(caches.values()) == {"ok"}, told.out
    assert "1 repo" in told.words("cache/location")


def test_a_hostile_cache_is_read_within_bounds(home):
    repo = cached(home) / "hub/models--a--b"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs/loop").symlink_to("../refs", target_is_directory=True)
    (cached(home) / "hub/models--x--loop").symlink_to("..", target_is_directory=True)
    os.mkfifo(repo / "refs/pipe")
    (repo / "trees").mkdir()
    (repo / "trees" / ("a" * 40 + ".json")).symlink_to("/dev/zero")
    os.mkfifo(repo / "trees" / ("b" * 40 + ".json"))
    (repo / "trees" / ("c" * 40 + ".json")).write_text("[" * 1_000_000 + '"xet_hash": "')
    (repo / "refs" / f"main\n{EVIL}").write_text("f" * 40)
    deep = repo / ".no_exist" / ("d" * 40)
    for _ in range(40):
        deep = deep / ("x" * 80)
    deep.mkdir(parents=True)
    os.mkfifo(cached(home) / "token")
    told = doctor(home)
    assert told.err == ""
    assert told.states()["cache/trees"] == "fail"
    assert told.states()["cache/refs"] == "warn"
    assert told.states()["token/file"] == "unknown"
    assert all((c["found"] + c["advice"]).isprintable() for c in told.json["checks"])


def test_a_hundred_thousand_files_are_counted(home):
    blobs = cached(home) / "hub/models--a--b/blobs"
    blobs.mkdir(parents=True)
    (blobs / "0").write_bytes(b"abc")
    (blobs / f"{'e' * 64}.incomplete").write_bytes(b"half")
    for number in range(1, 100_000):
        os.link(blobs / str(number // 30_000 * 30_000), blobs / str(number)) if number % 30_000 else (
            blobs / str(number)
        ).write_bytes(b"abc")
    told = doctor(home)
    assert told.states()["cache/location"] == "ok"
    assert "300.0 kB" in told.words("cache/location")
    assert told.states()["cache/incomplete"] == "warn"
    assert "4 bytes" in told.words("cache/incomplete")


# -- settings and versions -------------------------------------------------------------------------------------------


@pytest.mark.clients
def test_the_versions_of_a_named_python(closed, home):
    gateway, token = closed
    pythons = [str(ROOT / f".venvs/{name}/bin/python") for name in ("hub-0.36", "hub-2")]
    told = doctor(
        home, *[word for python in pythons for word in ("--python", python)],
        HF_ENDPOINT=gateway.url, HF_TOKEN=token, **QUIET,
    )  # fmt: skip
    assert "huggingface_hub 0.36.2" in told.words("version/huggingface_hub")
    assert "huggingface_hub 2." in told.words("version/huggingface_hub")
    assert told.code == 0
    missing = doctor(home, "--python", "/no/such/python", HF_ENDPOINT=gateway.url, HF_TOKEN=token)
    assert missing.states()["version/python"] == "unknown"


def test_a_folder_of_modules_is_not_imported_for_the_versions(home):
    (home / "json.py").write_text("raise SystemExit('imported from the current folder')")
    told = doctor(home)
    assert told.err == ""
    assert "version/python" not in told.states()


@pytest.mark.parametrize("colour", [{}, {"NO_COLOR": "1"}])
def test_a_person_gets_a_table_without_colour_where_there_is_no_terminal(colour, closed, home):
    gateway, token = closed
    told = doctor(home, HF_ENDPOINT=gateway.url, HF_TOKEN=token, COLUMNS="100", as_json=False, **colour, **QUIET)
    assert told.code == 0
    assert "\033" not in told.out
    assert [line for line in told.out.splitlines() if len(line) > 100 and str(home) not in line] == []
    assert "0 warn, 0 fail" in told.out


@pytest.mark.parametrize("colour", [{}, {"NO_COLOR": "1"}])
def test_colour_is_for_terminals_and_can_be_switched_off(colour, home):
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm", **colour}
        os.execve(FOLDER[0], [*FOLDER, "--hosts", NOBODY], env)
    shown = b""
    try:
        while piece := os.read(terminal, 65536):
            shown += piece
    except OSError:
        pass  # how Linux says that the other side is gone
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert (b"\033[31mfail" in shown) is (not colour)
    assert b"fail" in shown
