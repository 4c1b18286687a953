"""An OPA server as PDP behind the PolicyEngine port, through opa-python-client (its traps: rego.md §7).

The gateway pushes its bundle at the start, and again where the server lost it (a restart). A module of our own carries
the bundle's digests, and every answer brings them along: a server on which another gateway put another policy gives no
decision in our name.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from opa_client.errors import ConnectionsError, DeletePolicyError, PatchDataError, RegoParseError
from opa_client.opa_async import AsyncOpaClient

from gateway.domain.decision import Decision, Query
from gateway.domain.errors import ConfigError, PolicyError
from gateway.policy import answer, canary, document
from gateway.policy.bundle import Bundle

PUSH_DEADLINE_S = 30.0
OWNED = "model-gateway/"

# The answers that this package gives are: which policy, which data, and the decision of the contract's entrypoint.
ANSWER_PACKAGE = "model_gateway"
ANSWER_MODULE = """package model_gateway

policy := "{policy}"

data_digest := data.model_gateway_bundle.data_digest

decision := data.gateway.decision
"""

_FLAGS = {"strict-builtin-errors": "true", "provenance": "true"}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class OpaServerEngine:
    """One server, one connection pool of the running event loop. `Decision.id` is left to the caller."""

    def __init__(self, bundle: Bundle, client: Any, stack: AsyncExitStack, deadline_s: float) -> None:
        self.policy_digest = bundle.policy_digest
        self.data_digest = bundle.data_digest
        self._bundle = bundle
        self._client = client
        self._stack = stack
        self._deadline_s = deadline_s
        self._pushing = asyncio.Lock()
        self._pushed = 0
        self._closed = False

    @classmethod
    async def start(cls, bundle: Bundle, *, url: str, token: str = "", deadline_s: float = 2.0) -> OpaServerEngine:
        """Connect, push the bundle and put a question of each scope to it.

        `url` is `http://host:port` or `https://host:port`; the token travels by https or to this machine only. Raises
        ConfigError (bad url, refused bundle, a policy that cannot answer), PolicyError pdp/unavailable.
        """
        host, port, tls = _address(url, has_token=bool(token))
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                AsyncOpaClient(
                    host=host, port=port, ssl=tls, token=token or None, retries=0, timeout=PUSH_DEADLINE_S
                )
            )  # fmt: skip
            engine = cls(bundle, client, stack.pop_all(), deadline_s)
        try:
            await engine._push(0)
            await canary.ask(engine)
        except PolicyError as error:
            await engine.close()
            if error.code == "pdp/unavailable":
                raise PolicyError(f"{error}; policy.opa_url is {url}", code=error.code) from error
            raise ConfigError(
                f"the policy cannot answer a plain question: {error} [{error.code}]", code="config/policy"
            ) from error
        except BaseException:
            await engine.close()
            raise
        return engine

    async def decide(self, query: Query) -> Decision:
        """Evaluate `data.gateway.decision`. Raises PolicyError (pdp/timeout, error, undefined, malformed,
        unavailable)."""
        return await self.evaluate(document.build(query))

    async def evaluate(self, question: document.Document) -> Decision:
        """`decide` for a document that exists already (replay, samples)."""
        started = perf_counter()
        pushed = self._pushed
        body = await self._ask(question)
        if "policy" not in _result(body):
            await self._heal(pushed)
            body = await self._ask(question)
        found = _result(body)
        if (found.get("policy"), found.get("data_digest")) != (self.policy_digest, self.data_digest):
            raise PolicyError("the OPA server holds another policy than this gateway's", code="pdp/unavailable")
        if "decision" not in found:
            raise PolicyError("the policy gives no decision: data.gateway.decision is undefined", code="pdp/undefined")
        return replace(
            answer.parse(found["decision"], question.value),
            engine=f"opa {_version(body)}",
            policy_digest=self.policy_digest,
            data_digest=self.data_digest,
            input_digest=question.digest,
            duration_ms=(perf_counter() - started) * 1000,
        )

    async def ready(self) -> str:
        """An empty text when the server is healthy."""
        if self._closed:
            return "the policy engine is closed"
        try:
            async with asyncio.timeout(self._deadline_s):
                healthy = await self._client.check_health({"bundles": True, "plugins": True})
        except TimeoutError:
            healthy = False
        return "" if healthy else "the OPA server is not healthy"

    async def close(self) -> None:
        self._closed = True
        await self._stack.aclose()

    async def _ask(self, question: document.Document) -> dict[str, Any]:
        if self._closed:
            raise PolicyError("the policy engine is closed", code="pdp/unavailable")
        try:
            async with asyncio.timeout(self._deadline_s):
                body = await self._client.query_rule(question.value, ANSWER_PACKAGE, None, _FLAGS)
        except TimeoutError:
            raise PolicyError(
                f"the OPA server did not decide within {self._deadline_s:g} s", code="pdp/timeout"
            ) from None
        except aiohttp.ContentTypeError as error:
            raise PolicyError("the OPA server's answer is not JSON", code="pdp/malformed") from error
        except aiohttp.ClientResponseError as error:
            raise _status_error(error.status) from error
        except aiohttp.ClientError as error:
            raise PolicyError("the OPA server cannot be reached", code="pdp/unavailable") from error
        except ValueError as error:
            raise PolicyError("the OPA server's answer is not JSON", code="pdp/malformed") from error
        if not isinstance(body, dict):
            raise PolicyError("the OPA server's answer is not an object", code="pdp/malformed")
        return body

    async def _heal(self, seen: int) -> None:
        """Put the bundle back on a server that lost it; a refusal now is an outage, not a start that fails."""
        try:
            await self._push(seen)
        except ConfigError as error:
            raise PolicyError(f"the OPA server lost the policy and {error}", code="pdp/unavailable") from error

    async def _push(self, seen: int) -> None:
        """Put the whole bundle on the server, unless another did since the caller saw that it was missing.

        Raises ConfigError, PolicyError pdp/unavailable.
        """
        async with self._pushing:
            if self._pushed != seen:
                return
            try:
                async with asyncio.timeout(PUSH_DEADLINE_S):
                    await self._replace_policies()
                    await self._replace_data()
                self._pushed += 1
            except (TimeoutError, aiohttp.ClientError, ConnectionsError, ValueError) as error:
                raise PolicyError(
                    "the OPA server cannot be reached to load the policy", code="pdp/unavailable"
                ) from error

    async def _replace_policies(self) -> None:
        prefix = f"{OWNED}{self.policy_digest.removeprefix('sha256:')[:16]}/"
        wanted = {prefix + module.path: module.text for module in self._bundle.modules}
        wanted[prefix + "answer.rego"] = ANSWER_MODULE.format(policy=self.policy_digest)
        present = await self._client.get_policies_info()
        foreign = [i for i, info in present.items() if not i.startswith(OWNED) and _is_ours(info)]
        if foreign:
            raise ConfigError(
                f"the OPA server holds {foreign[0]!r} in the package gateway already; remove it", code="config/policy"
            )
        await self._in_passes({i: "" for i in present if i.startswith(OWNED) and i not in wanted})
        await self._in_passes({i: text for i, text in wanted.items() if i not in present})

    async def _in_passes(self, changes: dict[str, str]) -> None:
        """Upload each module, or remove it where its text is "".

        The server compiles after each one and takes none that calls what is not there, so the order matters; what is
        refused is tried again as long as others succeed.
        """
        while changes:
            refused: dict[str, Exception] = {}
            for identity, text in changes.items():
                try:
                    if text:
                        await self._client.update_policy_from_string(text, identity, rego_compat=False)
                    else:
                        await self._client.delete_policy(identity)
                except (RegoParseError, DeletePolicyError) as error:
                    refused[identity] = error
            if len(refused) == len(changes):
                identity, cause = next(iter(refused.items()))
                raise ConfigError(f"the OPA server refuses {identity}: {cause}", code="config/policy")
            changes = {identity: changes[identity] for identity in refused}

    async def _replace_data(self) -> None:
        """All roots in one transaction, with the digest that answers carry."""
        roots = {**self._bundle.data, "model_gateway_bundle": {"data_digest": self.data_digest}}
        patches = [{"op": "add", "path": f"/{root}", "value": value} for root, value in roots.items()]
        try:
            await self._client.patch_data("", patches)
        except PatchDataError as error:
            raise ConfigError(f"the OPA server refuses the policy data: {error}", code="config/policy") from error


def _address(url: str, *, has_token: bool) -> tuple[str, int, bool]:
    """Host, port and whether TLS is used. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"the OPA url {url!r} is not a url: {error}", code="config/opa-url") from error
    if parts.scheme not in {"http", "https"} or not host or parts.username is not None:
        raise ConfigError(
            f"the OPA url must be http://HOST:PORT or https://HOST:PORT, not {url!r}", code="config/opa-url"
        )
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ConfigError(f"the OPA url {url!r} has a path; the client knows none", code="config/opa-url")
    tls = parts.scheme == "https"
    if has_token and not tls and host not in _LOOPBACK:
        raise ConfigError("the OPA token would cross the network in clear; use https", code="config/opa-url")
    return (f"[{host}]" if ":" in host else host), port or (443 if tls else 8181), tls


def _result(body: dict[str, Any]) -> dict[str, Any]:
    """The package's document; an absent one (undefined, or lost) is empty."""
    result = body.get("result", {})
    if not isinstance(result, dict):
        raise PolicyError("the OPA server's result is not an object", code="pdp/malformed")
    return result


def _version(body: dict[str, Any]) -> str:
    provenance = body.get("provenance")
    version = provenance.get("version") if isinstance(provenance, dict) else None
    return version if isinstance(version, str) and version else "unknown"


def _status_error(status: int) -> PolicyError:
    """The client drops OPA's body, so the status alone tells: 400 and 500 are an evaluation that failed."""
    if status in {400, 500}:
        return PolicyError("the policy failed on the OPA server; its log has the place", code="pdp/error")
    if status in {401, 403}:
        return PolicyError("the OPA server refuses this gateway's token", code="pdp/unavailable")
    return PolicyError(f"the OPA server answers with status {status}", code="pdp/unavailable")


def _is_ours(info: dict[str, Any]) -> bool:
    package = str(info.get("path", "")).split("/v1/")[-1].split("/")
    return package[:2] in (["data", "gateway"], ["data", ANSWER_PACKAGE])
