"""A page for people: a refusal opened in a browser says its reason, where a client would read a header (P9)."""

from __future__ import annotations

import html

from aiohttp import web

from gateway.ports import Rendering

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:4rem auto;padding:0 1rem;color:#1c1c1c}"
    "h1{font-size:1.25rem}p.reason{border-left:.3rem solid #b3261e;padding:.5rem 1rem;background:#f6f2f1}"
    "@media(prefers-color-scheme:dark){body{background:#1c1b1a;color:#eee}p.reason{background:#2a2625}}"
)
_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style></head>'
    '<body><h1>{title}</h1><p class="reason">{reason}</p>'
    "<p>This gateway judges models and datasets before anyone fetches them. The decision is on record; give its id, "
    "or the request id in the headers of this answer, to those who run the gateway.</p></body></html>"
)
_TITLES = {403: "Not allowed", 404: "Not here", 429: "Not yet", 502: "The hub has trouble", 504: "The hub is too slow"}


def wants_page(request: web.BaseRequest) -> bool:
    """Does a browser ask? Only those name `text/html` in Accept; every client of the hub says `*/*` or JSON."""
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


def refusal_page(rendering: Rendering, reason: str) -> Rendering:
    """The same refusal with a page as its body; status and the other headers stay."""
    title = _TITLES.get(rendering.status, "Refused")
    body = _PAGE.format(title=title, style=_STYLE, reason=html.escape(reason))
    kept = tuple(h for h in rendering.headers if h[0].lower() not in {"content-type", "content-length"})
    own = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
        ("X-Content-Type-Options", "nosniff"),
    )
    return Rendering(rendering.status, (*kept, *own), body.encode())
