import json

import pytest

from gateway.doctor.versions import _judged, check_versions, read_version


@pytest.mark.parametrize(
    ("name", "version", "state"),
    [
        ("huggingface_hub", "0.17.3", "warn"),
        ("huggingface_hub", "0.36.1", "warn"),
        ("huggingface_hub", "0.36.2", "ok"),
        ("huggingface_hub", "1.0.1", "warn"),
        ("huggingface_hub", "1.4.9", "warn"),
        ("huggingface_hub", "1.5.0", "ok"),
        ("huggingface_hub", "2.4.0", "ok"),
        ("huggingface_hub", "2.5.0.dev0", "ok"),
        ("huggingface_hub", "unknown", "unknown"),
        ("hf_xet", "1.8.0", "ok"),
        ("transformers", "5.23.0", "ok"),
    ],
)
def test_known_limits(name, version, state):
    assert _judged(name, version, "x").state == state


def test_versions_are_compared_as_numbers():
    assert read_version("0.100") == (0, 100, 0)
    assert read_version("v1") is None


@pytest.mark.parametrize("says", ["", "no json", "[]", '{"found": 3}', "null", "[" * 5000])
def test_a_python_that_answers_nonsense_is_unknown(says, around, tmp_path):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\n")
    program.chmod(0o755)
    assert [c.state for c in check_versions(around(PATH="/usr/bin:/bin"), (str(program),))] == ["unknown"]


def test_npm_packages_ignore_the_endpoint(around):
    here = around()
    for name, text in (("hub", json.dumps({"version": "2.17.5"})), ("transformers", "[" * 5000)):
        folder = here.cwd / "node_modules/@huggingface" / name
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(text)
    found = [c for c in check_versions(here, ("/no/such",)) if c.check == "version/npm"]
    assert [("2.17.5" in c.found, c.state) for c in found] == [(True, "warn")]
