import pytest

from gateway.doctor.cache_walk import walk


def repo(tmp_path, name="models--a--b"):
    folder = tmp_path / name
    for part in ("blobs", "refs", "snapshots", "trees", ".no_exist"):
        (folder / part).mkdir(parents=True)
    return folder


def test_a_commit_with_files_makes_its_ref_sound(tmp_path):
    folder = repo(tmp_path)
    (folder / "refs/main").write_text("a" * 40)
    (folder / "refs/refs").mkdir()
    (folder / "refs/refs/pr").write_text("b" * 40 + "\n")
    (folder / "refs/odd").write_text("not a commit")
    (folder / "snapshots" / ("a" * 40)).mkdir()
    assert {path.name for path in walk(tmp_path).dangling_refs} == {"main", "pr"}, "an empty snapshot is none"
    (folder / "snapshots" / ("a" * 40) / "config.json").write_text("{}")
    assert {path.name for path in walk(tmp_path).dangling_refs} == {"pr"}


@pytest.mark.parametrize(
    ("text", "found"), [('{"xet_hash": "ab"}', 1), ('{"xetHash" : "ab"}', 1), ('{"xet_hash": null}', 0), ("{}", 0)]
)
def test_a_listing_that_names_xet_hashes(text, found, tmp_path):
    (repo(tmp_path) / "trees" / ("a" * 40 + ".json")).write_text(text)
    assert len(walk(tmp_path).xet_trees) == found


@pytest.mark.parametrize(
    ("name", "weighty"),
    [("config.json", True), ("model.safetensors", True), ("sub/model.safetensors.index.json", True), ("tokenizer.json", True),
     ("adapter_config.json", False), ("chat_template.jinja", False), ("model.bin", False)],
)  # fmt: skip
def test_files_remembered_as_absent(name, weighty, tmp_path):
    path = repo(tmp_path) / ".no_exist" / ("a" * 40) / name
    path.parent.mkdir(parents=True)
    path.touch()
    contents = walk(tmp_path)
    assert contents.absent == 1
    assert bool(contents.absent_weighty) is weighty


def test_the_shared_store_is_counted_apart(tmp_path):
    (tmp_path / "blobs/ab").mkdir(parents=True)
    (tmp_path / "blobs/ab" / ("ab" * 32)).write_bytes(b"12345")
    (tmp_path / "blobs/ab" / ("ab" * 32 + ".refs")).write_bytes(b"x")
    folder = repo(tmp_path)
    (folder / "blobs/etag").symlink_to("../../blobs/ab/" + "ab" * 32)
    (folder / "blobs/own").write_bytes(b"123")
    contents = walk(tmp_path)
    assert (contents.shared_blobs, contents.shared_bytes) == (1, 5)
    assert (contents.blobs, contents.size_bytes) == (1, 3)


def test_bounds_and_what_cannot_be_read_are_said(tmp_path):
    folder = repo(tmp_path)
    for number in range(20):
        (folder / "blobs" / str(number)).touch()
    assert not walk(tmp_path, max_entries=10).is_complete
    assert not walk(tmp_path, walk_s=0.0).is_complete
    assert walk(tmp_path).is_complete
    assert walk(tmp_path / "missing").repos == 0
    loop = tmp_path / "models--loop"
    loop.mkdir()
    (loop / "blobs").symlink_to("blobs")
    assert walk(tmp_path).unreadable == [loop / "blobs"]
