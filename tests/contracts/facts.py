"""What every ports.Facts must do. A test module subclasses FactsContract and gives the fixture `facts`."""

from __future__ import annotations

import asyncio

import pytest

from gateway.domain.errors import StoreError
from gateway.ports import Facts


class FactsContract:
    async def test_what_was_never_put_is_none(self, facts: Facts) -> None:
        assert await facts.get("reports", "x") is None

    @pytest.mark.parametrize(
        "value", [None, True, 0, -(2**63), 2**63, 1.5, "", "ключ\n\0", [], {}, {"a": [1, {"b": None}]}, False]
    )
    async def test_json_comes_back_as_it_went_in(self, facts: Facts, value: object) -> None:
        await facts.put("n", "k", value)
        got = await facts.get("n", "k")
        assert got == value
        assert type(got) is type(value)

    async def test_the_last_put_wins(self, facts: Facts) -> None:
        await facts.put("n", "k", 1)
        await facts.put("n", "k", [2])
        assert await facts.get("n", "k") == [2]

    async def test_namespaces_and_keys_do_not_mix(self, facts: Facts) -> None:
        await facts.put("a", "bc", 1)
        await facts.put("ab", "c", 2)
        await facts.put("a", "BC", 3)
        assert [await facts.get("a", "bc"), await facts.get("ab", "c"), await facts.get("a", "BC")] == [1, 2, 3]

    async def test_put_if_absent_keeps_the_first(self, facts: Facts) -> None:
        assert await facts.put_if_absent("seen", "k", "monday") == "monday"
        assert await facts.put_if_absent("seen", "k", "friday") == "monday"
        assert await facts.get("seen", "k") == "monday"

    async def test_one_of_many_concurrent_first_puts_wins_for_all(self, facts: Facts) -> None:
        answers = await asyncio.gather(*(facts.put_if_absent("seen", "k", n) for n in range(50)))
        assert set(answers) == {await facts.get("seen", "k")}

    async def test_a_value_is_a_copy(self, facts: Facts) -> None:
        value = {"files": ["a"]}
        await facts.put("n", "k", value)
        value["files"].append("b")
        first = await facts.get("n", "k")
        first["files"].append("c")
        assert await facts.get("n", "k") == {"files": ["a"]}

    @pytest.mark.parametrize("value", [object(), {1: 2}, {"a": {1, 2}}, "\ud800", 2**70])
    async def test_what_is_no_json_is_refused_and_nothing_stored(self, facts: Facts, value: object) -> None:
        with pytest.raises(StoreError):
            await facts.put("n", "k", value)
        assert await facts.get("n", "k") is None

    @pytest.mark.parametrize(("namespace", "key"), [("", "k"), ("n", "\ud800"), ("n", "k" * 5000)])
    async def test_a_bad_key_is_refused(self, facts: Facts, namespace: str, key: str) -> None:
        with pytest.raises(StoreError):
            await facts.put(namespace, key, 1)
        with pytest.raises(StoreError):
            await facts.get(namespace, key)

    async def test_hostile_keys_are_only_keys(self, facts: Facts) -> None:
        for key in ("'; DROP TABLE facts; --", "../../etc/passwd", "a\0b", "a", "%", "_"):
            await facts.put("n", key, key)
        for key in ("'; DROP TABLE facts; --", "a\0b", "a", "%", "_"):
            assert await facts.get("n", key) == key
