import pytest

from gateway.http.prefix import Prefix


@pytest.mark.parametrize(
    ("target", "stripped"),
    [
        ("/hf/org/name/resolve/main/f", "/org/name/resolve/main/f"),
        ("/hf/api/models/org/name?x=/hf/", "/api/models/org/name?x=/hf/"),
        ("/hf", "/"),
        ("/hf/", "/"),
        ("/hf?x=1", "/?x=1"),
        ("/hf/hf/gpt2/resolve/main/f", "/hf/gpt2/resolve/main/f"),
        # as asked of a bare host, or what only looks like the prefix
        ("/org/name/resolve/main/f", "/org/name/resolve/main/f"),
        ("/hfx/name/resolve/main/f", "/hfx/name/resolve/main/f"),
        ("/%68f/name/resolve/main/f", "/%68f/name/resolve/main/f"),
        ("/HF/name/resolve/main/f", "/HF/name/resolve/main/f"),
        ("//hf/name", "//hf/name"),
        ("http://evil.example/hf/x", "http://evil.example/hf/x"),
        ("*", "*"),
        ("", ""),
    ],
)
def test_the_prefix_is_taken_off_once_and_only_as_whole_segments(target, stripped):
    assert Prefix("https://models.example/hf/").taken_off(target) == stripped


def test_a_prefix_that_leaves_a_double_slash_makes_no_other_host_of_it():
    assert (
        Prefix("https://models.example/hf").taken_off("/hf//evil.example/x") == "//evil.example/x"
    )  # the grammar refuses it


@pytest.mark.parametrize("url", ["", "https://models.example", "https://models.example/", "http://[::1]:8080/"])
def test_without_a_path_nothing_is_taken_off(url):
    assert Prefix(url).taken_off("/hf/x") == "/hf/x"


def test_a_longer_prefix():
    assert Prefix("https://x/a/b-1.2").taken_off("/a/b-1.2/api/models/gpt2") == "/api/models/gpt2"
    assert Prefix("https://x/a/b-1.2").taken_off("/a/api/models/gpt2") == "/a/api/models/gpt2"
