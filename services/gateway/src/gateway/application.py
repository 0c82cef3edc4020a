"""The FastAPI application: routes, middleware, and errors as problem details."""

from typing import NoReturn

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.audit import endpoints as audit
from gateway.auth import endpoints as keys
from gateway.auth.access import methods_at
from gateway.auth.admission import Admission
from gateway.auth.guard import GuardedRoute
from gateway.controls import endpoints as controls
from gateway.credentials import endpoints as credentials
from gateway.docs_page import docs_router
from gateway.executions import code_endpoints as code
from gateway.executions import endpoints as executions
from gateway.frame import INTERNAL, Frame
from gateway.health import endpoints as health
from gateway.jobs import endpoints as jobs
from gateway.leads import endpoints as leads
from gateway.letters import endpoints as letters
from gateway.problems import Fault, Problem, invalid, unavailable
from gateway.runs import endpoints as runs
from gateway.runs import event_endpoints as events
from gateway.sending import endpoints as sending
from gateway.services import actor_of, caller_of, services_of
from gateway.shortcut import Answer, Shortcut
from gateway.store import DatabaseUnavailable
from gateway.webhooks import endpoints as webhooks
from gateway.workflows import endpoints as workflows

TITLE = "Mirsal"
VERSION = "1.0.0"
_EXPOSED = [
    "ETag",
    "Content-Disposition",
    "Location",
    "Retry-After",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "traceresponse",
    "trace-id",
]

_OFTEN = (
    runs.start_run,
    executions.send_email,
    executions.send_whatsapp,
    executions.read_execution,
    runs.read_run,
)

_DENIED = 403

log = structlog.get_logger(__name__)


class Application(FastAPI):
    """FastAPI within layers of the gateway's own, which see every request first."""

    layers: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope["app"] = self
        await self.layers(scope, receive, send)


def build_app(*, cors_origins: tuple[str, ...] = (), with_metrics: bool = True) -> Application:
    """The application; whoever serves it sets `app.state.services` first."""
    app = Application(
        title=TITLE,
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        # Its own would record what callers sent; `mirsal_runtime.telemetry` does not.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    routers = [runs.router, events.router, controls.router, executions.router, code.router]
    routers += [workflows.router, leads.router, letters.router, webhooks.router, keys.router]
    routers += [jobs.router, audit.router, credentials.router, sending.router]
    routers += [health.router, docs_router]
    if with_metrics:
        routers.append(health.metrics_router)
    for router in routers:
        include_guarded(app, router)
    for kind, answer in _ANSWERS.items():
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(Exception, _answer_internal)
    routes = [*runs.router.routes, *executions.router.routes]
    often = [each for each in routes if isinstance(each, APIRoute) and each.endpoint in _OFTEN]
    served = Shortcut(super(Application, app).__call__, often, _ANSWERS)
    app.layers = _frame(Admission(served), cors_origins)
    return app


def include_guarded(app: FastAPI, router: APIRouter) -> None:
    """Add the router's routes. Raises `TypeError` for one that the table of access cannot guard."""
    for route in router.routes:
        if not isinstance(route, GuardedRoute):
            raise TypeError(f"{route!r} is not a GuardedRoute: it would be open to everybody")
    app.include_router(router)


def _frame(app: ASGIApp, cors_origins: tuple[str, ...]) -> ASGIApp:
    if cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=cors_origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=[
                "x-api-key",
                "authorization",
                "content-type",
                "idempotency-key",
                "if-match",
                "if-none-match",
                "last-event-id",
                "traceparent",
            ],
            expose_headers=_EXPOSED,
        )
    return Frame(app)


async def _answer_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        _fail(error)
    if error.status == _DENIED:
        route = f"{request.method} {request.scope['route'].path}"
        services_of(request).trail.tell_refusal(actor_of(request), route)
    return error.to_response()


async def _answer_unavailable(_request: Request, error: Exception) -> Response:
    log.warning("database_unavailable", error=error)
    return unavailable("The database does not answer at the moment.").to_response()


async def _answer_invalid(request: Request, error: Exception) -> Response:
    """422 for parameters, but 403 first where the path names a workflow (which a PUT may make)."""
    if not isinstance(error, RequestValidationError):
        _fail(error)
    workflow_id = request.path_params.get("workflowId")
    if workflow_id is not None and request.method != "PUT":
        try:
            await services_of(request).workflows.require(caller_of(request), workflow_id)
        except Problem as problem:
            return await _answer_problem(request, problem)
        except DatabaseUnavailable as away:
            return await _answer_unavailable(request, away)
    faults = [Fault(each["msg"], parameter=str(each["loc"][-1])) for each in error.errors()]
    return invalid(faults).to_response()


async def _answer_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        _fail(error)
    kinds = {404: "not-found", 405: "method-not-allowed"}
    titles = {404: "Not found", 405: "Method not allowed"}
    title = titles.get(error.status_code, "Refused")
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # Each method has a route of its own, which knows of no other.
        headers["Allow"] = ", ".join(methods_at(request.url.path))
    return Problem(
        error.status_code,
        kinds.get(error.status_code, "refused"),
        title,
        "There is nothing at this path: /docs lists all calls."
        if error.status_code == 404
        else str(error.detail),
        headers=headers,
    ).to_response()


def _fail(error: Exception) -> NoReturn:
    raise TypeError(f"no answer for {type(error).__name__}") from error


async def _answer_internal(_request: Request, _error: Exception) -> Response:
    return INTERNAL.to_response()


_ANSWERS: dict[type[Exception], Answer] = {
    Problem: _answer_problem,
    DatabaseUnavailable: _answer_unavailable,
    RequestValidationError: _answer_invalid,
    HTTPException: _answer_http_error,
}
