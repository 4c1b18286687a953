"""The page of `/blob/`: what is known of an allowed file, for people. Facts and our own links, nothing of the file.

Names of files are a stranger's text: everything is escaped, nothing runs, and characters that would be invisible or
turn the line around are spelt out.
"""

from __future__ import annotations

import hashlib
import html
from base64 import b64encode
from typing import Final
from urllib.parse import quote

from gateway.domain.artifact import Artifact
from gateway.domain.decision import Decision
from gateway.domain.explaining import DECISIONS
from gateway.ports import Rendering

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:3rem auto;padding:0 1rem;color:#1c1c1c}"
    "h1{font-size:1.25rem;overflow-wrap:anywhere}dt{color:#666}dd{margin:0 0 .75rem;overflow-wrap:anywhere}"
    "code{font-size:.9rem}li{border-left:.3rem solid #b26b00;padding:.25rem .75rem;list-style:none}ul{padding:0}"
    "@media(prefers-color-scheme:dark){body{background:#1c1b1a;color:#eee}dt{color:#aaa}a{color:#9cf}}"
)
_STYLE_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_CSP: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", _CSP),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)


def file_url(public_url: str, artifact: Artifact) -> str:
    """Where the gateway serves the bytes of this very revision."""
    repo = artifact.repo
    return f"{public_url}/{repo.type.prefix}{repo.id}/resolve/{artifact.commit}/{quote(artifact.path)}"


def file_page(public_url: str, artifact: Artifact, sha256: str, decision: Decision) -> Rendering:
    """An allowed file: `sha256` is that of the bytes that were judged. Warnings of other files are not told here."""
    entry = artifact.entry
    why = html.escape(f"{public_url}{DECISIONS}{quote(decision.id, safe='')}")
    facts = [
        ("Repo", f"<code>{shown(str(artifact.repo))}</code>"),
        ("Revision", f"<code>{artifact.commit}</code>"),
        ("Size", f"{entry.size_bytes:,} bytes"),
        ("SHA-256", f"<code>{shown(sha256)}</code>"),
        ("Git id" + (" of the LFS pointer" if entry.is_lfs else ""), f"<code>{shown(entry.git_oid)}</code>"),
        ("Decision", f'{shown(decision.effect.value)}, <a href="{why}"><code>{shown(decision.id)}</code></a>'),
    ]
    link = html.escape(file_url(public_url, artifact))
    warnings = [w for w in decision.warnings if w.path in ("", artifact.path)]
    told = "".join(f"<li><code>{shown(w.rule)}</code>: {shown(w.message)} {shown(w.remedy)}</li>" for w in warnings)
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{shown(artifact.path)}</title><style>{_STYLE}</style></head><body>"
        f"<h1><bdi>{shown(artifact.path)}</bdi></h1>"
        f"<dl>{''.join(f'<dt>{name}</dt><dd>{value}</dd>' for name, value in facts)}</dl>"
        + (f"<h2>Warnings</h2><ul>{told}</ul>" if told else "")
        + f'<p><a href="{link}">Fetch this file</a></p></body></html>'
    )
    return Rendering(200, _HEADERS, body.encode())


def shown(text: str) -> str:
    """Escaped for HTML; what does not print is spelt as an escape."""
    return html.escape("".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text))
