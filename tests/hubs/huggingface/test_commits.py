from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import UpstreamUnavailable
from gateway.domain.request import HubRequest, RequestKind
from gateway.hubs.huggingface.commits import FIELDS, log_json, next_link, page_of
from gateway.hubs.huggingface.scrub import Scrub
from tests.hubs.huggingface.hub_world import model

ROW = {
    "id": "a" * 40,
    "title": "Upload https://huggingface.co/org/name",
    "message": "body",
    "authors": [{"user": "ada", "avatar": "/avatars/ada.svg", "email": "ada@example.org"}],
    "date": "2025-01-15T10:00:00.000Z",
    "parents": ["b" * 40],
    "xetThings": 1,
}
SCRUB = Scrub("https://gate.example/hf")


def asked(ref="main", **query):
    return HubRequest(RequestKind.COMMITS, model("org/name"), ref, "", query)


def test_rows_are_cut_to_the_known_keys_and_links_are_ours():
    (row,) = log_json(page_of([ROW], ""), SCRUB)
    assert row == {
        "id": "a" * 40,
        "title": "Upload https://gate.example/hf/org/name",
        "message": "body",
        "authors": [{"user": "ada", "avatar": "/avatars/ada.svg"}],
        "date": "2025-01-15T10:00:00.000Z",
    }


def test_formatted_titles_pass_and_pictures_of_other_hosts_do_not():
    odd = {**ROW, "formatted": {"title": "<b>t</b>", "message": 5, "more": 1}}
    odd["authors"] = [
        {"user": "bob", "avatar": "https://cdn-avatars.example/b.png"},
        {"avatar": "//x/y"},
        "nobody",
        None,
    ]
    (row,) = log_json(page_of([odd], ""), SCRUB)
    assert row["formatted"] == {"title": "<b>t</b>", "message": ""}
    assert row["authors"] == [{"user": "bob", "avatar": ""}, {"user": "", "avatar": ""}]


def test_rows_that_name_no_commit_are_left_out():
    rows = [{**ROW, "id": bad} for bad in (None, "main", "A" * 40, "a" * 39, 5)]
    assert page_of([*rows, "x", None, ROW], "")["rows"][0]["id"] == "a" * 40
    assert len(page_of([*rows, ROW], "")["rows"]) == 1


@pytest.mark.parametrize("value", [None, {}, "x", 3, {"rows": []}])
def test_what_is_no_list_is_malformed(value):
    with pytest.raises(UpstreamUnavailable):
        page_of(value, "")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("http://hub/api/models/org/name/commits/main?limit=50&cursor=NTA%3D", {"cursor": ["NTA="], "limit": ["50"]}),
        ("http://hub/api/models/org/name/commits/main?p=1", {"p": ["1"]}),
        ("https://evil.example/steal?p=2&limit=9999999&token=x", {"p": ["2"], "limit": ["1000"]}),
    ],
)
def test_the_link_leads_to_our_own_address_whatever_the_hub_says(theirs, ours):
    link = next_link("https://gate.example/hf", asked("refs/pr/1", expand=("formatted",)), page_of([ROW], theirs))
    address = link.removesuffix('>; rel="next"').removeprefix("<")
    parts = urlsplit(address)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == (
        "https://gate.example/hf/api/models/org/name/commits/refs%2Fpr%2F1"
    )
    assert parse_qs(parts.query) == {**ours, "expand": ["formatted"]}


def test_the_default_branch_has_a_name_in_the_link():
    assert "/commits/HEAD?p=1>" in next_link("https://gate.example", asked(""), page_of([], "http://hub/x?p=1"))


@pytest.mark.parametrize(
    "theirs", ["http://hub/x", "http://hub/x?cursor=a b", "http://hub/x?cursor=%0d%0aX:y", "http://hub/x?p=-1"]
)
def test_a_next_page_without_a_readable_place_is_malformed_and_no_silent_end(theirs):
    with pytest.raises(UpstreamUnavailable):
        page_of([ROW], theirs)


def test_the_last_page_has_no_link():
    assert next_link("https://gate.example", asked(), page_of([ROW], "")) == ""
    assert next_link("https://gate.example", asked(), None) == ""


@given(st.sampled_from(sorted(FIELDS)), st.lists(st.text(max_size=30), max_size=3))
def test_a_parameter_is_read_or_left_out(name, values):
    kept = FIELDS[name](values)
    assert isinstance(kept, tuple)
    assert len(kept) <= 1
    assert all(value.isascii() and value.isprintable() and " " not in value for value in kept)
