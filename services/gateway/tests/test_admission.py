"""How many calls may be under way in one process."""

import asyncio
from types import SimpleNamespace
from typing import Any

import orjson
from gateway.auth.admission import MOST_AT_ONCE, Admission
from gateway.auth.schemas import Principal
from starlette.types import Message, Receive, Scope, Send


class OpenDoor:
    """Lets everybody in."""

    async def admit(self, _scope: Scope) -> tuple[Principal, None]:
        """Somebody without a limit."""
        return Principal("k", "tests", "default"), None


async def call(app: Admission, path: str) -> tuple[int, Any, dict[bytes, bytes]]:
    """Status, body and headers of one call."""
    messages: list[Message] = []
    services = SimpleNamespace(state=SimpleNamespace(services=SimpleNamespace(door=OpenDoor())))
    scope: Scope = {"type": "http", "path": path, "headers": [], "client": None, "app": services}

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, send)
    return messages[0]["status"], messages[1]["body"], dict(messages[0]["headers"])


async def test_more_calls_than_a_process_can_serve_are_503_at_once() -> None:
    release = asyncio.Event()

    async def slow(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/slow"):
            await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    app = Admission(slow)
    path = "/api/automation/slow"
    waiting = [asyncio.create_task(call(app, path)) for _ in range(MOST_AT_ONCE)]
    await asyncio.sleep(0)
    status, body, headers = await call(app, path)
    assert status == 503
    assert orjson.loads(body)["status"] == 503
    assert int(headers[b"retry-after"]) >= 1
    status, _, _ = await call(app, "/api/automation/health")
    assert status == 200, "health is asked all the same"
    release.set()
    assert {answer[0] for answer in await asyncio.gather(*waiting)} == {200}
    status, _, _ = await call(app, "/api/automation/quick")
    assert status == 200
