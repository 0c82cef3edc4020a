"""The REST client for tests keeps our clients' rule: a start is repeated under its own key."""

from __future__ import annotations

from aiohttp import web
from mirsal_testing.rest import RestClient


async def test_a_start_that_is_repeated_has_the_same_key() -> None:
    keys: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        keys.append(request.headers.get("idempotency-key"))
        if len(keys) % 2:
            return web.json_response({}, status=503, headers={"retry-after": "0"})
        return web.json_response({"runId": "r", "runIds": ["r"]}, status=202)

    app = web.Application()
    app.router.add_post("/api/automation/workflow/w/run", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with RestClient(f"http://127.0.0.1:{port}", "key") as client:
            await client.start_run("w", "lead")
            await client.start_runs("w", ["lead"])
            await client.start_run("w", "lead", key="mine")
    finally:
        await runner.cleanup()
    assert all(keys)
    assert keys[::2] == keys[1::2]
    assert len(set(keys)) == 3
    assert keys[-1] == "mine"
