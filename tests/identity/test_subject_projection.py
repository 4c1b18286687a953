from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.subject import Subject, SubjectKind

TEXT = st.text(alphabet="ab,=\x1f'\"\\ []", max_size=5)
SUBJECTS = st.builds(
    Subject,
    id=TEXT,
    kind=st.sampled_from(SubjectKind),
    groups=st.frozensets(TEXT, max_size=3),
    claims=st.dictionaries(TEXT, TEXT, max_size=2),
)


@given(SUBJECTS, SUBJECTS)
def test_two_subjects_never_share_a_key(one: Subject, two: Subject) -> None:
    same = (one.id, one.kind, one.groups, one.claims) == (two.id, two.kind, two.groups, two.claims)
    assert (one.projection == two.projection) is same


def test_one_group_with_a_comma_is_not_two() -> None:
    one = Subject("a", SubjectKind.USER, frozenset({"x,y"}))
    two = Subject("a", SubjectKind.USER, frozenset({"x", "y"}))
    assert one.projection != two.projection
