from gateway.doctor.checks import MAX_ADVICE_CHARS, MAX_FOUND_CHARS, made_safe, plain, warn


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
