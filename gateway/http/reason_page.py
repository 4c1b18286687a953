"""The pages of reason codes and of rules: the same for everybody who may read them, about no decision at all."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.http import layout
from gateway.http.markup import Markup, el
from gateway.http.reason_codes import ReasonCode, one_line_of
from gateway.ports import Rendering

# What the one who was refused can do, by the category of the code.
_AGAIN = "Nothing is wrong with what you asked for. Ask again in a while; most clients do so by themselves."
_DEVELOPERS = {
    **dict.fromkeys(("pdp", "scan", "fill", "hold", "store", "ledger", "system", "gateway"), _AGAIN),
    "identity": "Set HF_TOKEN to a token of this gateway (it begins with mgw_), or ask those who run it for one.",
    "entitlement": "Ask for an entitlement of one of your groups to this repo.",
    "upstream": "The public hub is in trouble, or has no such thing. What was fetched before keeps coming.",
    "integrity": "Do not go round this: the bytes are not those that were judged. Tell those who run the gateway.",
    "limit": "Ask less often; clients that wait as they are told go on by themselves.",
    "route": "This address is not served here. Point clients here with HF_ENDPOINT; publish to the hub itself.",
    "protocol": "Take the plain HTTP route: the message that you were given names the setting.",
}


@dataclass(frozen=True, slots=True)
class RuleText:
    """What a policy rule says of itself, as plain text."""

    title: str
    description: str
    severity: str
    remedy: str


def code_page(code: ReasonCode, contact: str) -> Rendering:
    """What one of the gateway's own codes means."""
    return layout.page(
        200,
        code.code,
        el("p", "Reason code of the gateway", class_="dim"),
        el("h1", code.code),
        el("p", one_line_of(code.happened), class_="box"),
        layout.rows(
            ("how it is told", code.form_in_words),
            ("you", _DEVELOPERS.get(code.code.partition("/")[0], "")),
            ("operators", one_line_of(code.to_do)),
        ),
        *_whom(contact),
    )


def rule_page(rule: str, text: RuleText, contact: str) -> Rendering:
    """What a rule of the policy looks at."""
    return layout.page(
        200,
        f"{rule}: {text.title}",
        el("p", "Rule of this gateway's policy", class_="dim"),
        el("h1", f"{rule}: {text.title}"),
        el("p", text.description, class_="box"),
        layout.rows(("severity", text.severity), ("next step", text.remedy)),
        *_whom(contact),
    )


def _whom(contact: str) -> tuple[Markup, ...]:
    if not contact:
        return ()
    address = contact if contact.startswith(("http://", "https://")) else f"mailto:{contact}"
    return (el("p", "Questions: ", el("a", contact, href=address)),)
