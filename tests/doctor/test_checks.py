from gateway.doctor.checks import MAX_ADVICE_CHARS, MAX_FOUND_CHARS, State, made_safe, plain, warn
from gateway.doctor.view import summary, table


def test_secrets_and_control_characters_do_not_get_out():
    check = warn("a/b", "it said tok-1-longer and tok-1\033[2J\u202e\n" + "x" * 1000, "y" * 10_000)
    (safe,) = made_safe([check], {"tok-1", "tok-1-longer", ""})
    assert safe.found.startswith("it said [redacted] and [redacted]\ufffd[2J\ufffd\ufffd")
    assert len(safe.found) == MAX_FOUND_CHARS
    assert len(safe.advice) == MAX_ADVICE_CHARS
    assert (safe.found + safe.advice).isprintable()
    assert safe.group == "a"


def test_a_cut_never_leaves_a_part_of_a_secret():
    secret = "s" * 50
    (safe,) = made_safe([warn("a/b", "x" * (MAX_FOUND_CHARS - 10) + secret, "")], {secret})
    assert "ss" not in safe.found
    assert plain("abc", 3) == "abc"


def test_the_table_is_aligned_and_wraps():
    checks = [
        warn("a/b", "word " * 40, "rm -- /path/that/is/longer/than/everything" + "/x" * 60),
        warn("long/name", "short", ""),
    ]
    lines = table(checks, width=80, colour=False).splitlines()
    assert lines[0].index("word") == lines[1].index("word")
    assert next(line for line in lines if "->" in line).index("->") == lines[0].index("word")
    assert any("rm --" in line for line in lines)
    assert any(line.strip().endswith("/x" * 60) for line in lines), "a path can be copied whole"
    assert lines[-1] == summary(checks) == "0 ok, 2 warn, 0 fail, 0 unknown."
    coloured = table(checks, width=80, colour=True)
    assert "\033[33mwarn" in coloured
    assert [state.value for state in State] == ["ok", "warn", "fail", "unknown"]
