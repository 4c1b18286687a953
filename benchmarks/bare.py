"""The baseline of the hot path: an aiohttp Application with router and `web.Response` on uvloop, nothing else.

python -m benchmarks.bare LISTING.json    (path -> [headers, body in hex]); prints its URL
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import uvloop
from aiohttp import web


def application(files: dict[str, tuple[dict[str, str], bytes]]) -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        headers, body = files[request.path]
        return web.Response(headers=headers, body=body)

    app = web.Application()
    app.router.add_get("/{namespace}/{name}/resolve/{revision}/{path:.+}", answer)
    app.router.add_get("/health", answer)
    return app


async def main(listing: Path) -> None:
    loaded = json.loads(listing.read_text())
    files = {path: (headers, bytes.fromhex(body)) for path, (headers, body) in loaded.items()}
    runner = web.AppRunner(application(files), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
