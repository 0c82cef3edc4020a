"""The bare front: a POST becomes an acknowledged Kafka message and a 202."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import orjson
from aiohttp import web

from mirsal_testing.bench.raw.clients import make_producer
from mirsal_testing.bench.raw.wire import request_letter, topics_of


async def serve_front(name: str, kafka: str, port: int, *, provider: bool) -> None:
    """Serve until cancelled."""
    topic = topics_of(name).requests
    letter = request_letter(provider=provider)
    producer = make_producer(kafka)
    await producer.start()

    async def accept(request: web.BaseRequest) -> web.Response:
        orjson.loads(await request.read())
        run_id = str(uuid4())
        value, headers = letter.write(run_id.encode())
        await producer.send_and_wait(topic, value=value, key=run_id.encode(), headers=headers)
        return web.Response(
            body=orjson.dumps({"runId": run_id}), status=202, content_type="application/json"
        )

    runner = web.ServerRunner(web.Server(accept, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        await asyncio.Event().wait()
    finally:
        await producer.stop()
        await runner.cleanup()
