"""What counts as worse and as better."""

import pytest

from conformance.cells import FAIL, LIMIT, NOT_RUN, PASS, REFUSED
from conformance.compare import better, worse


def one(result, **more):
    return {"client": {"version": "1", "cells": {"feature": {"gateway": {"result": result, **more}}}}}


@pytest.mark.parametrize(
    ("before", "now"),
    [(PASS, FAIL), (PASS, LIMIT), (PASS, REFUSED), (PASS, NOT_RUN), (REFUSED, FAIL), (LIMIT, FAIL), (FAIL, NOT_RUN)],
)
def test_a_lower_result_is_worse_and_the_other_way_round_better(before, now):
    assert [*worse(one(before), one(now, detail="text"))] == [
        f"client / feature / gateway: was {before}, is {now}: text"
    ]
    assert [*better(one(now), one(before))] == [f"client / feature / gateway: was {now}, is {before}"]
    assert not [*better(one(before), one(now))]
    assert not [*worse(one(now), one(before))]


@pytest.mark.parametrize("result", [LIMIT, REFUSED])
def test_other_words_of_a_refusal_are_worse(result):
    published = one(result, detail="BLOCKED by rule x", why="because")
    assert [*worse(published, one(result, detail="check your connection", why="because"))]
    assert not [*worse(published, published)]


def test_a_cell_that_has_gone_is_worse_and_a_new_one_is_told():
    nothing = {"client": {"version": "1", "cells": {}}}
    assert [*worse(one(PASS), nothing)] == ["client / feature / gateway: was PASS, has gone"]
    assert [*better(nothing, one(PASS))] == ["client / feature / gateway: is new, PASS"]


def test_other_words_of_a_failure_are_neither():
    assert not [*worse(one(FAIL, detail="a"), one(FAIL, detail="b"))]
    assert not [*better(one(FAIL, detail="a"), one(FAIL, detail="b"))]
