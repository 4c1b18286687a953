"""P7, P9: each refusal names a page that explains it. Hostile text on it is text; nobody reads what is not theirs, and
what is not theirs looks exactly like what is not there."""

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from gateway.simulator import builders
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import GatewayProcess, cli

HUB_TOKEN = "hf_gatewaysOwnHubToken000000000000"
DENIED = "/demo/no-license/resolve/main/model.safetensors"
SECRET = "/corp/secret/resolve/main/model.safetensors"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
JSON = {"Accept": "application/json"}
XSS = "<script>alert(1)</script><img src=x onerror=alert(1)>"
QUOTED = "\"'><svg onload=alert(1)>&lt;\u202e\u200bgnp"
ALLOWED_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "section", "footer", "h1", "h2", "div", "p", "span", "br"),
    *("a", "code", "strong", "dl", "dt", "dd", "ul", "li", "details", "summary"),
}
CONTACT = "https://help.corp.example/ask?a=1&b=2"


@pytest.fixture(scope="module")
def world():
    world = sample_world()
    hostile = world.repo("demo/hostile", card={"license": XSS}, library=QUOTED)
    evil = builders.pickle_call('posix"><script>alert(1)</script>', "system'><svg onload=alert(1)>")
    hostile.commit({"README.md": hostile.readme(), f"{QUOTED}/{XSS.replace('/', '')}.bin": evil})
    hostile.commit({"README.md": hostile.readme("b")}, branch=XSS.replace("/", ""))
    pickles = world.repo("demo/pickles", card={"license": "apache-2.0"}, library="transformers")
    pickles.commit(
        {
            "README.md": pickles.readme(),
            f"x{QUOTED}.bin": builders.torch_zip({"w": (4, 4)}, data_pkl=evil),
            "one.bin": builders.torch_zip({"w": (4, 4)}, data_pkl=builders.pickle_call("posix", "system")),
            "two.exe": b"MZ" + b"\0" * 64,
            "three.exe": b"MZ" + b"\1" * 64,
        }
    )
    secret = world.repo("corp/secret", card={}, private=True)
    secret.commit({"README.md": secret.readme(), "model.safetensors": builders.safetensors({"w": (4, 4)})})
    world.token(HUB_TOKEN, "corp/secret", name="gateway")
    return world


@pytest.fixture(scope="module")
def site(world, tmp_path_factory):
    """A gateway with named subjects, one entitled, one reviewer; anonymous is on."""
    root = tmp_path_factory.mktemp("pages")
    overlay = root / "entitlements.yaml"
    overlay.write_text(json.dumps({"entitlements": {"corp": {"corp/*": True}}}))
    tokens = {}
    for name, group in (("alice", "corp"), ("bob", "ml"), ("rita", "reviewers")):
        done = cli("token", "add", name, "--group", group, "--state", str(root / "state"), "--json")
        tokens[name] = json.loads(done.stdout)["token"]
    config = f'[server]\ncontact = "{CONTACT}"\n[review]\ngroups = ["reviewers"]\n'
    with SimulatorThread(world) as hub:
        process = GatewayProcess(
            hub,
            root / "state",
            "--policy-data",
            str(overlay),
            env={"GATEWAY_UPSTREAM_TOKEN": HUB_TOKEN},
            config=config,
        )
        process.tokens = tokens
        yield process
        process.stop()


def bearer(site, name, **more):
    return {"Authorization": f"Bearer {site.tokens[name]}", **more} if name else dict(more)


def basic(site, name):
    return {"Authorization": "Basic " + base64.b64encode(f"whoever:{site.tokens[name]}".encode()).decode(), **BROWSER}


def page_of(site, path, name="", method="GET"):
    """The path of the page that the refusal of `path` names."""
    answer = site.get(path, method, bearer(site, name))
    line = answer.headers["X-Error-Message"] or answer.headers["X-HF-Warning"]
    match = re.search(r" See (\S+)$", line)
    assert match, line
    assert match[1].startswith(site.url + "/-/"), line
    return match[1].removeprefix(site.url)


class Elements(HTMLParser):
    def __init__(self, body):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(body.decode())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *each) for each in attributes]

    def handle_data(self, data):
        self.text += data


def is_tame(site, body):
    """Only our own elements and attributes; links lead to our own pages or to the operators."""
    page = Elements(body)
    assert set(page.tags) <= ALLOWED_TAGS, set(page.tags) - ALLOWED_TAGS
    for tag, name, value in page.attributes:
        assert (tag, name) in {
            ("a", "href"),
            ("html", "lang"),
            ("meta", "charset"),
            ("meta", "name"),
            ("meta", "content"),
        } or (name == "class"), (tag, name)
        if name == "href":
            assert value.startswith(f"{site.url}/-/") or value == CONTACT, value
        if name == "class":
            assert re.fullmatch(r"[a-z ]+", value), value
    return page


# -- what it tells -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_refusal_names_its_page_and_the_page_tells_it_at_once(site, method):
    page = page_of(site, DENIED, "bob", method)
    assert page.startswith("/-/decisions/d-")
    answer = site.get(page, headers=bearer(site, "bob", **BROWSER))
    assert answer.status == 200
    text = is_tame(site, answer.body).text
    for words in (
        "demo/no-license", "model.safetensors", "license/unknown", "No license declared", "declares no license", "medium",
        "enforce", "main", "bob (user), groups ml", "sha256:", "Ask the publisher", "waiver", CONTACT, page.rpartition("/")[2],
    ):  # fmt: skip
        assert words in text, words


def test_the_same_facts_come_as_json(site):
    page = page_of(site, DENIED, "bob")
    facts = site.get(page, headers=bearer(site, "bob", **JSON))
    assert facts.headers["Content-Type"].startswith("application/json")
    value = facts.json
    assert value["id"] == page.rpartition("/")[2]
    assert (value["effect"], value["subject"]["id"], value["is_current"]) == ("deny", "bob", True)
    (answer,) = [a for a in value["answers"] if a["path"] == "model.safetensors"]
    assert answer["reasons"][0]["rule"] == "license/unknown"
    assert value["rules"]["license/unknown"]["title"] == "No license declared"
    assert value["contact"] == CONTACT


def test_a_scan_is_told_with_its_findings_and_the_decision_it_stands_on(site):
    page = page_of(site, "/demo/pickles/resolve/main/one.bin", "bob")
    value = site.get(page, headers=bearer(site, "bob", **JSON)).json
    assert value["reports"][0]["findings"][0]["symbol"]
    assert value["reports"][0]["coverage"]["surface"] == "complete"
    text = is_tame(site, site.get(page, headers=bearer(site, "bob")).body).text
    assert "posix.system" in text
    behind = site.get(f"/-/decisions/{value['revision_decision']}", headers=bearer(site, "bob"))
    assert behind.status == 200


def test_one_decision_that_refuses_several_files_tells_each(site):
    repo = "/demo/pickles/resolve/main/"
    pages = {path: page_of(site, repo + path, "alice") for path in ("two.exe", "three.exe")}
    for path, page in pages.items():
        answers = site.get(page, headers=bearer(site, "alice", **JSON)).json["answers"]
        assert path in {answer["path"] for answer in answers}, (path, answers)


def test_repeats_are_told_by_the_page_of_the_first(site):
    first = page_of(site, DENIED, "alice")
    for _ in range(5):
        assert page_of(site, DENIED, "alice") == first
    site.restart()
    assert page_of(site, DENIED, "alice") == first
    assert site.get(first, headers=bearer(site, "alice")).status == 200


def test_an_other_policy_is_said(site, world, launch, tmp_path):
    with SimulatorThread(world) as hub:
        gateway = launch(hub, state=tmp_path / "own")
        page = page_of(gateway, DENIED)
        assert gateway.get(page, headers=JSON).json["is_current"] is True
        assert b"Policy or policy data have changed" not in gateway.get(page).body
        gateway.stop()
        again = launch(hub, "--profile", "strict", state=tmp_path / "own")
        assert again.get(page, headers=JSON).json["is_current"] is False
        assert b"Policy or policy data have changed" in again.get(page).body


# -- hostile text --------------------------------------------------------------------------------------------------


def test_hostile_names_findings_and_cards_are_text_and_nothing_else(site, world):
    repos = {path: repo for repo in ("demo/hostile", "demo/pickles") for path in world[repo].main.files}
    headers = bearer(site, "bob", **{"User-Agent": f"{QUOTED[:5]}x/1 <script>"})
    seen = 0
    for path, repo in repos.items():
        for ref in ("main", XSS.replace("/", "")):
            answer = site.get(f"/{repo}/resolve/{quote(ref, safe='')}/{quote(path)}", headers=headers)
            line = answer.headers["X-Error-Message"]
            if answer.status != 403:
                continue
            page = re.search(r" See \S+(/-/decisions/\S+)$", line)[1]
            body = site.get(page, headers=bearer(site, "bob")).body
            is_tame(site, body)
            assert b"\xe2\x80\xae" not in body, "a bidi override is shown, not obeyed"
            is_tame(site, site.get(page, headers=bearer(site, "rita")).body)
            seen += 1
    assert seen >= 4


def test_the_answer_lets_a_browser_do_nothing_and_keep_nothing(site):
    headers = site.get(page_of(site, DENIED, "bob"), headers=bearer(site, "bob", **BROWSER)).headers
    policy = headers["Content-Security-Policy"]
    for words in (
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "style-src 'sha256-",
    ):
        assert words in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Accept" in headers["Vary"]


@pytest.mark.parametrize(
    "contact",
    ['x"onclick=alert(1)@y', "javascript:alert(1)", "https://a/\r\nX-Evil: 1", "ask me", "https://a/<b>", "data:text/html,x",
     "mailto:a@b?body=x y", "https://" + "a" * 200, "a@b@c", "https://a/'x"],
)  # fmt: skip
def test_a_contact_that_is_no_plain_address_refuses_to_start(contact, tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text(f"[server]\ncontact = {json.dumps(contact)}\n")
    done = cli("serve", "--config", str(config), "--state", str(tmp_path / "s"), "--listen", "127.0.0.1:0")
    assert done.returncode == 2
    assert "server.contact" in done.stderr


# -- whose it is ---------------------------------------------------------------------------------------------------


def bare(answer):
    """What a stranger can compare: all but what names this very request."""
    varying = {"x-request-id", "date"}
    return (
        answer.status,
        sorted((k.lower(), v) for k, v in answer.headers.items() if k.lower() not in varying),
        answer.body,
    )


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("accept", [{}, BROWSER, JSON])
def test_somebody_elses_decision_looks_like_none(site, method, accept):
    page = page_of(site, DENIED, "alice")
    absent = "/-/decisions/d-" + "0" * 20
    assert site.get(page, method, bearer(site, "alice", **accept)).status == 200
    for who, status in (("bob", 404), ("", 401)):
        theirs = site.get(page, method, bearer(site, who, **accept))
        none = site.get(absent, method, bearer(site, who, **accept))
        assert theirs.status == status
        assert bare(theirs) == bare(none)
        assert b"no-license" not in theirs.body


def test_a_reviewer_reads_all_and_where_from(site):
    page = page_of(site, DENIED, "alice")
    own = site.get(page, headers=bearer(site, "alice", **JSON)).json
    review = site.get(page, headers=bearer(site, "rita", **JSON)).json
    assert own["answers"][0]["from"] == []
    assert review["answers"][0]["from"][0].startswith("127.0.0.1")
    assert review["subject"]["id"] == "alice"


def test_a_browser_is_asked_for_the_token_and_only_here(site):
    page = page_of(site, DENIED, "alice")
    asked = site.get(page, headers=BROWSER)
    assert asked.status == 401
    assert asked.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert site.get(page, headers=basic(site, "alice")).status == 200
    assert site.get(page, headers=basic(site, "bob")).status == 404
    wrong = {"Authorization": "Basic " + base64.b64encode(b"x:mgw_wrongwrongwrong").decode(), **BROWSER}
    assert site.get(page, headers=wrong).status == 401
    for path in (DENIED, SECRET, "/api/models/demo/no-license/refs", "/api/whoami-v2", "/nothing/at/all/x"):
        for headers in ({}, BROWSER, wrong):
            assert site.get(path, headers=headers).headers["WWW-Authenticate"] is None, path


def test_decisions_of_nobody_are_everybodys_who_comes_without_a_name(site):
    page = page_of(site, DENIED)
    answer = site.get(page, headers=JSON)
    assert answer.status == 200
    assert answer.json["answers"][0]["from"] == []
    assert site.get(page, headers=bearer(site, "bob", **JSON)).status == 404


def test_a_private_repo_has_no_page_for_a_stranger(site):
    entitled = page_of(site, SECRET, "alice")
    assert site.get(entitled, headers=bearer(site, "alice")).status == 200
    for who in ("bob", ""):
        answer = site.get(SECRET, headers=bearer(site, who, **BROWSER))
        assert answer.status == 404
        assert b"/-/" not in answer.body
        assert "/-/" not in str(answer.headers)
    ids = {
        (r["subject"], r["decision_id"])
        for r in site.records()
        if r.get("repo") == "corp/secret" and r.get("decision_id")
    }
    assert {subject for subject, _ in ids} >= {"alice", "bob", "anonymous"}
    for subject, decision_id in ids:
        for who in ("bob", ""):
            answer = site.get(f"/-/decisions/{decision_id}", headers=bearer(site, who))
            assert answer.status == (404 if who else 401), (subject, who)
            assert b"secret" not in answer.body


# -- the wire ------------------------------------------------------------------------------------------------------


def test_the_page_is_whole_and_fresh_whatever_the_headers_say(site):
    page = page_of(site, DENIED, "bob")
    whole = site.get(page, headers=bearer(site, "bob"))
    for more in (
        {"Range": "bytes=0-9"},
        {"If-None-Match": "*"},
        {"If-Modified-Since": "Thu, 31 Dec 2099 00:00:00 GMT"},
    ):
        again = site.get(page, headers=bearer(site, "bob", **more))
        assert (again.status, len(again.body)) == (200, len(whole.body))
    head = site.get(page, "HEAD", bearer(site, "bob"))
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(whole.body)))
    assert "ETag" not in whole.headers
    assert site.get(page + ".", headers=bearer(site, "bob")).status == 200, "clients end their sentence behind the link"
    assert site.get(page + "?x=1", headers=bearer(site, "bob")).status == 200


@pytest.mark.parametrize(
    "path",
    ["/-/", "/-/decisions", "/-/decisions/", "/-/decisions/..", "/-/decisions/../../metrics", "/-/decisions/%2e%2e",
     "/-/decisions/'%20OR%201=1--", "/-/decisions/" + "d" * 5000, "/-/decisions/d-%00", "/-/decisions/*", "/-/decisions/d-",
     "/-/decisions/{}/x", "/-/decisions//{}", "/-//decisions/{}", "/-/decisions/%64{}", "/-/reasons/", "/-/reasons/x/y",
     "/-/reasons/../decisions/{}", "/-/reasons/identity", "/-/nothing", "/-/decisions/{}.."],
)  # fmt: skip
def test_what_names_no_page_is_not_there(site, path):
    decision_id = page_of(site, DENIED, "bob").rpartition("/")[2]
    answer = site.get(path.replace("{}", decision_id), headers=bearer(site, "bob"))
    assert answer.status == 404, answer.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_nothing_can_be_done_to_a_page(site, method):
    page = page_of(site, DENIED, "bob")
    answer = site.get(page, method, bearer(site, "bob"), b"x" if method == "POST" else None)
    assert answer.status == 404
    assert b"no-license" not in answer.body


def test_reading_is_on_record_with_who_and_what(site):
    page = page_of(site, DENIED, "alice")
    ids = [
        site.get(page, method, bearer(site, who)).headers["X-Request-Id"]
        for who, method in (("alice", "GET"), ("alice", "HEAD"), ("bob", "GET"))
    ]
    records = {r["request_id"]: r for r in site.records() if r.get("request_id") in ids}
    for request_id in ids[:2]:
        record = records[request_id]
        assert (record["subject"], record["route"], record["path"], record["effect"]) == (
            "alice",
            "page",
            page,
            "allow",
        )
        assert "decision_id" not in record
    refused = records.get(ids[2]) or next(r for r in site.records() if r.get("extra", {}).get("target") == page)
    assert (refused["subject"], refused["effect"], refused["extra"]["target"]) == ("bob", "refused", page)
    done = cli("audit", "show", page.rpartition("/")[2], "--state", str(site.state), "--json")
    assert all(json.loads(line)["route"] != "page" for line in done.stdout.splitlines())


# -- reason codes --------------------------------------------------------------------------------------------------


def test_a_refused_identity_is_explained_to_everybody(site):
    answer = site.get(DENIED, headers={"Authorization": "Bearer hf_" + "a" * 34})
    page = re.search(r" See \S+(/-/reasons/\S+)$", answer.headers["X-Error-Message"])[1]
    assert page == "/-/reasons/identity/public-hub-token"
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Nonsense"}, BROWSER):
        explained = site.get(page, headers=headers)
        assert explained.status == 200
        text = is_tame(site, explained.body).text
        assert "a token of the public hub" in text
        assert CONTACT in text
    assert site.get(page, headers=JSON).json["code"] == "identity/public-hub-token"


def test_a_rule_is_explained_to_whom_the_gateway_knows(site, world, launch, tmp_path):
    answer = site.get("/-/reasons/license/unknown", headers=bearer(site, "bob"))
    assert "No license declared" in is_tame(site, answer.body).text
    assert site.get("/-/reasons/license/unknown", headers=bearer(site, "bob", **JSON)).json["severity"] == "medium"
    with SimulatorThread(world) as hub:
        closed = launch(hub, state=tmp_path / "closed", config='[identity]\nanonymous = "off"\n')
        for rule in ("license/unknown", "license/no-such-rule"):
            assert closed.get(f"/-/reasons/{rule}").status == 401
        assert closed.get("/-/reasons/identity/missing").status == 200


def test_a_write_and_an_unknown_route_name_their_code(site):
    assert page_of(site, "/api/repos/create", method="POST") == "/-/reasons/route/read-only"
    assert page_of(site, "/nothing/at/all/x") == "/-/reasons/route/unknown"
    for code in ("route/read-only", "route/unknown"):
        assert site.get(f"/-/reasons/{code}").status == 200


def test_links_begin_with_the_public_url_and_its_path(world, launch, tmp_path):
    """Whatever Host the request names; the page is found under the path, and where a proxy took the path off."""
    with SimulatorThread(world) as hub:
        gateway = launch(hub, "--public-url", "https://models.corp.example/hf/", state=tmp_path / "prefixed")
        for prefix in ("", "/hf"):
            line = gateway.get(prefix + DENIED, headers={"Host": "evil.example"}).headers["X-Error-Message"]
            link = line.rpartition(" See ")[2]
            assert link.startswith("https://models.corp.example/hf/-/decisions/d-")
            below = link.removeprefix("https://models.corp.example/hf")
            for page in (below, "/hf" + below):
                answer = gateway.get(page, headers={"Host": "evil.example"})
                assert answer.status == 200
                assert b'href="https://models.corp.example/hf/-/reasons/license/unknown"' in answer.body
                assert b"evil.example" not in answer.body
            browser = gateway.get(prefix + DENIED, headers={**BROWSER, "Host": "evil.example"})
            assert f'href="{link}"'.encode() in browser.body


@pytest.mark.parametrize(
    "url", ['https://a"b.example', "https://é.example", "https://user@a.example", "https://a<b", "https://" + "a" * 200]
)
def test_a_public_url_that_no_link_can_begin_with_refuses_to_start(url, tmp_path):
    done = cli("serve", "--public-url", url, "--state", str(tmp_path / "s"), "--listen", "127.0.0.1:0")
    assert done.returncode == 2
    assert "server.public_url" in done.stderr


def doors(repo):
    """Every route that is refused for one repo, each with what it takes."""
    lfs = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}
    batch = {"operation": "download", "transfers": ["basic"], "objects": [{"oid": "a" * 64, "size": 5}]}
    api = f"/api/models/{repo}"
    for tail in (
        "resolve/main/README.md",
        "raw/main/README.md",
        "blob/main/README.md",
        "info/refs?service=git-upload-pack",
    ):
        yield "GET", f"/{repo}/{tail}", {}, None
    for tail in (
        "",
        "/refs",
        "/commits/main",
        "/scan",
        "/treesize/main/",
        "/auth-check",
        "/tree/main",
        "/xet-read-token/main",
    ):
        yield "GET", api + tail, {}, None
    yield "HEAD", f"/{repo}/resolve/main/README.md", {}, None
    yield "POST", f"{api}/paths-info/main", {"Content-Type": "application/json"}, b'{"paths":["README.md"]}'
    yield "POST", f"/{repo}.git/info/lfs/objects/batch", lfs, json.dumps(batch).encode()
    yield "GET", f"/v2/{repo}/manifests/latest", {}, None
    yield "GET", f"/v2/{repo}/blobs/sha256:{'a' * 64}", {}, None
    yield "GET", f"/{repo}/resolve/main/README.md", {"Authorization": "Bearer nonsense"}, None
    yield "POST", f"{api}/commit/main", {}, b"x"


@pytest.mark.parametrize("door", [*doors("demo/no-license")], ids=lambda door: f"{door[0]} {door[1]}")
def test_every_door_names_a_page_that_is_there(site, door):
    method, path, headers, body = door
    answer = site.get(path, method, dict(headers), body)
    wire = str(answer.headers) + answer.body.decode()
    links = set(re.findall(rf"{re.escape(site.url)}(/-/[a-z]+/[A-Za-z0-9/-]+)", wire))
    assert len(links) == 1, wire
    assert site.get(links.pop()).status == 200


# -- browsers ------------------------------------------------------------------------------------------------------


def test_a_browser_at_a_refused_address_finds_the_link(site):
    answer = site.get(DENIED, headers=BROWSER)
    page = is_tame(site, answer.body)
    (link,) = [value for tag, name, value in page.attributes if name == "href"]
    assert answer.status == 403
    assert link == f"{site.url}{page_of(site, DENIED)}"
    assert site.get(link.removeprefix(site.url)).status == 200


def chromium(url, profile):
    """The page as a real browser made it, and what it logged."""
    program = shutil.which("chromium")
    assert program, "chromium is needed: make tools"
    done = subprocess.run(
        [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={profile}", "--enable-logging=stderr", "--dump-dom", url,
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.stdout, done.stderr


def test_chromium_shows_it_and_runs_nothing(site, world, tmp_path):
    path = next(f for f in world["demo/pickles"].main.files if QUOTED in f)
    page = page_of(site, f"/demo/pickles/resolve/main/{quote(path)}")
    shown, logged = chromium(site.url + page, tmp_path / "profile")
    seen = is_tame(site, shown.encode())
    assert "DENIED" in seen.text.upper()
    assert "<svg onload=alert(1)>" in seen.text
    assert "Content Security Policy" not in logged, "the style sheet is ours and nothing else was tried"


def test_chromium_answers_the_question_for_the_token(site, tmp_path):
    page = page_of(site, DENIED, "alice")
    theirs = site.url.replace("://", f"://me:{site.tokens['alice']}@")
    shown, _ = chromium(theirs + page, tmp_path / "hers")
    assert "alice (user)" in is_tame(site, shown.encode()).text
    nobodys, _ = chromium(site.url + page, tmp_path / "nobodys")
    assert "no-license" not in nobodys
