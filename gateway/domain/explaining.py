"""Where a refusal is explained: the gateway's own pages, below `/-/`, which no hub's grammar knows."""

from __future__ import annotations

import re
from dataclasses import dataclass

OWN_PAGES = "/-/"
DECISIONS = "/-/decisions/"
REASONS = "/-/reasons/"
MAX_CONTACT_CHARS = 100
MAX_PUBLIC_URL_CHARS = 160
_MAX_LINK_CHARS = 256  # of the longest public URL, and of the longest id or code
_DECISION_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_CODE = re.compile(r"[a-z][a-z0-9-]{0,39}/[a-z][a-z0-9-]{0,59}")


def is_decision_id(text: str) -> bool:
    """Can the text be a decision's id? Then it holds nothing that a URL, a header or a query must escape."""
    return _DECISION_ID.fullmatch(text) is not None


def is_code(text: str) -> bool:
    """Can the text be a reason code or a rule's id, `category/name`?"""
    return _CODE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Explaining:
    """What a refusal may say of those who explain it. `base` is the public URL without a slash at its end; without it
    nothing is linked. `contact` is a URL or an e-mail address, "" for none; both are printable ASCII.
    """

    base: str = ""
    contact: str = ""

    def link(self, decision_id: str, code: str) -> str:
        """The page of the decision, else of the reason code; "" where neither can be named in a link."""
        if is_decision_id(decision_id):
            return self._bounded(f"{self.base}{DECISIONS}{decision_id}")
        return self._bounded(f"{self.base}{REASONS}{code}") if is_code(code) else ""

    def _bounded(self, link: str) -> str:
        # A link that is cut leads nowhere: rather none.
        return link if self.base and len(link) <= _MAX_LINK_CHARS else ""


UNEXPLAINED = Explaining()
