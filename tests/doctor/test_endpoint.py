import pytest

from gateway.doctor.endpoint import check_setting, is_hub_host, read_endpoint


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://gateway:8080", "http://gateway:8080"),
        (" https://Gateway.Example:443/ ", "https://gateway.example"),
        ("https://gateway.example/hf//", "https://gateway.example/hf"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[::1]", "http://[::1]"),
        ("http://me:secret@gateway", "http://gateway"),
        ("https://gateway.example.", "https://gateway.example"),
    ],
)
def test_an_address_is_read(text, shown):
    assert str(read_endpoint(text)) == shown


@pytest.mark.parametrize(
    "text", ["", "gateway:8080", "ftp://gateway", "http://", "http://a:99999", "http://a:0", "http://a b", "'http://a'", "http://[::1",
             "http://a/\u00e9", "http://a'b", "//a"]
)  # fmt: skip
def test_what_is_no_address(text):
    assert read_endpoint(text) is None


@pytest.mark.parametrize(
    ("host", "hub"),
    [("huggingface.co", True), ("cdn.hf.co", True), ("nothf.co", False), ("huggingface.co.evil", False)],
)
def test_the_hosts_of_the_hub(host, hub):
    assert is_hub_host(host) is hub


@pytest.mark.parametrize(
    ("env", "states"),
    [
        ({}, {"endpoint/set": "fail"}),
        ({"HF_ENDPOINT": ""}, {"endpoint/set": "fail"}),
        ({"HF_ENDPOINT": "https://huggingface.co"}, {"endpoint/set": "fail"}),
        ({"HF_ENDPOINT": "https://gw"}, {"endpoint/set": "ok"}),
        ({"HF_ENDPOINT": "http://gw"}, {"endpoint/set": "ok", "endpoint/scheme": "warn"}),
        ({"HF_ENDPOINT": "http://127.0.0.1:1"}, {"endpoint/set": "ok"}),
        ({"HF_ENDPOINT": "https://gw/"}, {"endpoint/set": "ok", "endpoint/form": "warn"}),
        ({"HF_ENDPOINT": "https://gw/hf"}, {"endpoint/set": "ok", "endpoint/path": "warn"}),
        ({"HF_ENDPOINT": "https://u:p@gw"}, {"endpoint/set": "ok", "endpoint/form": "fail"}),
        ({"HF_ENDPOINT": "https://gw?x"}, {"endpoint/set": "ok", "endpoint/form": "fail"}),
        (
            {"HF_ENDPOINT": "https://gw", "MODEL_ENDPOINT": "https://gw/"},
            {"endpoint/set": "ok", "endpoint/model-endpoint": "ok"},
        ),
        (
            {"HF_ENDPOINT": "https://gw", "MODEL_ENDPOINT": "https://other"},
            {"endpoint/set": "ok", "endpoint/model-endpoint": "warn"},
        ),
        (
            {"HF_ENDPOINT": "https://gw", "MODEL_ENDPOINT": "https://hf.co"},
            {"endpoint/set": "ok", "endpoint/model-endpoint": "fail"},
        ),
        (
            {"HF_ENDPOINT": "https://gw", "MODEL_ENDPOINT": ""},
            {"endpoint/set": "ok", "endpoint/model-endpoint": "fail"},
        ),
        (
            {"HF_ENDPOINT": "https://gw", "HUGGINGFACE_CO_STAGING": "1"},
            {"endpoint/set": "ok", "endpoint/staging": "fail"},
        ),
    ],
)
def test_what_is_set(env, states, around):
    checks, endpoint = check_setting(around(**env))
    assert {check.check: check.state for check in checks} == states
    assert (endpoint is not None) is (states["endpoint/set"] == "ok")
    assert not any("u:p@" in check.found + check.advice for check in checks)
