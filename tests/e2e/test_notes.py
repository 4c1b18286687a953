"""A public-hub token that is taken as no credential: the developer is told that it went nowhere, with every answer."""

import pytest

from tests.e2e.harness import run_client

TOKEN = "hf_" + "aB3" * 11 + "x"
FILE = "/demo/good-safetensors/resolve/main/model.safetensors"
NOTE = "identity; the public-hub token was not used and not forwarded."


@pytest.fixture(scope="module")
def lenient(hub, tmp_path_factory):
    from tests.e2e.harness import GatewayProcess

    config = "[identity]\naccept_hub_tokens_as_anonymous = true\n"
    process = GatewayProcess(hub, tmp_path_factory.mktemp("lenient") / "state", config=config)
    yield process
    process.stop()


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        (FILE, "HEAD", 200), (FILE, "GET", 200), ("/api/models/demo/good-safetensors", "GET", 200),
        ("/api/models/demo/good-safetensors/refs", "GET", 200), ("/demo/no-license/resolve/main/README.md", "GET", 403),
        ("/demo/no-license/resolve/main/README.md", "HEAD", 200), ("/demo/none/resolve/main/x", "GET", 404), ("/api/whoami-v2", "GET", 401),
    ],
)  # fmt: skip
def test_each_answer_says_once_that_the_token_went_nowhere(lenient, hub, path, method, status):
    hub.clear()
    for _ in range(2):  # judged, and remembered
        answer = lenient.get(path, method, {"Authorization": f"Bearer {TOKEN}"})
        assert answer.status == status
        assert answer.headers.get_all("X-HF-Warning").count(NOTE) == 1
        without = lenient.get(path, method)
        assert NOTE not in (without.headers.get_all("X-HF-Warning") or [])
    assert TOKEN not in str(hub.requests)


@pytest.mark.clients
def test_a_client_prints_it(lenient, tmp_path):
    run = run_client(
        "hub-2", lenient.url, tmp_path / "home",
        "from huggingface_hub import hf_hub_download\nprint('GOT', hf_hub_download('demo/good-safetensors', 'config.json'))\n",
        token=TOKEN,
    )  # fmt: skip
    assert "GOT" in run.out, run.text
    assert "public-hub token was not used" in run.text
