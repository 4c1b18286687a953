from gateway.enforcement.takers import Takers


def test_each_subject_with_its_merged_spans():
    takers = Takers()
    for subject, start, end in (("a", 0, 10), ("b", 5, 6), ("a", 10, 20), ("a", 100, 110)):
        takers.add(subject, start, end)
    assert takers.plain() == [
        {"subject": "a", "spans": [[0, 20], [100, 110]]},
        {"subject": "b", "spans": [[5, 6]]},
    ]


def test_bounded_in_spans_and_in_subjects():
    takers = Takers()
    for number in range(1000):
        takers.add("a", 10 * number, 10 * number + 1)
        takers.add(f"s{number}", 0, 1)
        takers.add(f"t{number}", 0, 1)
    plain = takers.plain()
    assert len(plain) == 1024
    assert all(len(entry["spans"]) <= 64 for entry in plain)
    assert plain[0]["spans"][0][0] == 0
    assert plain[0]["spans"][-1][1] == 9991
