"""docs/conformance.md is what docs/conformance.json renders to, and nothing in them depends on when or where it ran."""

import json
import re

from conformance.__main__ import JSON, PAGE
from conformance.cells import FAIL, LIMIT, NOT_RUN, PASS, REFUSED
from conformance.clients import CLIENTS
from conformance.features import FEATURES
from conformance.report import cell, figures, page

PUBLISHED = json.loads(JSON.read_text("utf-8"))


def test_the_page_is_rendered_from_the_published_cells():
    assert PAGE.read_text("utf-8") == page(PUBLISHED)


def test_every_client_and_every_feature_of_it_is_published():
    assert list(PUBLISHED) == [client.name for client in CLIENTS]
    for client in CLIENTS:
        assert set(PUBLISHED[client.name]["cells"]) == set(client.features), client.name
        assert PUBLISHED[client.name]["version"], client.name


def test_nothing_published_was_not_run():
    assert [c for c in cells() if c["result"] == NOT_RUN] == []


def test_every_limit_and_refusal_says_why_and_every_failure_what_was_seen():
    for told in cells():
        assert told["result"] in (PASS, FAIL, LIMIT, REFUSED)
        if told["result"] in (LIMIT, REFUSED):
            assert told["why"]
        if told["result"] != PASS:
            assert told["detail"]


def test_no_cell_names_a_port_a_time_or_a_folder_of_this_machine():
    for told in cells():
        assert not re.search(r"127\.0\.0\.1:\d|/tmp/|/root/|\d\d:\d\d:\d\d|d-[0-9a-f]{8}", told.get("detail", "")), told


def test_a_feature_without_a_client_does_not_exist():
    assert {name for client in CLIENTS for name in client.features} == set(FEATURES)


def test_failures_are_on_the_page():
    text = PAGE.read_text("utf-8")
    for client in CLIENTS:
        for name in client.features:
            told = cell(PUBLISHED, client.name, name, "gateway")
            if told and told.result == FAIL:
                assert told.detail.replace("|", "¦").replace("`", "'") in text


def test_the_figure_on_top_counts_only_cells_that_were_run_both_ways():
    made = {
        "a": {
            "version": "1",
            "cells": {
                "x": {"gateway": {"result": PASS}, "direct": {"result": PASS}},
                "y": {"gateway": {"result": REFUSED}, "direct": {"result": PASS}},
                "z": {"gateway": {"result": PASS}},
            },
        }
    }
    assert figures(made) == {
        "both": 2, "gateway": 1, "direct": 2, "refused": 1, "only_gateway": 1, "only_gateway_passing": 1,
    }  # fmt: skip


def cells():
    for entry in PUBLISHED.values():
        for ways in entry["cells"].values():
            yield from ways.values()
