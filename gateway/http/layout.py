"""The frame of every page of the gateway: one style sheet, no script, nothing loaded, nothing kept by a browser."""

from __future__ import annotations

import base64
import hashlib

from gateway.http.markup import Markup, el, joined
from gateway.ports import Rendering

_STYLE = (
    ":root{color-scheme:light dark;--ink:#1c1c1c;--paper:#fff;--dim:#5c5754;--line:#d8d2cf;--pale:#f6f2f1;"
    "--deny:#b3261e;--quarantine:#8a5300;--allow:#1e6b34;--link:#0b57d0}"
    "@media(prefers-color-scheme:dark){:root{--ink:#eee;--paper:#1c1b1a;--dim:#aaa29d;--line:#47413e;--pale:#2a2625;"
    "--deny:#ff8a80;--quarantine:#ffb95c;--allow:#7fd397;--link:#8ab4f8}}"
    "*{box-sizing:border-box}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2.5rem auto;padding:0 1rem;color:var(--ink);"
    "background:var(--paper);overflow-wrap:anywhere}"
    "h1{font-size:1.35rem;line-height:1.3;margin:0 0 .5rem}h2{font-size:1.05rem;margin:2rem 0 .5rem}"
    "a{color:var(--link)}p{margin:.5rem 0}code,.mono{font:.875em/1.5 ui-monospace,monospace}.dim{color:var(--dim)}"
    ".box{border-left:.3rem solid var(--line);padding:.6rem 1rem;background:var(--pale);margin:.75rem 0}"
    ".deny{border-color:var(--deny)}.quarantine{border-color:var(--quarantine)}.allow{border-color:var(--allow)}"
    ".tag{display:inline-block;border:1px solid;border-radius:.3rem;padding:0 .4rem;font-size:.8rem;font-weight:600;"
    "text-transform:uppercase;letter-spacing:.03em}"
    ".tag.deny{color:var(--deny)}.tag.quarantine{color:var(--quarantine)}.tag.allow{color:var(--allow)}"
    "dl{display:grid;grid-template-columns:minmax(6rem,9rem) 1fr;gap:.25rem 1rem;margin:.5rem 0}"
    "dt{color:var(--dim)}dd{margin:0;min-width:0}ul{padding-left:1.2rem;margin:.5rem 0}li{margin:.35rem 0}"
    "details>summary{cursor:pointer}footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.75rem;"
    "font-size:.875rem;color:var(--dim)}"
    "@media(max-width:30rem){body{margin:1.25rem auto}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}"
    "@media print{body{max-width:none}details>*{display:block}}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
    ("X-Robots-Tag", "noindex, nofollow"),
)


def page(status: int, title: str, *content: str) -> Rendering:
    """A whole page; `content` as in `markup.el`."""
    head = joined(
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'),
        el("title", title),
        el("style", Markup(_STYLE)),
    )
    body = joined(Markup('<!doctype html><html lang="en">'), el("head", head), el("body", *content), Markup("</html>"))
    return Rendering(status, HEADERS, body.encode())


def rows(*pairs: tuple[str, str]) -> Markup:
    """A list of named facts; those without a value are left out."""
    return el("dl", *(joined(el("dt", name), el("dd", value)) for name, value in pairs if value))
