"""A page for people: a refusal opened in a browser says its reason, where a client would read a header (P9)."""

from __future__ import annotations

from aiohttp import web

from gateway.domain.explaining import OWN_PAGES
from gateway.http import layout
from gateway.http.markup import el
from gateway.ports import Rendering

_TITLES = {
    401: "Who are you?",
    403: "Not allowed",
    404: "Not here",
    429: "Not yet",
    502: "The hub has trouble",
    504: "The hub is too slow",
}
_ABOUT = (
    "This gateway judges models and datasets before anyone fetches them. The decision is on record; give its id, "
    "or the request id in the headers of this answer, to those who run the gateway."
)


def wants_page(request: web.BaseRequest) -> bool:
    """Does a browser ask? Only those name `text/html` in Accept; every client of the hub says `*/*` or JSON."""
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


def refusal_page(rendering: Rendering, reason: str, base: str = "") -> Rendering:
    """The same refusal with a page as its body; status and the other headers stay.

    A link to a page of the gateway at `base` (its public URL), which ends the reason, can be followed.
    """
    title = _TITLES.get(rendering.status, "Refused")
    text, see, link = reason.rpartition(" See ")
    if not (base and see and link.startswith(base + OWN_PAGES)):
        text, link = reason, ""
    more = (el("p", el("a", "What was decided, and why", href=link)),) if link else ()
    page = layout.page(
        rendering.status, title, el("h1", title), el("p", text, class_="box deny"), *more, el("p", _ABOUT, class_="dim")
    )
    own = {name.lower() for name, _ in page.headers} | {"content-length"}
    kept = tuple(header for header in rendering.headers if header[0].lower() not in own)
    return Rendering(rendering.status, (*kept, *page.headers), page.body)
