"""Is there a gateway at HF_ENDPOINT, and does it know the token? The token goes nowhere else, and over no redirect."""

from __future__ import annotations

import json
import socket
import ssl
import time
from dataclasses import dataclass

from gateway.doctor.checks import Check, State, fail, ok, unknown, warn
from gateway.doctor.endpoint import Endpoint
from gateway.doctor.probe import Answer, Deadline, Unreachable, addresses, connected, exchange, secured, tunnelled
from gateway.doctor.proxies import Proxy, proxy_for
from gateway.doctor.surroundings import Surroundings
from gateway.doctor.trust import check_bundles, check_certificate, has_authorities, unverified, usable_context

SERVER = "model-gateway"
_SHOWN = 4  # addresses of one name
_ASK = "Ask whoever runs the gateway for its address, and whether it is up."
_CONNECTS = {"name": "endpoint/name", "connect": "endpoint/connection", "proxy": "endpoint/proxy"}


@dataclass(frozen=True)
class Reach:
    """The way to the endpoint: straight, or through the proxy that a client would use."""

    endpoint: Endpoint
    around: Surroundings
    timeout_s: float
    proxy: Proxy | None = None

    @classmethod
    def to(cls, endpoint: Endpoint, around: Surroundings, timeout_s: float) -> Reach:
        proxy = proxy_for(around.env, endpoint.scheme, endpoint.host, endpoint.port)
        return cls(endpoint, around, timeout_s, proxy)

    def handshake(self, context: ssl.SSLContext) -> None:
        """One TLS connection that is closed again. Raises Unreachable."""
        deadline = Deadline(self.timeout_s)
        secured(self._raw(deadline), self.endpoint.host, context, deadline).close()

    def get(self, path: str, token: str = "") -> Answer:
        """GET below the endpoint; redirects are not followed. Raises Unreachable."""
        deadline = Deadline(self.timeout_s)
        e = self.endpoint
        sock = self._raw(deadline)
        if e.scheme == "https":
            sock = secured(sock, e.host, usable_context(self.around), deadline)
        forwarded = self.proxy if e.scheme == "http" else None
        lines = [
            f"GET {f'http://{e.authority}' if forwarded else ''}{e.path}{path} HTTP/1.1",
            f"Host: {e.authority}",
            "User-Agent: model-gateway-doctor",
            "Accept: application/json",
            "Connection: close",
        ]
        if forwarded and forwarded.authorization:
            lines.append(f"Proxy-Authorization: {forwarded.authorization}")
        if token:
            lines.append(f"Authorization: Bearer {token}")
        with sock:
            return exchange(sock, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"), deadline)

    def _raw(self, deadline: Deadline) -> socket.socket:
        if self.proxy is None:
            return connected(self.endpoint.host, self.endpoint.port, deadline)
        if not self.proxy.is_usable:
            raise Unreachable(
                "proxy",
                f"the proxy of the environment is {self.proxy.scheme or 'unreadable'}, which cannot be tried here",
            )
        if self.endpoint.scheme == "https":
            return tunnelled(self.proxy, self.endpoint.host, self.endpoint.port, deadline)
        return connected(self.proxy.host, self.proxy.port, deadline)


def _stands_for(reach: Reach) -> str:
    """What the name resolves to on this machine; nothing for an address, or where a proxy looks it up."""
    if reach.proxy is not None:
        return ""
    try:
        found = addresses(reach.endpoint.host, reach.endpoint.port, Deadline(reach.timeout_s))
    except Unreachable:
        return ""
    others = list(dict.fromkeys(str(address[0]) for _, address in found if address[0] != reach.endpoint.host))
    more = ", …" if len(others) > _SHOWN else ""
    return f" ({', '.join(others[:_SHOWN])}{more})" if others else ""


def check_endpoint(reach: Reach) -> tuple[list[Check], bool]:
    """Connection, certificate, and what answers. True: it is a gateway, and may be shown the token."""
    checks = [*check_bundles(reach.around)]
    if reach.endpoint.scheme == "https":
        try:
            checks.append(check_certificate(reach.around, reach.handshake, is_blind=not has_authorities()))
        except Unreachable as error:
            return [*checks, _unreachable(error), unverified(error)], False
        if checks[-1].state in {State.FAIL, State.UNKNOWN}:
            return checks, False
    try:
        started = time.monotonic()
        health = reach.get("/health")
        took_ms = (time.monotonic() - started) * 1000
    except Unreachable as error:
        return [*checks, _unreachable(error)], False
    where = f"{reach.endpoint.authority}{_stands_for(reach)}"
    checks.append(ok("endpoint/connection", f"{where} answers in {took_ms:.0f} ms."))
    identified = _identified(reach, health)
    checks.append(identified)
    if identified.state == "fail":
        return checks, False
    return [*checks, _ready(reach)], True


def _unreachable(error: Unreachable) -> Check:
    text = str(error)
    sentence = f"{text[0].upper()}{text[1:]}."
    if error.step == "proxy":
        return fail("endpoint/proxy", sentence, "Add the gateway's host to NO_PROXY, or correct the proxy.")
    return fail(_CONNECTS.get(error.step, "endpoint/connection"), sentence, _ASK)


def _identified(reach: Reach, health: Answer) -> Check:
    """Is it a gateway? `Server: model-gateway`, or the words of /health where a proxy in front writes its own."""
    server = health.headers.get("server", "")
    if 300 <= health.status < 400:
        found = f"{reach.endpoint} redirects to {health.headers.get('location', 'nowhere')[:200]}."
        return fail("endpoint/gateway", found, "Set HF_ENDPOINT to the address that answers itself.")
    alive = health.status == 200 and _json(health.body).get("status") == "alive"
    if alive and server == SERVER:
        return ok("endpoint/gateway", f"{reach.endpoint} is a model-gateway.")
    if alive:
        found = f"{reach.endpoint} answers like a gateway, as {server[:80]!r}: something stands in front of it."
        return warn("endpoint/gateway", found, "Nothing, if your gateway has a proxy in front.")
    if server == SERVER:
        found = f"{reach.endpoint} is a model-gateway, but does not answer /health (status {health.status})."
        return fail("endpoint/gateway", found, "Correct the path in HF_ENDPOINT.")
    found = f"{reach.endpoint} is no gateway: its /health answers {health.status}, as {server[:80]!r}."
    return fail("endpoint/gateway", found, _ASK)


def _ready(reach: Reach) -> Check:
    try:
        answer = reach.get("/ready")
    except Unreachable as error:
        return unknown("endpoint/ready", f"Whether it can decide is not known: {error}.")
    if answer.status == 200:
        return ok("endpoint/ready", "It can decide now.")
    checks = _json(answer.body).get("checks")
    troubles = [f"{name}: {text}" for name, text in checks.items() if text != "ok"] if isinstance(checks, dict) else []
    found = f"It cannot decide now: {'; '.join(troubles)[:250] or f'status {answer.status}'}."
    return warn("endpoint/ready", found, "Tell whoever runs the gateway; fetches are answered `not yet` meanwhile.")


def check_token(reach: Reach, token: str) -> Check:
    """Who the gateway says that this token is. Call it only for a gateway, and never with a token of the public hub."""
    try:
        answer = reach.get("/api/whoami-v2", token)
    except Unreachable as error:
        return unknown("token/accepted", f"Whether the gateway knows the token is not known: {error}.")
    said = _json(answer.body)
    name = said.get("name")
    if answer.status == 200 and isinstance(name, str):
        return ok("token/accepted", f"The gateway knows you as {name[:80]}.")
    words = answer.headers.get("x-error-message", "") or f"status {answer.status}"
    if answer.status in {401, 403}:
        advice = "Ask for a gateway token and set HF_TOKEN to it."
        return fail("token/accepted", f"The gateway refuses the token: {words[:250]}.", advice)
    return unknown("token/accepted", f"The gateway did not say who you are: {words[:250]}.")


def _json(body: bytes) -> dict[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
