"""The command beside the others; what it says is tested in tests/doctor and tests/e2e/test_doctor.py."""

import pytest

from gateway.cli import main


def test_without_client_it_says_what_there_is(capsys):
    assert main.run(["doctor", "--json"]) == main.EXIT_CANNOT
    out, err = capsys.readouterr()
    assert out == ""
    assert "gateway doctor --client" in err


def test_an_unknown_command_is_still_told_of_all_others(capsys):
    with pytest.raises(SystemExit):
        main.run(["doctr"])
    assert "doctor" in capsys.readouterr().err
