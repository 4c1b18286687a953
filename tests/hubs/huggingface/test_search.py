"""Search: what is asked of the hub, what a row may tell, and where the next page lies."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.artifact import RepoType
from gateway.domain.errors import UnroutableRequest, UpstreamUnavailable
from gateway.domain.request import RequestKind
from gateway.hubs.huggingface.grammar import parse
from gateway.hubs.huggingface.scrub import Scrub
from gateway.hubs.huggingface.search import asked_of_hub, next_link, page_of, row_json

SCRUB = Scrub("https://gate.example/hf")
HUB = "https://huggingface.co/api/models"


def asked(query, api="models"):
    return parse("huggingface", "GET", f"/api/{api}?{query}")


def page(*rows, next_url=""):
    return page_of("huggingface", RepoType.MODEL, list(rows), 100, next_url)


@pytest.mark.parametrize("api", ["models", "datasets", "spaces"])
def test_each_type_has_its_index(api):
    request = parse("huggingface", "GET", f"/api/{api}")
    assert (request.kind, request.repo, request.path, request.query) == (RequestKind.SEARCH, None, api, {})


def test_every_parameter_of_the_clients_is_known_and_others_are_dropped():
    request = asked(
        "search=bert&search=tiny&author=google&filter=b&filter=a&filter=b&sort=lastModified&direction=-1&limit=5"
        "&full=True&config=true&cardData=1&gated=False&pipeline_tag=x&apps=ollama&apps=vllm&inference=warm"
        "&inference_provider=all&num_parameters=min:6B,max:128B&linked=true&datasets=d&models=m&cursor=eyJhIjoxfQ=="
        "&token=hf_secret&redirect=http://evil&skip=7"
    )
    assert request.query == {
        "search": ("bert", "tiny"), "author": ("google",), "filter": ("a", "b"), "sort": ("lastModified",),
        "direction": ("-1",), "limit": ("5",), "full": ("true",), "config": ("true",), "cardData": ("true",),
        "gated": ("false",), "pipeline_tag": ("x",), "apps": ("ollama", "vllm"), "inference": ("warm",),
        "inference_provider": ("all",), "num_parameters": ("min:6B,max:128B",), "linked": ("true",),
        "datasets": ("d",), "models": ("m",), "cursor": ("eyJhIjoxfQ==",),
    }  # fmt: skip


def test_equal_questions_are_one_question():
    spellings = ("filter=a&filter=b&full=true", "full=1&filter=b&filter=a&", "filter[]=a&filter[]=b&full=True&x=y")
    assert len({str(sorted(asked(query).query.items())) for query in spellings}) == 1


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1", "limit=x", "limit=1e9", "limit=%D9%A3", "sort=a%20b", "sort=%22", f"search={'a' * 257}",
        "&".join(f"filter={n}" for n in range(51)), "cursor=%22", "cursor=a%20b", "cursor=<x>", "cursor=a;b",
        f"cursor={'a' * 4097}", "cursor=%C3%A9",
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_as_malformed(query):
    with pytest.raises(UnroutableRequest) as caught:
        asked(query)
    assert caught.value.code == "route/malformed"


@pytest.mark.parametrize("query", ["cursor=a%0d%0aLink:x", "search=%00", "search=%0a", "search=%FF", "search=%"])
def test_control_characters_and_broken_text_never_reach_anybody(query):
    with pytest.raises(UnroutableRequest):
        asked(query)


@pytest.mark.parametrize(("text", "limit"), [("0", None), ("5", "5"), ("1000", "1000"), ("999999999999", "1000")])
def test_a_page_is_bounded(text, limit):
    assert asked(f"limit={text}").query.get("limit", (None,))[0] == limit


def test_picked_properties_are_those_we_know_and_what_tells_who_may_see_them():
    request = asked("expand=likes,downloads&expand[]=siblings&expand=evil&expand=xetEnabled")
    assert request.query["expand"] == ("downloads", "likes", "siblings")
    assert asked_of_hub(request.query)["expand"] == ("downloads", "likes", "private")
    (row,) = page({"id": "a/b", "likes": 1, "private": False, "downloads": 2}).rows
    assert row_json(request, row, SCRUB) == {"id": "a/b", "likes": 1, "downloads": 2}


@pytest.mark.parametrize(
    "flags",
    [{"private": True}, {"private": "false"}, {"private": None}, {"visibility": "private"}, {"disabled": True}],
)
def test_only_a_plain_no_to_private_is_public(flags):
    assert not page({"id": "a/b", **flags}).rows[0].is_public


def test_a_row_tells_what_clients_know_and_never_files_xet_or_the_hub():
    request = asked("full=true")
    value = {
        "_id": "1", "id": "a/b", "modelId": "a/b", "likes": 1, "private": False, "tags": ["license:mit"],
        "siblings": [{"rfilename": "hidden.bin"}], "xetEnabled": True, "invented": 1, "securityRepoStatus": {},
        "cardData": {"link": "see https://huggingface.co/a/b and https://cdn-lfs.hf.co/x?sig=1", "xetHash": "f"},
    }  # fmt: skip
    (row,) = page(value).rows
    shown = row_json(request, row, SCRUB)
    assert shown == {
        "_id": "1", "id": "a/b", "modelId": "a/b", "likes": 1, "private": False, "tags": ["license:mit"],
        "cardData": {"link": "see https://gate.example/hf/a/b and https://gate.example/hf"},
    }  # fmt: skip


@pytest.mark.parametrize("row", [None, 3, [], {}, {"id": 3}, {"id": "../etc"}, {"id": "a/b\r\nX: y"}, {"id": "api/x"}])
def test_a_row_that_names_no_repo_is_left_out(row):
    assert [found.repo.id for found in page(row, {"id": "a/b"}).rows] == ["a/b"]


@pytest.mark.parametrize("value", [{}, None, "x", 3])
def test_an_answer_that_is_no_list_is_malformed(value):
    with pytest.raises(UpstreamUnavailable) as caught:
        page_of("huggingface", RepoType.MODEL, value, 1, "")
    assert caught.value.code == "upstream/malformed"


def test_the_next_page_is_ours_with_what_was_asked_and_the_hubs_cursor():
    cursor = page(next_url=f"{HUB}?limit=2&search=other&evil=1&cursor=eyJhIjoxfQ%3D%3D").cursor
    link = next_link("https://gate.example/hf", asked("limit=2&search=a+b%26c&filter=x&cursor=old"), cursor)
    assert link.startswith("<https://gate.example/hf/api/models?")
    assert link.endswith('>; rel="next"')
    parts = urlsplit(link[1:].partition(">")[0])
    assert parse_qs(parts.query) == {"limit": ["2"], "search": ["a b&c"], "filter": ["x"], "cursor": ["eyJhIjoxfQ=="]}


@pytest.mark.parametrize("cursor", ["", "a%0d%0ab", "a%22%3E", "a%20b", "%3Cscript%3E", "a" * 5000, "a&cursor=b"])
def test_a_cursor_of_the_hub_that_is_odd_is_malformed_not_passed_on(cursor):
    with pytest.raises(UpstreamUnavailable):
        page(next_url=f"{HUB}?cursor={cursor}")


@given(st.dictionaries(st.sampled_from(["search", "author", "filter", "cursor", "sort"]), st.text(max_size=20)))
def test_a_link_is_one_line_to_our_own_address_whatever_was_asked(fields):
    from urllib.parse import urlencode

    try:
        request = asked(urlencode(fields))
    except UnroutableRequest:
        return
    link = next_link("https://gate.example", request, "abc")
    assert link.isascii()
    assert link.isprintable()
    assert link.count("<") == link.count(">") == link.count(";") == 1
    parts = urlsplit(link[1:].partition(">")[0])
    assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == ("https", "gate.example", "/api/models", "")
    assert parse("huggingface", "GET", f"{parts.path}?{parts.query}").query == {**request.query, "cursor": ("abc",)}
