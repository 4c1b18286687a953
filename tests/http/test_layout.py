"""The frame of the gateway's pages: the browser is allowed one style sheet, by its hash, and nothing else."""

import base64
import hashlib
import re

from gateway.http.layout import page, rows


def test_the_policy_names_the_very_style_sheet_that_the_page_holds():
    rendering = page(200, "<title>", "text & more")
    (style,) = re.findall(r"<style>(.*?)</style>", rendering.body.decode(), re.DOTALL)
    wanted = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{wanted}';" in dict(rendering.headers)["Content-Security-Policy"]
    assert b"<title>&lt;title&gt;</title>" in rendering.body
    assert b"text &amp; more" in rendering.body


def test_the_style_sheet_loads_nothing_and_knows_the_dark():
    style = page(200, "x").body.decode()
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme:dark" in style


def test_no_page_is_kept_framed_or_named_to_others():
    headers = dict(page(200, "x").headers)
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"


def test_what_is_not_known_has_no_row():
    assert rows(("a", ""), ("b", "<1>")) == "<dl><dt>b</dt><dd>&lt;1&gt;</dd></dl>"
