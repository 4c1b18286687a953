import argparse
import json

import pytest

from gateway.doctor import command


def parsed(*words):
    parser = argparse.ArgumentParser()
    command.add_flags(parser)
    return parser.parse_args([*words, "--hosts", "127.0.0.1:1"])


def test_the_checks_come_in_the_order_in_which_to_mend_things(around):
    _, checks = command.examine(
        around(HF_ENDPOINT="http://127.0.0.1:9"), parsed("--python", "/no/such", "--timeout", "1")
    )
    groups = list(dict.fromkeys(check.group for check in checks))
    assert groups == ["endpoint", "token", "cache", "egress", "setting", "version"]


def test_no_token_is_tried_where_no_gateway_answers(around):
    _, checks = command.examine(
        around(HF_ENDPOINT="http://127.0.0.1:9", HF_TOKEN="mgw_secret-word"),
        parsed("--python", "/no/such", "--timeout", "1"),
    )
    assert {check.check: check.state for check in checks}["token/accepted"] == "unknown"
    assert not any("secret-word" in check.found + check.advice for check in checks)


def test_main_prints_one_object_and_says_by_its_exit_code_that_something_failed(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "https://huggingface.co")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert command.main(["--json", "--hosts", "127.0.0.1:1", "--python", "/no/such"]) == command.EXIT_FOUND
    printed = json.loads(capsys.readouterr().out)
    assert printed["exit_code"] == 1
    assert printed["endpoint"] == ""
    assert sum(printed["summary"].values()) == len(printed["checks"])


@pytest.mark.parametrize("words", [["--timeout", "nan"], ["--timeout", "-1"], ["--timeout", "601"], ["--hosts", "a:b"]])
def test_misuse(words):
    parser = argparse.ArgumentParser()
    command.add_flags(parser)
    with pytest.raises(SystemExit) as end:
        parser.parse_args(words)
    assert end.value.code == 2
