"""Who had bytes of a running fill before they were verified: named in the event where they prove to be others."""

from __future__ import annotations

from gateway.enforcement.folding import merged

_MOST_SUBJECTS = 1024
_MOST_SPANS = 64


class Takers:
    """Subjects and the spans that left, or began to leave, to each. Bounded: the ledger's deliveries hold the rest."""

    def __init__(self) -> None:
        self._spans: dict[str, list[tuple[int, int]]] = {}

    def add(self, subject: str, start: int, end: int) -> None:
        """The span [start, end) is about to leave to `subject`."""
        if subject not in self._spans and len(self._spans) >= _MOST_SUBJECTS:
            return
        spans = merged([*self._spans.get(subject, []), (start, end)])
        if len(spans) > _MOST_SPANS:
            spans = [(spans[0][0], spans[-1][1])]
        self._spans[subject] = spans

    def plain(self) -> list[dict[str, object]]:
        """For a record: [{"subject": …, "spans": [[start, end], …]}, …]."""
        return [{"subject": subject, "spans": [list(span) for span in spans]} for subject, spans in self._spans.items()]
