"""Routes that ask the table of access before anything else of the request is looked at."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope as Connection

from gateway.auth.access import OF_ALL_WORKFLOWS, Scope, scope_of
from gateway.problems import access_denied
from gateway.query_names import check_query, find_query_names

if TYPE_CHECKING:
    from gateway.auth.schemas import Principal

PRINCIPAL = "principal"


class GuardedRoute(APIRoute):
    """A route of the table. Raises `LookupError` when it is made without an entry there."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        (method,) = options.get("methods") or ("GET",)
        self.needs = scope_of((method, path))
        # What generated clients call it by.
        options["operation_id"] = to_camel(endpoint.__name__)
        super().__init__(path, endpoint, **options)
        self.query_names = find_query_names(self)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler behind the check."""
        serve = super().get_route_handler()

        async def serve_if_allowed(request: Request) -> Response:
            self.check(request.scope)
            return await serve(request)

        return serve_if_allowed

    def check(self, connection: Connection) -> None:
        """Raises the 403 `Problem` unless the caller may call this, and `RequestValidationError`
        for a query parameter that it does not have.

        Open routes take whatever probes, scrapers and bookmarks put behind them: they have no
        parameter that a misspelled one could stand for.
        """
        if self.needs is not None:
            _check_access(connection, self.needs)
            if connection["query_string"]:
                check_query(connection["query_string"], self.query_names)


def _check_access(connection: Connection, needs: Scope) -> None:
    """Raises the 403 `Problem` unless the caller has the scope, and the workflow of the path."""
    principal: Principal = connection["state"][PRINCIPAL]
    if needs not in principal.scopes:
        raise access_denied()
    if principal.workflow_ids is not None:
        if needs in OF_ALL_WORKFLOWS:
            raise access_denied()
        workflow_id = connection["path_params"].get("workflowId")
        if workflow_id is not None and workflow_id not in principal.workflow_ids:
            raise access_denied()
