import pytest

from gateway.doctor.endpoint import read_endpoint
from gateway.doctor.switches import check_switches

ENDPOINT = read_endpoint("https://gw.example")


@pytest.mark.parametrize(
    ("env", "check", "state"),
    [
        ({"HF_HUB_DISABLE_XET": "1"}, "setting/xet", "ok"),
        ({}, "setting/xet", "ok"),
        ({"HF_HUB_ENABLE_HF_TRANSFER": "1"}, "setting/hf-transfer", "warn"),
        ({}, "setting/hf-transfer", None),
        ({}, "setting/conversion", "warn"),
        ({"DISABLE_SAFETENSORS_CONVERSION": "true"}, "setting/conversion", "ok"),
        ({}, "setting/telemetry", "warn"),
        ({"DO_NOT_TRACK": "1"}, "setting/telemetry", "ok"),
        ({"TRANSFORMERS_OFFLINE": "1"}, "setting/offline", "warn"),
        ({"HF_HUB_ETAG_TIMEOUT": "3"}, "setting/timeout", "warn"),
        ({"HF_HUB_DOWNLOAD_TIMEOUT": "30"}, "setting/timeout", "ok"),
        ({"HF_HUB_DOWNLOAD_TIMEOUT": "1.5"}, "setting/timeout", "fail"),
        ({}, "setting/timeout", None),
        ({}, "setting/proxy", "ok"),
        ({"HTTPS_PROXY": "http://p:1"}, "setting/proxy", "warn"),
        ({"HTTPS_PROXY": "http://p:port"}, "setting/proxy", "fail"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "gw.example"}, "setting/proxy", "ok"),
    ],
)
def test_a_variable(env, check, state, around):
    found = {c.check: c.state for c in check_switches(around(**env), ENDPOINT)}
    assert found.get(check) == state


def test_without_an_endpoint_no_proxy_is_judged(around):
    assert not [c for c in check_switches(around(HTTPS_PROXY="http://p:1"), None) if c.check == "setting/proxy"]
