"""The four calls that need no key."""

from fastapi import APIRouter
from mirsal_contracts.topics import COMMANDS
from mirsal_runtime.exposition import OPEN_METRICS
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute
from gateway.documents import bare_refusals, gives
from gateway.health.schemas import Liveness, QueueStatus, Readiness
from gateway.replies import reply
from gateway.services import services_of

METRICS_PATH = "/api/automation/metrics"
_DEPENDENCIES = {
    "postgres": {"status": "up", "required": True, "reason": None},
    "kafka": {"status": "up", "required": True, "reason": None},
    "redis": {"status": "up", "required": False, "reason": None},
}
_FILLING = {
    "depth": 1200,
    "lag": 3,
    "oldestSeconds": 0.5,
    "inPerSecond": 41.2,
    "outPerSecond": 41.5,
    "secondsToDrain": 10.0,
}
_DOWN = {
    **_DEPENDENCIES,
    "kafka": {"status": "down", "required": True, "reason": "Kafka does not answer"},
}

router = APIRouter(tags=["Health"], route_class=GuardedRoute)
metrics_router = APIRouter(tags=["Health"], route_class=GuardedRoute)


@router.get(
    "/api/health",
    summary="Whether the process lives",
    responses={200: gives(Liveness, {"status": "alive"})},
)
async def read_liveness() -> Response:
    return reply(Liveness())


@router.get(
    "/api/automation/health",
    summary="Whether calls can be served",
    responses={
        200: gives(Readiness, {"status": "ready", "dependencies": _DEPENDENCIES}),
        503: gives(Readiness, {"status": "not ready", "dependencies": _DOWN}),
    },
)
async def read_readiness(request: Request) -> Response:
    readiness = await services_of(request).health.readiness()
    return reply(readiness, 200 if readiness.status == "ready" else 503)


@router.get(
    "/api/automation/queue/status",
    summary="How full the queues are",
    description="At most 3 seconds old.",
    responses={
        200: gives(
            QueueStatus,
            {
                "queueSize": 3,
                "topics": [
                    {
                        "topic": COMMANDS["email"].name,
                        "group": "email-worker",
                        "partitions": 8,
                        **_FILLING,
                    }
                ],
                "connectors": [{"connector": "email", **_FILLING}],
                "deadLetters": 1,
                "deadLettersOf": {"email": 1},
                "observedAt": "2026-11-22T13:26:00Z",
            },
        ),
        **bare_refusals(503),
    },
)
async def read_queue_status(request: Request) -> Response:
    return reply(await services_of(request).health.queue_status())


@metrics_router.get(
    METRICS_PATH,
    summary="The platform's metrics",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus' text format, or OpenMetrics where `Accept` asks for it.",
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                OPEN_METRICS.partition(";")[0]: {
                    "schema": {"type": "string"},
                    "example": "automation_queue_size 3.0\n# EOF\n",
                },
            },
        },
        **bare_refusals(503),
    },
)
async def read_metrics(request: Request) -> Response:
    accept = request.headers.get("accept", "")
    text, content_type = await services_of(request).health.metrics_text(accept)
    return Response(text, headers={"Content-Type": content_type})
