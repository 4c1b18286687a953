"""One request to the simulated hub, and the paging of its listings."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from gateway.simulator import answers
from gateway.simulator.answers import Answer, json_answer
from gateway.simulator.repo import Repo
from gateway.simulator.targets import Target
from gateway.simulator.world import Account


@dataclass
class Call:
    """One request to the hub: what was asked, by whom, with which conditions."""

    method: str
    target: Target
    headers: dict[str, str]  # lower-case names
    body: bytes
    account: Account | None

    def limit(self, default: int) -> int:
        """The `limit` asked for, at most `default`."""
        return min(default, number(self.target.first("limit"), default))


def paged(base_url: str, call: Call, rows: list[Any], limit: int, total: int | None = None) -> Answer:
    """One page of the rows; the next one is named by an absolute link on this host."""
    cursor = call.target.first("cursor")
    try:
        start = int(urlsafe_b64decode(cursor)) if cursor else 0
    except ValueError:
        return answers.refusal(400, "Invalid cursor")
    headers = {} if total is None else {"X-Total-Count": str(total)}
    if start + limit < len(rows):
        query = {k: v for k, v in call.target.query.items() if k != "cursor"}
        query |= {"limit": [str(limit)], "cursor": [urlsafe_b64encode(str(start + limit).encode()).decode()]}
        path = call.target.before + call.target.after.partition("?")[0]
        if call.target.asked:
            path = call.target.canonical_target.partition("?")[0]
        headers["Link"] = f'<{base_url}{path}?{urlencode(query, doseq=True)}>; rel="next"'
    return json_answer(rows[start : start + limit], headers=headers)


def granted(repo: Repo, account: Account | None) -> bool:
    """Does the account open this gated or private repo?"""
    return account is not None and repo.name in account.grants


def number(text: str, default: int) -> int:
    """A positive number, else the default."""
    return int(text) if text.isdigit() and int(text) > 0 else default
