from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.artifact import Artifact, FileEntry
from gateway.domain.decision import Decision, DecisionScope, Effect, Reason
from gateway.domain.errors import UpstreamUnavailable
from gateway.hubs.huggingface.page import file_page, shown
from gateway.hubs.huggingface.pointer import pointer, pointer_text
from gateway.simulator.content import Bytes, git_blob_id, lfs_pointer
from tests.hubs.huggingface.hub_world import model

COMMIT = "0" * 40
CONTENT = Bytes(b"weights" * 100)
TAGS = re.compile(r"<(/?[a-z0-9]+)[^>]*>")


def artifact(path="model.safetensors", git_oid=None):
    entry = FileEntry(path, CONTENT.size, git_oid or git_blob_id(lfs_pointer(CONTENT)), CONTENT.sha256)
    return Artifact(model("org/name"), COMMIT, entry)


def page_of(path="model.safetensors", warnings=()):
    decision = Decision(Effect.ALLOW, DecisionScope.FILE, warnings=tuple(warnings), id="d-1")
    return file_page("https://gate.example/hf", artifact(path), "f" * 64, decision)


def test_the_page_has_the_facts_and_links_under_the_public_address():
    page = page_of().body.decode()
    for fact in ("org/name", COMMIT, "700 bytes", "f" * 64, "allow", "d-1"):
        assert fact in page
    assert re.findall(r'href="([^"]*)"', page) == [
        "https://gate.example/hf/-/decisions/d-1",
        f"https://gate.example/hf/org/name/resolve/{COMMIT}/model.safetensors",
    ]


def test_only_warnings_of_this_file_and_of_the_whole_are_told():
    warnings = [
        Reason("a/own", "low", "about <this>", "do", path="model.safetensors"),
        Reason("a/other", "low", "about that", "do", path="other.bin"),
        Reason("a/all", "low", "about all", "do"),
    ]
    page = page_of(warnings=warnings).body.decode()
    assert "about &lt;this&gt;" in page
    assert "about all" in page
    assert "about that" not in page


@given(st.text(min_size=1, max_size=60))
def test_no_name_brings_an_element_or_a_hidden_character(path):
    page = page_of(path).body.decode("utf-8", "surrogatepass")
    assert sorted(TAGS.findall(page)) == sorted(TAGS.findall(page_of("x").body.decode()))
    assert not [c for c in page if not c.isprintable()]


def test_what_does_not_print_is_spelt():
    assert shown("a\u202eb\u200b<") == "a\\u202eb\\u200b&lt;"


def test_the_policy_of_the_page_lets_nothing_run():
    headers = dict(page_of().headers)
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_the_pointer_is_the_one_that_git_names():
    rendering = pointer(artifact())
    assert rendering.body == lfs_pointer(CONTENT)
    assert dict(rendering.headers)["ETag"] == f'"{git_blob_id(rendering.body)}"'
    assert "X-Linked-Etag" not in dict(rendering.headers)


def test_a_pointer_of_another_form_is_not_made_up():
    with pytest.raises(UpstreamUnavailable) as caught:
        pointer_text(artifact(git_oid="a" * 40).entry)
    assert caught.value.code == "upstream/malformed"
