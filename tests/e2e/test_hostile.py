"""Hostile requests on raw sockets and hostile content upstream: the right class of answer, never a 500, nothing of it
reaches the hub, one record each, and the next request on a fresh connection is served as if nothing had happened."""

import json
import re
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from gateway.identity.redaction import redact
from gateway.simulator import builders
from gateway.simulator.faults import Fault, deep_json, huge_json, redirected
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import GatewayProcess, cli

GOOD = "/demo/good-safetensors/resolve/main/config.json"
BASE = "/demo/good-safetensors/resolve/main"
CLOSE = b"Host: gateway\r\nConnection: close\r\n\r\n"
MARK = "hostile-mark"


class Raw:
    """One answer as it stood on the wire."""

    def __init__(self, wire):
        self.wire = wire
        head, _, self.body = wire.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        match = re.fullmatch(rb"HTTP/\d\.\d (\d{3}) .*", lines[0])
        self.status = int(match[1]) if match else 0
        self.headers = [tuple(part.strip() for part in line.split(b":", 1)) for line in lines[1:]]

    def header(self, name):
        values = [value for key, value in self.headers if key.lower() == name.lower().encode()]
        return values[0].decode("ascii") if values else None


def talk(url, data):
    """Send bytes on a connection of their own, and read until the other side closes."""
    host, port = url.split("://")[1].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as sock:
        try:
            sock.sendall(data)
        except OSError:
            pass  # refused while still sending: the answer may be there all the same
        wire = b""
        try:
            while piece := sock.recv(65536):
                wire += piece
        except ConnectionResetError:
            pass  # cut with our bytes unread
    return Raw(wire)


def get(target, *headers):
    lines = [f"GET {target} HTTP/1.1".encode("utf-8", "surrogateescape"), *headers]
    return b"\r\n".join(lines) + b"\r\n" + CLOSE


def post(target, body, *headers):
    size = b"Content-Length: %d" % len(body)
    return b"\r\n".join([f"POST {target} HTTP/1.1".encode(), size, *headers]) + b"\r\n" + CLOSE + body


def intact(gateway, hub):
    """A fresh connection is served as ever."""
    answer = talk(gateway.url, get(GOOD))
    assert answer.status == 200
    assert answer.body == hub.world["demo/good-safetensors"].main.files["config.json"].content.read(0, 1 << 20)


# Each holds the mark in a part that must never be forwarded.
TARGETS = [
    f"{BASE}/../../../{MARK}",
    f"{BASE}/%2e%2e/{MARK}",
    f"{BASE}/%2E%2E%2F{MARK}",
    f"{BASE}/%252e%252e/{MARK}",
    f"{BASE}/a%252F{MARK}",
    f"{BASE}/.%2e/{MARK}",
    f"{BASE}/./{MARK}",
    f"{BASE}//{MARK}",
    f"{BASE}/{MARK}%00.json",
    f"{BASE}/{MARK}%0d%0aX-Injected:%20yes",
    f"{BASE}/{MARK}%0aX-Injected:%20yes",
    f"{BASE}/{MARK}%5c..%5c..",
    f"{BASE}/{MARK}\\..\\..",
    f"{BASE}/{MARK}%c0%ae%c0%ae",
    f"{BASE}/{MARK}%ff%fe",
    f"{BASE}/{MARK}%ed%a0%80",
    f"{BASE}/{MARK}%zz",
    f"{BASE}/{MARK}%",
    f"{BASE}/{MARK}%e2%80%a8x",
    f"/demo/../{MARK}/resolve/main/config.json",
    f"/..%2f{MARK}/x/resolve/main/config.json",
    f"/demo%2f{MARK}/resolve/main/config.json",
    f"/demo/{MARK}%00/resolve/main/config.json",
    f"/demo/{MARK}%0d%0ax/resolve/main/config.json",
    f"/demo/{MARK}/../good-safetensors/resolve/main/config.json",
    f"/demo/{MARK}--x/resolve/main/config.json",
    f"/demo/{MARK}.git/resolve/main/config.json",
    f"/demo/{MARK};x=y/resolve/main/config.json",
    f"/demo/good-safetensors/resolve/..%2f..%2f{MARK}/config.json",
    f"/demo/good-safetensors/resolve/{MARK}%0d%0aHost:%20evil/config.json",
    f"/demo/good-safetensors/resolve/{MARK}%00/config.json",
    f"/demo/good-safetensors/resolve/{MARK}%2f..%2f..%2fmain/config.json",
    f"/demo/good-safetensors/resolve/%252e%252e%252f{MARK}/config.json",
    f"/demo/good-safetensors/resolve/main/resolve/{MARK}/../x",
    f"/api/models/demo/good-safetensors/tree/main/..%2f{MARK}",
    f"/api/models/demo/good-safetensors/tree/main/%252e%252e/{MARK}",
    f"/api/models/..%2f{MARK}/revision/main",
    f"/api/models/demo/good-safetensors/revision/{MARK}%0a",
    f"/api/../{MARK}",
    f"//{MARK}/demo/good-safetensors/resolve/main/config.json",
    f"http://{MARK}.example/demo/good-safetensors/resolve/main/config.json",
    f"https://{MARK}@127.0.0.1/health",
    f"{BASE}/config.json#{MARK}",
    f"{GOOD}?download=%0d%0a{MARK}",
    f"{GOOD}?{MARK}=%00",
    f"{GOOD}?a=%252e%252e{MARK}",
    "/" + MARK + "/a" * 4000,
    f"/{MARK}?" + "&".join("a=b" for _ in range(2001)),
]


@pytest.mark.parametrize("target", TARGETS)
def test_a_hostile_target_is_refused_in_words_and_never_forwarded(target, gateway, hub):
    hub.clear()
    answer = talk(gateway.url, get(target))
    assert answer.status in {400, 404}, answer.wire[:300]
    assert answer.header("Content-Type").startswith("application/json")
    assert json.loads(answer.body)["error"]
    assert answer.header("X-Injected") is None
    assert not hub.requests, [r.target for r in hub.requests]
    intact(gateway, hub)


def test_every_hostile_target_has_a_record_of_its_own(launch, hub):
    gateway = launch(hub)
    for target in TARGETS:
        talk(gateway.url, get(target))
    gateway.stop()
    records = gateway.records()
    seen = Counter(r["extra"]["target"] for r in records if "target" in r.get("extra", {}))
    missing = [t for t in map(redact, TARGETS) if not seen.get(t[:512])]
    assert not missing
    assert all(r["effect"] == "refused" for r in records if r["kind"] != "event")


MALFORMED = {
    "NUL in the target": b"GET /demo/\x00/resolve/main/x HTTP/1.1\r\n" + CLOSE,
    "raw bytes in the target": b"GET /demo/\xc3\xa9\xff/resolve/main/x HTTP/1.1\r\n" + CLOSE,
    "newline in the target": b"GET /demo/a\nb/resolve/main/x HTTP/1.1\r\n" + CLOSE,
    "no path": b"GET * HTTP/1.1\r\n" + CLOSE,
    "no Host": f"GET {GOOD} HTTP/1.1\r\nConnection: close\r\n\r\n".encode(),
    "two Hosts": f"GET {GOOD} HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n".encode(),
    "length and chunks": (
        f"POST {GOOD} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        f"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    ).encode(),
    "two lengths": f"POST {GOOD} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde".encode(),
    "a length below zero": f"POST {GOOD} HTTP/1.1\r\nHost: x\r\nContent-Length: -4\r\n\r\nabcd".encode(),
    "a length with a sign": f"POST {GOOD} HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd".encode(),
    "an unknown transfer coding": f"POST {GOOD} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".encode(),
    "chunked twice": f"POST {GOOD} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n".encode(),
    "a folded header": f"GET {GOOD} HTTP/1.1\r\nHost: x\r\nX-A: b\r\n  c\r\n\r\n".encode(),
    "space before the colon": f"GET {GOOD} HTTP/1.1\r\nHost : x\r\n\r\n".encode(),
    "a bad chunk size": (
        b"POST /api/models/demo/good-safetensors/paths-info/main HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n"
    ),
    "a huge target": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + CLOSE,
    "a huge header": f"GET {GOOD} HTTP/1.1\r\nHost: x\r\nX-A: {'a' * 100_000}\r\n\r\n".encode(),
    "thousands of headers": (
        f"GET {GOOD} HTTP/1.1\r\nHost: x\r\n" + "".join(f"X-{n}: a\r\n" for n in range(5000)) + "\r\n"
    ).encode(),
    "an unknown version": f"GET {GOOD} HTTP/3.0\r\n".encode() + CLOSE,
    "TLS on a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n",
    "a broken credential": f"GET {GOOD} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cr3t-in-a-header\x01\r\n\r\n".encode(),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_no_http_is_400_json_without_an_echo(what, gateway, hub):
    hub.clear()
    answer = talk(gateway.url, MALFORMED[what])
    assert answer.status == 400, answer.wire[:300]
    assert json.loads(answer.body)["error"] == answer.header("X-Error-Message")
    assert "route/malformed" in answer.header("X-Error-Message")
    assert answer.header("Server") == "model-gateway"
    assert answer.wire.count(b"HTTP/1.") == 1, "the smuggled request was answered too"
    assert b"s3cr3t" not in answer.wire
    assert not hub.requests
    intact(gateway, hub)


def test_what_is_no_http_is_on_record_and_never_in_the_log_word_by_word(launch, hub):
    gateway = launch(hub)
    for wire in MALFORMED.values():
        talk(gateway.url, wire)
    gateway.stop()
    malformed = [r for r in gateway.records() if any(x["rule"] == "route/malformed" for x in r.get("reasons", []))]
    assert sum(max(1, r.get("count", 0)) for r in malformed) >= len(MALFORMED)
    text = "".join(gateway.log) + json.dumps(gateway.records())
    assert "s3cr3t" not in text
    assert "Traceback" not in text
    for line in gateway.log:
        assert isinstance(json.loads(line), dict), line


def test_an_unpackable_body_is_a_fault_of_the_client(gateway, hub):
    route = "/api/models/demo/good-safetensors/paths-info/main"
    answer = talk(gateway.url, post(route, b"abcde", b"Content-Type: application/json", b"Content-Encoding: gzip"))
    assert answer.status == 400
    assert "route/malformed" in answer.header("X-Error-Message")
    intact(gateway, hub)


BODIES = [
    b"",
    b"{",
    b"[" * 100_000,
    b'{"paths": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"paths": ["../../' + MARK.encode() + b'"]}',
    b'{"paths": ["a\\u0000' + MARK.encode() + b'"]}',
    b'{"paths": ["' + MARK.encode() + b'\\r\\nX-Injected: yes"]}',
    b'{"paths": ["\\ud800' + MARK.encode() + b'"]}',
    b'{"paths": [1, 2]}',
    b'{"paths": {"a": 1}}',
    b'{"paths": ' + json.dumps([f"{MARK}-{n}" for n in range(1001)]).encode() + b"}",
    b"\xff\xfe\x00",
    b"a" * (1 << 20) + b"b",
]


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_a_hostile_body_is_refused_and_never_forwarded(number, gateway, hub):
    hub.clear()
    route = "/api/models/demo/good-safetensors/paths-info/main"
    answer = talk(gateway.url, post(route, BODIES[number], b"Content-Type: application/json"))
    assert answer.status in {400, 404}, answer.wire[:300]
    assert MARK not in "".join(r.target + r.body.decode("utf-8", "replace") for r in hub.requests)
    intact(gateway, hub)


@pytest.mark.parametrize(
    "headers",
    [
        [b"X-Forwarded-Host: evil.example", b"X-Forwarded-Proto: https", b"Forwarded: host=evil.example;proto=https"],
        [b"X-Original-URL: /api/whoami-v2", b"X-Rewrite-URL: /api/whoami-v2"],
        [b"X-HTTP-Method-Override: DELETE", b"X-Method-Override: DELETE"],
        [b"X-Forwarded-Prefix: /evil.example"],
    ],
)
def test_own_links_never_come_from_the_request(headers, gateway):
    route = "/api/models/demo/good-safetensors?blobs=true"
    plain, bent = talk(gateway.url, get(route)), talk(gateway.url, get(route, *headers))
    assert bent.status == plain.status == 200
    assert b"evil.example" not in bent.wire
    assert bent.body == plain.body
    host = b"\r\n".join([f"GET {route} HTTP/1.1".encode(), b"Host: evil.example", b"Connection: close", b"", b""])
    assert talk(gateway.url, host).body == plain.body


def test_own_links_come_from_the_public_url(tmp_path):
    world = sample_world()
    with SimulatorThread(world) as hub:
        text = f"see {hub.hub_url}/demo/good-torch and https://huggingface.co/demo/x"
        world["demo/good-safetensors"].description = text
        world["demo/good-safetensors"].card["link"] = f"{hub.hub_url}/demo/good-torch"
        gateway = GatewayProcess(hub, tmp_path / "state", "--public-url", "https://models.example")
        try:
            answer = talk(gateway.url, get("/api/models/demo/good-safetensors", b"X-Forwarded-Host: evil.example"))
            assert answer.status == 200
            assert b"https://models.example/demo/good-torch" in answer.body
            for foreign in (hub.hub_url.encode(), b"huggingface.co", b"evil.example", b"127.0.0.1"):
                assert foreign not in answer.wire
        finally:
            gateway.stop()


RANGES = [
    ("bytes=0-0", 206), ("bytes=-1", 206), ("bytes=0-999999999999", 206), ("bytes=999999999-", 416),
    ("bytes=-0", 416), ("bytes=5-2", 200), ("bytes=a-b", 200), ("bytes=", 200), ("bytes=--1", 200), ("bytes", 200),
    ("items=0-1", 200), ("bytes=0-1,3-4", 200), ("bytes=0-1," * 100 + "2-3", 200), ("bytes=1e3-", 200),
    ("bytes=٠-٩", 200), ("bytes=0x1-0x2", 200), ("bytes= 0-1", 206), ("bytes=" + "9" * 4000 + "-", 416),
    ("bytes=-" + "9" * 4000, 206), ("bytes=1_0-2_0", 200),
]  # fmt: skip


@pytest.mark.parametrize(("value", "status"), RANGES)
def test_a_range_is_served_exactly_or_not_at_all(value, status, gateway, hub):
    whole = hub.world["demo/good-safetensors"].main.files["config.json"].content.read(0, 1 << 20)
    answer = talk(gateway.url, get(GOOD, b"Range: " + value.encode()))
    assert answer.status in ({status, 200, 416} if status in {416, 206} and len(value) > 1000 else {status}), value
    if answer.status == 206:
        first, last, size = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.header("Content-Range")).groups())
        assert size == len(whole)
        assert answer.body == whole[first : last + 1]
    elif answer.status == 200:
        assert answer.body == whole
    else:
        assert answer.header("Content-Range") == f"bytes */{len(whole)}"
        assert answer.body == b""


def test_pipelined_requests_are_answered_each_and_in_order(gateway):
    one = f"GET {GOOD} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    bad = b"GET /no/such/route/here HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = talk(gateway.url, one + bad + b"HEAD " + one[4:] + get(GOOD))
    assert re.findall(rb"HTTP/1\.1 (\d{3})", answer.wire) == [b"200", b"404", b"200", b"200"]


def test_an_old_client_gets_an_old_answer(gateway, hub):
    answer = talk(gateway.url, f"GET {GOOD} HTTP/1.0\r\n\r\n".encode())
    assert answer.status == 200
    assert answer.body == hub.world["demo/good-safetensors"].main.files["config.json"].content.read(0, 1 << 20)
    assert answer.header("Transfer-Encoding") is None


@pytest.mark.parametrize(
    "line", [b"Authorization: Bearer a\r\nAuthorization: Bearer b", b"Authorization: Bearer " + b"a" * 8000]
)
def test_a_doubled_or_oversized_credential_is_refused_as_one(line, gateway, hub):
    hub.clear()
    answer = talk(gateway.url, get(GOOD, line))
    assert answer.status == 403
    assert "identity/" in answer.header("X-Error-Message")
    assert not hub.requests


def test_a_secret_in_a_target_reaches_neither_log_nor_ledger(launch, hub):
    gateway = launch(hub)
    secret = "hf_" + "Zz9" * 11
    for method, target in (
        ("GET", f"/nowhere?token={secret}"),
        ("GET", f"/nowhere/{secret}"),
        ("POST", f"/api/repos/create?token={secret}"),
        ("GET", f"{GOOD}?token={secret}"),
    ):
        gateway.get(target, method)
    gateway.stop()
    assert secret not in "".join(gateway.log) + json.dumps(gateway.records())


# -- hostile file names -------------------------------------------------------------------------------------------

NAMES = [
    'quote".txt', "single'.txt", "semi;colon.txt", "new\nline.txt", "cr\r\nX-Injected: yes.txt", "tab\t.txt",
    "bidi\u202egnp.txt", "zero\u200bwidth.txt", "astral \U0001f600.txt", "percent%41.txt", "percent%2e%2e.txt",
    "back\\slash.txt", "<script>alert(1)<script>.txt", "nul\x00byte.txt", "line\u2028sep.txt", "é\u0301.txt", "a" * 200 + ".txt",
    "$(id).txt", "hash#.txt", "question?.txt", "amp&.txt", "plus+.txt", "space .txt", "deny.pkl\n.txt",
]  # fmt: skip
UNREACHABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029]|%[0-9A-Fa-f]{2}")


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    world = sample_world()
    routable = {name: f"content of {number}\n" for number, name in enumerate(NAMES) if not UNREACHABLE.search(name)}
    repo = world.repo("demo/names", card={"license": "apache-2.0"})
    repo.commit({"README.md": repo.readme(), **routable})
    evil = world.repo("demo/evil-names", card={"license": "apache-2.0"})
    payload = builders.pickle_call("posix", "system")
    evil.commit({"README.md": evil.readme()} | {name.replace(".txt", ".pkl"): payload for name in routable})
    for number, name in enumerate(NAMES):
        if UNREACHABLE.search(name):
            odd = world.repo(f"demo/odd-{number}", card={"license": "apache-2.0"})
            odd.commit({"README.md": odd.readme(), name: "x\n"})
    with SimulatorThread(world) as hub:
        process = GatewayProcess(hub, tmp_path_factory.mktemp("names") / "state")
        yield hub, process
        process.stop()


def clean(answer):
    """Nothing but printable ASCII in the head, and no header of the attacker's."""
    head = answer.wire.partition(b"\r\n\r\n")[0]
    assert re.fullmatch(rb"[\x20-\x7e\r\n]*", head), head
    assert answer.header("X-Injected") is None
    assert not [key for key, _ in answer.headers if not re.fullmatch(rb"[A-Za-z-]+", key)], head


ROUTABLE = [n for n, name in enumerate(NAMES) if not UNREACHABLE.search(name)]
UNROUTABLE = [n for n, name in enumerate(NAMES) if UNREACHABLE.search(name)]


@pytest.mark.parametrize("number", ROUTABLE)
def test_a_hostile_name_is_served_under_a_clean_head(number, named):
    _, gateway = named
    for method in (b"GET", b"HEAD"):
        answer = talk(gateway.url, method + get(f"/demo/names/resolve/main/{quote(NAMES[number])}")[3:])
        clean(answer)
        assert answer.status == 200, answer.wire[:300]
        if method == b"GET":
            assert answer.body == f"content of {number}\n".encode()


@pytest.mark.parametrize("number", ROUTABLE)
def test_a_hostile_name_is_denied_in_clean_words(number, named):
    _, gateway = named
    name = NAMES[number].replace(".txt", ".pkl")
    answer = talk(gateway.url, get(f"/demo/evil-names/resolve/main/{quote(name)}"))
    clean(answer)
    assert answer.status == 403, answer.wire[:300]
    assert "scan/" in json.loads(answer.body)["error"] or "format/" in json.loads(answer.body)["error"]


@pytest.mark.parametrize("number", UNROUTABLE)
def test_a_name_that_no_route_can_hold_is_listed_nowhere_and_the_others_are_served_with_a_word_of_it(number, named):
    _, gateway = named
    name, repo = NAMES[number], f"demo/odd-{number}"
    routes = [
        f"/{repo}/resolve/main/",
        f"/{repo}/raw/main/",
        f"/{repo}/blob/main/",
        f"/api/models/{repo}/treesize/main/",
    ]
    for route in routes:
        answer = talk(gateway.url, get(route + quote(name)))
        clean(answer)
        assert answer.status in {400, 404}, answer.wire[:300]
    answer = talk(gateway.url, get(f"/{repo}/resolve/main/README.md"))
    clean(answer)
    # A NUL is in no git tree: such a listing is not believed at all.
    rule = "revision/files-incomplete" if "\x00" in name else "revision/unroutable-name"
    assert answer.status == (403 if "\x00" in name else 200)
    assert rule in (answer.header("X-Error-Message") or answer.header("X-HF-Warning"))
    if answer.status == 200:
        for route in (
            f"/api/models/{repo}?blobs=true",
            f"/api/models/{repo}/tree/main?recursive=true",
            f"/api/models/{repo}/tree/main?recursive=true&expand=true",
        ):
            listed = talk(gateway.url, get(route))
            clean(listed)
            value = json.loads(listed.body)
            rows = value if isinstance(value, list) else value["siblings"]
            assert [row.get("path", row.get("rfilename")) for row in rows] == ["README.md"], route


def test_listings_of_hostile_names_are_json_and_logs_are_lines(named):
    _, gateway = named
    for route in (
        "/api/models/demo/names", "/api/models/demo/names/tree/main?recursive=true", "/api/models/demo/evil-names",
        "/api/models/demo/evil-names/tree/main",
    ):  # fmt: skip
        answer = talk(gateway.url, get(route))
        clean(answer)
        assert answer.status == 200
        json.loads(answer.body)
    shown = {entry["path"] for entry in json.loads(talk(gateway.url, get("/api/models/demo/names/tree/main")).body)}
    assert {NAMES[number] for number in ROUTABLE} <= shown
    for line in gateway.log:
        event = json.loads(line)
        assert isinstance(event, dict)
        assert event["event"]
    done = cli("audit", "list", "--state", str(gateway.state))
    assert done.returncode == 0
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", done.stdout)


# -- hostile upstream ----------------------------------------------------------------------------------------------


LOCATIONS = [
    "http://169.254.169.254/latest/meta-data/",
    "http://127.0.0.1:1/secret",
    "http://[::1]:1/secret",
    "http://0x7f000001/",
    "http://metadata.google.internal/",
    "https://evil.example/model",
    "https://huggingface.co.evil.example/model",
    "https://huggingface.co@evil.example/model",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "//evil.example/model",
    "http://localhost:22/",
    "http://evil.example\\@127.0.0.1/",
    "",
]
# What the hub answers in place of a listing.
LISTINGS = {
    "endless depth": lambda path: deep_json(path, 100_000),
    "deep": lambda path: deep_json(path, 70),
    "huge": lambda path: huge_json(path, 70 * 1024 * 1024),
    "a captive portal": lambda path: Fault(path=path, status=200, body=b"<html>captive portal</html>"),
    "null": lambda path: Fault(path=path, status=200, body=b"null"),
    "a list": lambda path: Fault(path=path, status=200, body=b"[]"),
    "an empty object": lambda path: Fault(path=path, status=200, body=b"{}"),
    "wrong types": lambda path: Fault(path=path, status=200, body=b'{"sha": 7, "siblings": "x", "id": []}'),
    "a path for a commit": lambda path: Fault(path=path, status=200, body=b'{"sha": "../../../x"}'),
    "nothing": lambda path: Fault(path=path, status=200, body=b""),
    "an odd status": lambda path: Fault(path=path, status=418, body=b""),
    "half": lambda path: Fault(path=path, truncate_at=10),
    "a closed connection": lambda path: Fault(path=path, drop=True),
}


@pytest.fixture(scope="module")
def rough(tmp_path_factory):
    """A hub that tests spoil, with a repo for each test, and one gateway before it."""
    world = sample_world()
    for name in [f"rough/at-{n}" for n in range(len(LOCATIONS))] + [f"rough/as-{n}" for n in range(len(LISTINGS))]:
        repo = world.repo(name, card={"license": "apache-2.0"})
        repo.commit({"README.md": repo.readme(), "model.safetensors": builders.safetensors({name: (2, 2)})})
    with SimulatorThread(world) as hub:
        process = GatewayProcess(hub, tmp_path_factory.mktemp("rough") / "state")
        yield hub, process
        process.stop()


def test_a_redirect_to_anywhere_else_is_not_followed(rough):
    hub, gateway = rough
    routes = [f"/rough/at-{number}/resolve/main/model.safetensors" for number in range(len(LOCATIONS))]
    faults = [redirected(f"rough/at-{n}/model.safetensors", location) for n, location in enumerate(LOCATIONS)]
    with hub.faults.during(*faults), ThreadPoolExecutor(len(routes)) as pool:
        for location, answer in zip(LOCATIONS, pool.map(gateway.get, routes), strict=True):
            assert answer.status == 502, (location, answer.body)
            assert "upstream/" in answer.headers["X-Error-Message"], location
            assert answer.headers["X-Error-Code"] is None
    assert [gateway.get(route).status for route in routes] == [200] * len(routes)


@pytest.mark.parametrize("number", range(len(LISTINGS)), ids=list(LISTINGS))
def test_a_listing_that_cannot_be_believed_is_the_hubs_trouble(number, rough):
    hub, gateway = rough
    fault = list(LISTINGS.values())[number](f"/api/models/rough/as-{number}*")
    route = f"/rough/as-{number}/resolve/main/model.safetensors"
    with hub.faults.during(fault):
        for method, asked in (("GET", f"/api/models/rough/as-{number}"), ("HEAD", route), ("GET", route)):
            answer = gateway.get(asked, method)
            assert answer.status in {502, 504}, (asked, answer.status, answer.body[:300])
            assert answer.headers["X-Error-Code"] is None
            assert answer.headers["X-Repo-Commit"] is None
    assert gateway.get(route).status == 200


def test_a_name_that_resolves_to_a_private_address_is_not_asked(tmp_path):
    """Without --unsafe-allow-private-upstream, also after DNS: `localhost` is a name like any other. An upstream that is
    written as a private address refuses to start (tests/test_settings.py)."""
    with SimulatorThread(sample_world()) as hub:
        port = hub.hub_url.rsplit(":", 1)[1]
        gateway = GatewayProcess(None, tmp_path / "state", "--upstream", f"http://localhost:{port}")
        try:
            answer = gateway.get(GOOD)
            assert answer.status == 502
            assert "upstream/address-refused" in answer.headers["X-Error-Message"]
            assert not hub.requests
        finally:
            gateway.stop()
