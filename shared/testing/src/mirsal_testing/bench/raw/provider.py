"""The bare provider: takes every message, and remembers when which one came."""

from __future__ import annotations

import asyncio
import time

import orjson
from aiohttp import web

from mirsal_testing.bench.raw.wire import MESSAGE_PATH


async def serve_provider(port: int) -> None:
    """Serve until cancelled.

    `GET /count` is the number of calls so far, `GET /calls?since=n` lists [time, text] of those
    after the first n.
    """
    calls: list[tuple[float, str]] = []
    answer = orjson.dumps(
        {
            "messaging_product": "whatsapp",
            "contacts": [{"input": "+201000000001", "wa_id": "201000000001"}],
            "messages": [{"id": "wamid.00000000000000000000000000000000"}],
        }
    )

    async def take(request: web.BaseRequest) -> web.Response:
        if request.path == MESSAGE_PATH:
            message = orjson.loads(await request.read())
            calls.append((time.time(), message["text"]["body"]))
            return web.Response(body=answer, content_type="application/json")
        if request.path == "/count":
            return web.Response(body=orjson.dumps(len(calls)), content_type="application/json")
        since = int(request.query["since"])
        return web.Response(body=orjson.dumps(calls[since:]), content_type="application/json")

    runner = web.ServerRunner(web.Server(take, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
