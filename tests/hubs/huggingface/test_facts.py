"""Facts from hostile or odd hub answers: cards, trees, kinds of refs, signatures."""

import pytest
from yarl import URL

from gateway.domain.artifact import RefKind, Repo, RepoType
from gateway.domain.errors import UpstreamUnavailable
from gateway.domain.evidence import License, LineageParent
from gateway.hubs.huggingface.card import auto_map_of, license_of, lineage_of
from gateway.hubs.huggingface.entries import Listing, listing_of
from gateway.hubs.huggingface.revision import gate_of, hub_verdicts, kind_by_refs, kind_by_text, repo_facts, time_text
from gateway.hubs.huggingface.signatures import expires_at_s

SHA1, SHA256 = "a" * 40, "b" * 64


@pytest.mark.parametrize(
    ("info", "paths", "expected"),
    [
        ({"cardData": {"license": "mit"}}, [], License(("mit",), "MIT", "card")),
        (
            {"cardData": {"license": ["mit", "apache-2.0"]}},
            [],
            License(("mit", "apache-2.0"), "MIT AND Apache-2.0", "card"),
        ),
        ({"cardData": {"license": ["mit", "llama3.2"]}}, [], License(("mit", "llama3.2"), None, "card")),
        ({"cardData": {"license": "mit or gpl-3.0"}}, [], License(("mit or gpl-3.0",), "MIT OR GPL-3.0-only", "card")),
        (
            {"cardData": {"license": "other", "license_name": "x-lic", "license_link": "https://x.example/l"}},
            [],
            License(("other",), None, "card", "x-lic", "https://x.example/l"),
        ),
        ({"tags": ["license:mit", "x"]}, [], License(("mit",), "MIT", "card")),
        ({}, ["LICENSE", "a.bin"], License(source="file")),
        ({}, ["sub/LICENSE"], License(source="none")),
        ({"cardData": None, "tags": None}, [], License(source="none")),
        ({"cardData": "text"}, [], License(source="none")),
    ],
)
def test_licenses(info, paths, expected):
    assert license_of(info, paths) == expected


@pytest.mark.parametrize(
    "hostile", ["a AND", "AND", "MIT WITH MIT", "(" * 5000, "MIT AND " * 5000, "x\x00y", {"x": 1}, [[1]], 7, True]
)
def test_a_hostile_license_is_declared_and_no_spdx_expression(hostile):
    found = license_of({"cardData": {"license": hostile}}, [])
    assert found.declared
    assert found.spdx is None
    assert all(len(text) <= 300 for text in found.declared)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"cardData": {"base_model": "a/b"}}, (LineageParent("a/b", "unknown"),)),
        ({"cardData": {"base_model": "a/b", "base_model_relation": "merge"}}, (LineageParent("a/b", "merge"),)),
        ({"cardData": {"base_model": ["a/b", "c/d"]}}, (LineageParent("a/b"), LineageParent("c/d"))),
        ({"tags": ["base_model:a/b", "base_model:adapter:a/b"]}, (LineageParent("a/b", "adapter"),)),
        ({"tags": ["base_model:adapter:a/b", "base_model:a/b"]}, (LineageParent("a/b", "adapter"),)),
        ({"cardData": {"base_model": {"odd": 1}}}, (LineageParent("{'odd': 1}"),)),
        ({"tags": ["base_model:"]}, ()),
        ({}, ()),
    ],
)
def test_lineage(info, expected):
    assert lineage_of(info) == expected


def test_every_auto_map_target_is_seen():
    info = {
        "config": {"auto_map": {"AutoModel": "other/repo--m.Cls", "AutoTokenizer": ["t.Slow", None]}},
        "transformersInfo": {"custom_class": "m.Custom"},
    }
    assert auto_map_of(info) == ("m.Custom", "other/repo--m.Cls", "t.Slow")
    assert auto_map_of({"config": {"auto_map": "flat.Cls"}}) == ("flat.Cls",)
    assert auto_map_of({"config": []}) == ()


def row(**changes):
    return {"type": "file", "path": "a.bin", "oid": SHA1, "size": 5, **changes}


def test_a_tree_is_read_and_stripped_of_what_was_not_checked():
    lfs = {"oid": SHA256, "size": 5, "pointerSize": 130, "extra": 1}
    listing = listing_of(
        [row(lfs=lfs, xetHash="c" * 64, lastCommit={}), {"type": "directory", "path": "d", "oid": SHA1, "size": 0}],
        complete=True,
    )
    assert listing.files[0].sha256 == SHA256
    assert listing.tree == (
        {
            "type": "file",
            "oid": SHA1,
            "size": 5,
            "path": "a.bin",
            "lfs": {"oid": SHA256, "size": 5, "pointerSize": 130},
        },
        {"type": "directory", "oid": SHA1, "size": 0, "path": "d"},
    )
    assert listing.complete


@pytest.mark.parametrize(
    "bad",
    [
        "text",
        {},
        {"path": 5},
        row(size="5"),
        row(size=-1),
        row(size=True),
        row(size=1 << 60),
        row(oid="main"),
        row(oid=SHA1.upper()),
        row(oid=None),
        row(type="symlink"),
        row(lfs={"oid": SHA1, "size": 5}),
        row(lfs={"oid": SHA256, "size": 6}),
        row(lfs="x"),
    ],
)
def test_a_row_that_cannot_be_trusted_spoils_the_tree(bad):
    with pytest.raises(UpstreamUnavailable) as caught:
        listing_of([bad], complete=True)
    assert caught.value.code == "upstream/malformed"


def test_one_path_with_two_contents_spoils_the_tree():
    with pytest.raises(UpstreamUnavailable):
        listing_of([row(), row(oid="c" * 40)], complete=True)


@pytest.mark.parametrize("path", ["../x", "a/../b", "/etc/passwd", "a//b", "", ".", "a\x00b", "\ud800"])
def test_a_path_that_no_repo_can_hold_is_left_out_and_the_listing_says_so(path):
    listing = listing_of([row(), row(path=path)], complete=True)
    assert [entry.path for entry in listing.files] == ["a.bin"]
    assert not listing.complete
    assert listing.unroutable == ()


@pytest.mark.parametrize("path", ["a\\b", "a\nb", "a%41b", "a\x7fb", "sub/a\u2028b", "a\x85"])
def test_a_file_that_cannot_be_asked_for_is_left_out_by_name(path):
    listing = listing_of(
        [row(), row(path=path), {"type": "directory", "path": f"d{path}", "oid": "a" * 40}], complete=True
    )
    assert [entry.path for entry in listing.files] == ["a.bin"]
    assert [r["path"] for r in listing.tree] == ["a.bin"]
    assert listing.complete
    (told,) = listing.unroutable
    assert told.isascii()
    assert told.isprintable()


def test_a_listing_of_nothing_but_such_files_is_not_complete():
    assert not listing_of([row(path="a\nb")], complete=True).complete
    assert listing_of([], complete=True).complete


def test_only_some_of_many_such_names_are_told():
    listing = listing_of([row(), *(row(path=f"{n}\n" + "x" * 500) for n in range(1000))], complete=True)
    assert len(listing.unroutable) == 100
    assert max(map(len, listing.unroutable)) == 300


@pytest.mark.parametrize(
    ("ref", "kind"),
    [
        ("", RefKind.BRANCH),
        ("main", RefKind.BRANCH),
        ("refs/heads/x", RefKind.BRANCH),
        ("refs/tags/x", RefKind.TAG),
        (SHA1, RefKind.COMMIT),
        ("refs/pr/7", RefKind.PULL_REQUEST),
        ("refs/convert/parquet", RefKind.CONVERT),
        ("refs/prx/7", None),
        ("dev", None),
        ("abcdef12", None),
    ],
)
def test_kinds_of_refs_by_their_text(ref, kind):
    assert kind_by_text(ref) is kind


def test_kinds_of_refs_by_the_refs_of_the_repo():
    refs = {"branches": [{"name": "dev", "ref": "refs/heads/dev"}], "tags": [{"name": "v1"}], "converts": "x"}
    assert kind_by_refs("dev", refs) is RefKind.BRANCH
    assert kind_by_refs("v1", refs) is RefKind.TAG
    assert kind_by_refs("abc", refs) is RefKind.COMMIT
    assert kind_by_refs("abc", None) is RefKind.COMMIT


@pytest.mark.parametrize(
    ("value", "gate"),
    [
        (False, "no"),
        (None, "no"),
        ("auto", "auto"),
        ("manual", "manual"),
        (True, "manual"),
        ("new", "manual"),
        (0, "manual"),
    ],
)
def test_a_gate_that_is_not_understood_is_closed(value, gate):
    assert gate_of({"gated": value}) == gate


def test_malformed_facts_read_as_the_restrictive_value():
    repo = Repo("hub", RepoType.MODEL, "legacy")
    info = {"private": "yes", "disabled": 1, "downloads": -1, "likes": "7", "tags": "x", "createdAt": "today", "_id": 5}
    facts = repo_facts(repo, info, Listing((), (), complete=True), "anonymous")
    assert (facts.private, facts.disabled, facts.downloads, facts.likes) == (True, True, 0, 0)
    assert (facts.publisher, facts.created_at, facts.stable_key, facts.tags) == ("", "", "", ())


def test_hub_verdicts_and_times():
    assert hub_verdicts(None) == hub_verdicts({"filesWithIssues": "x"}) == ()
    found = hub_verdicts({"scansDone": False, "filesWithIssues": [{"path": "a", "level": "unsafe"}, "x", {}]})
    assert [(v.path, v.level) for v in found] == [("a", "unsafe"), ("", "")]
    assert time_text("2026-01-02T03:04:05.000Z") == "2026-01-02T03:04:05.000Z"
    assert time_text("2026-01-02") == time_text(5) == ""


@pytest.mark.parametrize(
    ("query", "ends_s"),
    [
        ("Expires=2000&Signature=x", 1940),
        ("X-Amz-Date=19700101T001640Z&X-Amz-Expires=500", 1000 + 500 - 60),
        ("X-Amz-Date=19700101T001640Z&X-Amz-Expires=500&Expires=1200", 1140),
        ("X-Amz-Date=bad&X-Amz-Expires=500", 1300),
        ("Expires=99999999999", 1000 + 3600),
        ("Expires=-5", 1300),
        ("", 1300),
    ],
)
def test_a_signed_address_is_dropped_before_it_expires(query, ends_s):
    assert expires_at_s(URL(f"https://cdn.example/x?{query}", encoded=True), 1000.0) == ends_s
