"""A refusal in a browser is a page with the reason; for every client it stays what the client reads."""

import pytest

from gateway.http.page import refusal_page
from gateway.ports import Rendering
from tests.e2e.harness import GatewayProcess

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
URL = "/demo/no-license/resolve/main/model.safetensors"


def test_a_hostile_reason_is_text_and_nothing_else():
    page = refusal_page(Rendering(403, (("Content-Type", "application/json"),), b"{}"), "<script>alert(1)</script>&\"'")
    assert b"<script>" not in page.body
    assert b"&lt;script&gt;" in page.body
    assert dict(page.headers)["Content-Security-Policy"].startswith("default-src 'none'")
    assert [name for name, _ in page.headers].count("Content-Type") == 1


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    from gateway.simulator.samples import sample_world
    from gateway.simulator.thread import SimulatorThread

    with SimulatorThread(sample_world()) as hub:
        process = GatewayProcess(hub, tmp_path_factory.mktemp("page") / "state")
        yield process
        process.stop()


def test_a_browser_reads_the_reason_and_a_client_its_json(gateway):
    page = gateway.get(URL, headers=BROWSER)
    assert page.status == 403
    assert page.headers["Content-Type"].startswith("text/html")
    assert b"license/unknown" in page.body
    assert b"Next step" in page.body
    assert "license/unknown" in page.headers["X-Error-Message"]
    client = gateway.get(URL, headers={"Accept": "*/*"})
    assert client.json["error"]
    missing = gateway.get("/demo/good-gguf/resolve/main/none", headers=BROWSER)
    assert missing.status == 404
    assert missing.headers["Content-Type"].startswith("text/html")


def test_an_allowed_file_is_never_a_page(gateway):
    answer = gateway.get("/demo/good-gguf/resolve/main/README.md", headers=BROWSER)
    assert answer.status == 200
    assert b"<!doctype" not in answer.body


def test_the_page_holds_no_script_and_loads_nothing(gateway):
    body = gateway.get(URL, headers=BROWSER).body.decode()
    assert "<script" not in body
    assert "http" not in body.split("<body>", 1)[0]
