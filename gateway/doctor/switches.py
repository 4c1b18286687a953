"""The clients' other variables: what hides the gateway's words, goes past it, or gives up too early."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.doctor.checks import Check, State, fail, ok, warn
from gateway.doctor.endpoint import Endpoint
from gateway.doctor.proxies import proxy_for
from gateway.doctor.surroundings import Surroundings

# A HEAD waits up to 7 s at the gateway, and a first byte up to 10 s.
TIMEOUT_S = 10
_TELEMETRY = ("HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY", "DO_NOT_TRACK")


def check_switches(around: Surroundings, endpoint: Endpoint | None) -> list[Check]:
    """One check per variable."""
    return [*_xet(around), *_privacy(around), *_offline(around), *_timeouts(around), *_proxy(around, endpoint)]


def _xet(around: Surroundings) -> Iterator[Check]:
    if around.is_on("HF_HUB_DISABLE_XET"):
        yield ok("setting/xet", "HF_HUB_DISABLE_XET is on.")
    else:
        yield ok("setting/xet", "HF_HUB_DISABLE_XET is not set, and need not be: the gateway offers no Xet.")
    if around.is_on("HF_HUB_ENABLE_HF_TRANSFER"):
        text = "HF_HUB_ENABLE_HF_TRANSFER is on: hf_transfer hides the reason when the gateway refuses a file."
        yield warn("setting/hf-transfer", text, "Unset HF_HUB_ENABLE_HF_TRANSFER.")


def _privacy(around: Surroundings) -> Iterator[Check]:
    if around.is_on("DISABLE_SAFETENSORS_CONVERSION"):
        yield ok("setting/conversion", "DISABLE_SAFETENSORS_CONVERSION is on.")
    else:
        text = "DISABLE_SAFETENSORS_CONVERSION is not set: transformers tells a space of the hub which models it loads."
        yield warn("setting/conversion", text, "Set DISABLE_SAFETENSORS_CONVERSION=1.")
    if around.is_on(*_TELEMETRY):
        yield ok("setting/telemetry", "Telemetry is off.")
    else:
        text = "HF_HUB_DISABLE_TELEMETRY is not set: clients send telemetry, which the gateway throws away."
        yield warn("setting/telemetry", text, "Set HF_HUB_DISABLE_TELEMETRY=1.")


def _offline(around: Surroundings) -> Iterator[Check]:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if around.is_on(name):
            text = f"{name} is on: clients use their cache and ask nobody, so that no refusal reaches them."
            yield warn("setting/offline", text, f"Unset {name}.")


def _timeouts(around: Surroundings) -> Iterator[Check]:
    for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        value = around.env.get(name)
        if not value:
            continue
        try:
            seconds = int(value)
        except ValueError:
            yield fail("setting/timeout", f"{name} is no whole number: clients stop with an error.", f"Unset {name}.")
            continue
        if seconds < TIMEOUT_S:
            text = f"{name} is {seconds} s: a first fetch may take longer, and the client gives up."
            yield warn("setting/timeout", text, f"Unset {name}, or set it to {TIMEOUT_S} or more.")
        else:
            yield ok("setting/timeout", f"{name} is {seconds} s.")


def _proxy(around: Surroundings, endpoint: Endpoint | None) -> Iterator[Check]:
    if endpoint is None:
        return
    proxy = proxy_for(around.env, endpoint.scheme, endpoint.host, endpoint.port)
    if proxy is None:
        yield ok("setting/proxy", "No proxy stands between clients and the gateway.")
        return
    text = f"Requests to the gateway go through the proxy {proxy}."
    advice = f"Unless that is meant, add {endpoint.host} to NO_PROXY."
    yield Check("setting/proxy", State.WARN if proxy.host else State.FAIL, text, advice)
