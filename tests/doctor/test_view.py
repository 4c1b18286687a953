from gateway.doctor.checks import State, warn
from gateway.doctor.view import summary, table


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
