"""What a process says of itself over HTTP: /health, /ready and /metrics."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import orjson
import structlog
from aiohttp import web

from mirsal_runtime import metrics
from mirsal_runtime.exposition import expose
from mirsal_runtime.log_faults import name_fault
from mirsal_runtime.settings import RuntimeSettings

CHECK_SECONDS = 1.0
LAG_SECONDS = 0.25

log = structlog.get_logger(__name__)

Check: TypeAlias = Callable[[], Awaitable[str | None]]
"""Returns why it is not well, or None; what it raises counts as a reason."""

Liveness: TypeAlias = Callable[[], str | None]
"""The same without I/O: what only a restart of the process would cure."""


async def gather_reasons(
    checks: Mapping[str, Check], *, seconds: float = CHECK_SECONDS
) -> dict[str, str]:
    """Run all checks at once; the reasons of those that failed or took longer than `seconds`."""
    answers = await asyncio.gather(*(_reason(check, seconds) for check in checks.values()))
    return {name: reason for name, reason in zip(checks, answers, strict=True) if reason}


async def _reason(check: Check, seconds: float) -> str | None:
    try:
        async with asyncio.timeout(seconds):
            return await check()
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except Exception as error:  # noqa: BLE001 - whatever a check raises is its reason
        return name_fault(error)


class HealthServer:
    """Serves a process's health on `settings.health_host` and `health_port` (0: a free one).

    `alive` is asked by /health: answers 503 with its reason when the process should be
    restarted. /ready answers 200 only when every check passes within a second.
    """

    def __init__(
        self,
        settings: RuntimeSettings,
        *,
        checks: Mapping[str, Check],
        alive: Liveness = lambda: None,
    ) -> None:
        self._settings = settings
        self._checks = checks
        self._alive = alive
        self._runner: web.AppRunner | None = None
        self._lag: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen; the port. Raises `OSError` when the port is taken."""
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/metrics", self._metrics)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, self._settings.health_host, self._settings.health_port)
        await site.start()
        self._runner = runner
        self._lag = asyncio.create_task(_watch_loop())
        port: int = runner.addresses[0][1]
        log.info("health_listening", port=port)
        return port

    async def stop(self) -> None:
        """Stop listening."""
        if self._lag is not None:
            self._lag.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _health(self, _request: web.Request) -> web.Response:
        reason = self._alive()
        if reason:
            return _answer(503, {"status": "dead", "reason": reason})
        return _answer(200, {"status": "alive"})

    async def _ready(self, _request: web.Request) -> web.Response:
        reasons = await gather_reasons(self._checks)
        if reasons:
            return _answer(503, {"status": "not ready", "reasons": reasons})
        return _answer(200, {"status": "ready"})

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = expose(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})


def _answer(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


async def _watch_loop() -> None:
    while True:
        before = time.monotonic()
        await asyncio.sleep(LAG_SECONDS)
        metrics.LOOP_LAG.set(max(0.0, time.monotonic() - before - LAG_SECONDS))
