"""One gateway process: REST on the shared port, health on its own."""

import asyncio

import structlog
from mirsal_runtime import telemetry
from mirsal_runtime.health import HealthServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.application import build_app
from gateway.health.endpoints import METRICS_PATH, read_metrics
from gateway.services import Services, open_services
from gateway.serving import listen, serve
from gateway.settings import GatewaySettings
from gateway.store import DatabaseUnavailable

log = structlog.get_logger(__name__)


async def main(stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raises `OSError` when a port is taken."""
    settings = GatewaySettings()
    telemetry.configure(settings, service="gateway")
    async with open_services(settings) as services:
        app = build_app(cors_origins=settings.cors_origins, with_metrics=settings.metrics_port == 0)
        app.state.services = services

        async def check_stopping() -> str | None:
            return "this process is stopping" if stop.is_set() else None

        checks = {**services.health.required, "process": check_stopping}
        health = HealthServer(settings, checks=checks)
        await health.start()
        try:
            sock = listen(settings.host, settings.port)
            log.info("gateway_listening", port=sock.getsockname()[1])
            async with asyncio.TaskGroup() as servers:
                servers.create_task(_let_go(services, stop))
                servers.create_task(
                    serve(app, sock, trusted_proxies=settings.trusted_proxies, stop=stop)
                )
                if settings.metrics_port:
                    metrics_sock = listen(settings.host, settings.metrics_port)
                    servers.create_task(
                        serve(_metrics_app(services), metrics_sock, trusted_proxies="", stop=stop)
                    )
        finally:
            await health.stop()


async def _let_go(services: Services, stop: asyncio.Event) -> None:
    """Whoever waits or has a stream open gets an end, which other calls then need not wait for."""
    await stop.wait()
    services.lookout.close()
    services.feed.close()


def _metrics_app(services: Services) -> Starlette:
    """The metrics alone, for a port that only Prometheus reaches."""
    app = Starlette(
        routes=[Route(METRICS_PATH, read_metrics), Route("/metrics", read_metrics)],
        exception_handlers={DatabaseUnavailable: _answer_unavailable},
    )
    app.state.services = services
    return app


async def _answer_unavailable(_request: Request, _error: Exception) -> Response:
    return Response("the database does not answer\n", 503, headers={"Retry-After": "5"})
