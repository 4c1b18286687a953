"""What a client cannot do, and what the gateway refuses by design. Each line is proven by the text of the cell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch

from conformance.cells import FAIL, LIMIT, REFUSED, Cell


@dataclass(frozen=True, slots=True)
class Expected:
    """A failing cell of `clients` (a glob) and `feature` whose text matches `pattern` is a LIMIT or REFUSED because of `why`.

    `endpoint`: "gateway", "direct", or "" for both.
    """

    result: str
    clients: str
    feature: str
    pattern: str
    why: str
    endpoint: str = ""


_ALL = (
    Expected(
        REFUSED, "*", "escaped-name", r"percent-encoded twice\. \(route/unknown\)",
        "its address would decode a second time, so two spellings of it could name two files (hub-protocol §3); it is in no "
        "listing, and the rest of its repo is served",
        "gateway",
    ),
    Expected(
        LIMIT, "datasets*", "hosts", r"asked datasets-server\.\S+, s3\.amazonaws\.com:443$",
        "it asks a datasets server under the endpoint's host name, and counts downloads at S3; where both are blocked it "
        "loads all the same (hub-protocol §1, 37)",
        "gateway",
    ),
    Expected(
        REFUSED, "*", "revision-pull", r"provenance/pull-request",
        "anybody may push to a pull request, so the default policy refuses it by name and by commit (hub-protocol §1, 25)",
        "gateway",
    ),
    Expected(
        LIMIT, "js-hub", "names", r"gave null for hash#tag|broken percent escape",
        "it writes file names into the address as they are: `#`, `?` and a bare `%` break it",
    ),
    Expected(
        LIMIT, "js-hub", "empty-file", r"status 416",
        "it asks for `bytes=0-0`, and an empty file has no byte (hub-protocol §11)",
    ),
    Expected(
        REFUSED, "js-transformers", "js-weights", r"Forbidden access to file",
        "no reader judges ONNX yet, so the default policy refuses it (scan/not-run); the client never shows a reason",
        "gateway",
    ),
    Expected(
        REFUSED, "git", "clone", r"git", "git packs hold every commit and branch: never served (design §5)", "gateway"
    ),
)  # fmt: skip


def explained(cell: Cell, client: str, feature: str, endpoint: str) -> Cell:
    """The cell with its failure turned into a limit or a refusal where its text proves one."""
    if cell.result != FAIL:
        return cell
    for line in _ALL:
        named = fnmatch(client, line.clients) and fnmatch(feature, line.feature) and line.endpoint in ("", endpoint)
        if named and re.search(line.pattern, cell.detail):
            return Cell(line.result, cell.detail, line.why)
    return cell


__all__ = ["LIMIT", "REFUSED", "Expected", "explained"]
