"""The three engines that must agree, asked alike: a document and data in, the whole Decision (or the failure's code) out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from opa_bindings import OpaEngine, OpaError, OpaUndefinedError

from gateway.domain.decision import Decision
from gateway.domain.errors import PolicyError
from gateway.policy import answer
from gateway.policy.bundle import Bundle, digest_of
from gateway.policy.document import document_of
from gateway.policy.embedded import EmbeddedEngine
from gateway.policy.opa_server import OpaServerEngine

DEADLINE_S = 60.0


class Judge(Protocol):
    async def judge(self, document: dict[str, Any]) -> Decision | str:
        """The Decision without what names the engine, or the code of the failure."""
        ...

    async def use(self, bundle: Bundle) -> None: ...

    async def close(self) -> None: ...


def with_data(bundle: Bundle, data: Mapping[str, Any]) -> Bundle:
    return replace(bundle, data=data, data_digest=digest_of(data))


def _bare(decision: Decision) -> Decision:
    return replace(decision, engine="", policy_digest="", data_digest="", input_digest="", duration_ms=0.0)


class Embedded:
    _engine: EmbeddedEngine | None = None

    async def use(self, bundle: Bundle) -> None:
        await self.close()
        self._engine = await EmbeddedEngine.start(bundle, workers=1, deadline_s=DEADLINE_S)

    async def judge(self, document: dict[str, Any]) -> Decision | str:
        assert self._engine is not None
        try:
            return _bare(await self._engine.evaluate(document_of(document)))
        except PolicyError as error:
            return error.code

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.close()


class Server:
    _engine: OpaServerEngine | None = None

    def __init__(self, url: str) -> None:
        self._url = url

    async def use(self, bundle: Bundle) -> None:
        await self.close()
        self._engine = await OpaServerEngine.start(bundle, url=self._url, deadline_s=DEADLINE_S)

    async def judge(self, document: dict[str, Any]) -> Decision | str:
        assert self._engine is not None
        try:
            return _bare(await self._engine.evaluate(document_of(document)))
        except PolicyError as error:
            return error.code

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.close()


class Library:
    """Real OPA in this process (it is always strict about built-in errors)."""

    _engine: OpaEngine | None = None

    async def use(self, bundle: Bundle) -> None:
        await self.close()
        self._engine = OpaEngine()
        for module in bundle.modules:
            self._engine.add_policy(module.path, module.text)
        self._engine.add_data(dict(bundle.data))

    async def judge(self, document: dict[str, Any]) -> Decision | str:
        assert self._engine is not None
        question = document_of(document)
        try:
            return _bare(answer.parse(self._engine.eval_document("gateway.decision", question.value), question.value))
        except OpaUndefinedError:
            return "pdp/undefined"
        except OpaError as error:
            return "pdp/error" if error.code.startswith("eval_") else f"{error.code}: {error}"
        except PolicyError as error:
            return error.code

    async def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
