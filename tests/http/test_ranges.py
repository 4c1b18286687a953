import pytest

from gateway.domain.artifact import Span
from gateway.http.ranges import RangeNotSatisfiable, matches, parse_range, range_applies


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=10-", Span(10, 100)),
        ("bytes=10-19", Span(10, 20)),
        ("bytes=10-1000", Span(10, 100)),
        ("bytes=-5", Span(95, 100)),
        ("bytes=-500", Span(0, 100)),
        (" bytes=1-2 ", Span(1, 3)),
        # Malformed, several ranges, other units: ignored, the whole file is served.
        ("bytes=-", None),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=0x0-0x1", None),
        ("bytes=١-٢", None),
        ("bytes=0-1\r\nX: y", None),
        ("bytes=" + "9" * 40 + "-", None),
    ],
)
def test_a_range_is_read_as_rfc_9110_says(header, expected):
    assert parse_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=9999999999999999999-"])
def test_a_range_beyond_the_end_is_not_satisfiable(header):
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 100)


@pytest.mark.parametrize("header", ["bytes=0-0", "bytes=-1", "bytes=0-"])
def test_no_range_of_an_empty_file_is_satisfiable(header):
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 0)


def test_if_none_match_compares_weakly_and_whole():
    assert matches('"abc"', '"abc"')
    assert matches('W/"abc"', '"abc"')
    assert matches('"x", "abc"', '"abc"')
    assert matches("*", '"abc"')
    assert not matches('"abcd"', '"abc"')
    assert not matches("abc", '"abc"')
    assert not matches(None, '"abc"')


def test_if_range_needs_the_strong_tag():
    assert range_applies(None, '"abc"')
    assert range_applies('"abc"', '"abc"')
    assert not range_applies('W/"abc"', '"abc"')
    assert not range_applies("Tue, 24 Nov 2026 10:00:00 GMT", '"abc"')
