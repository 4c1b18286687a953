"""Every command that a page or a help text shows is one that the real command line takes."""

import argparse
import re

import pytest

from gateway.cli.main import build_parser
from tests.docs.pages import ROOT, blocks, commands, simple

SHOWN = [
    pytest.param(words, id=f"{block} {' '.join(words)}")
    for block in blocks()
    if block.language == "console"
    for words in commands(block.text)
]
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
# Programs of others that pages may show.
FOREIGN = {"cat", "hf", "export", "curl", "pip", "docker", "python", "opa"}


def examples(parser, names=("gateway",)):
    for line in (parser.epilog or "").splitlines():
        if re.match(r"  (?:[A-Z_]+=\S+ )*gateway ", line):
            yield line.strip().split("   ")[0]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                yield from examples(below, (*names, word))


def parses(words):
    try:
        build_parser().parse_args(words[1:])
    except SystemExit as end:
        return end.code in {0, None}
    return True


@pytest.mark.parametrize("words", SHOWN)
def test_a_command_on_a_page_is_one_that_exists(words):
    match words[0]:
        case "gateway":
            assert parses(words)
        case "make":
            assert set(words[1:]) <= TARGETS
        case other:
            assert other in FOREIGN


@pytest.mark.parametrize("line", [*examples(build_parser())])
def test_an_example_in_a_help_text_is_one_that_works(line):
    assert parses(simple(line))


def test_the_pages_show_commands():
    assert sum(param.values[0][0] == "gateway" for param in SHOWN) > 20
    assert {words[0][1] for words in (p.values for p in SHOWN) if words[0][0] == "gateway"} >= {
        "serve",
        "audit",
        "token",
    }


def test_a_command_that_does_not_exist_is_found_out():
    assert not parses(["gateway", "serve", "--no-such-flag"])
    assert commands("$ A=1 gateway serve --x \\\n  y | jq . # z\nout\n") == [["gateway", "serve", "--x", "y"]]
