"""Facts in a dict, through JSON as the real ones: a test cannot get back what a database would not hold."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.domain.errors import StoreError


class MemoryFacts:
    """ports.Facts. Passes tests/contracts/facts.py."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], bytes] = {}

    async def get(self, namespace: str, key: str) -> Any | None:
        found = self.values.get(_names(namespace, key))
        return None if found is None else orjson.loads(found)

    async def put(self, namespace: str, key: str, value: Any) -> None:
        self.values[_names(namespace, key)] = _encode(value)

    async def put_if_absent(self, namespace: str, key: str, value: Any) -> Any:
        return orjson.loads(self.values.setdefault(_names(namespace, key), _encode(value)))

    async def close(self) -> None:
        return


def _names(namespace: str, key: str) -> tuple[str, str]:
    try:
        size = len((namespace + key).encode())
    except UnicodeEncodeError as error:
        raise StoreError("the key is no text", code="store/fact-invalid") from error
    if not namespace or size > 4096:
        raise StoreError("the key has a wrong length", code="store/fact-invalid")
    return namespace, key


def _encode(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise StoreError("no JSON", code="store/fact-invalid") from error
