"""What a client asked for in vain may be a secret: a token that was given as a revision, a repo or a path."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from gateway.domain.record import Record


def redacted(record: Record, clean: Callable[[str], str]) -> Record:
    """The record of a refusal with every text of the client's run through `clean`."""
    reasons = tuple({**r, "message": clean(r["message"]), "path": clean(r["path"])} for r in record.reasons)
    repo, ref, path = clean(record.repo), clean(record.ref), clean(record.path)
    return dataclasses.replace(record, reasons=reasons, repo=repo, ref=ref, path=path)
