"""The routes under most load, without the steps that FastAPI takes for any request.

FastAPI stays their one source: path, method, endpoint and parameters are read from its routes, and
whatever is not one of them goes on to it. In a burst of `make bench` this takes a fifth off the
gateway's CPU time (docs/PERFORMANCE.md).
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.guard import GuardedRoute

Answer: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]


class _Way(NamedTuple):
    """One route. `names` are the endpoint's names for what the path holds, by the path's own."""

    route: GuardedRoute
    path: re.Pattern[str]
    endpoint: Callable[..., Awaitable[Response]]
    names: Mapping[str, str]


class Shortcut:
    """Serves `routes` itself and all else by `app`. `answers` are for what endpoints raise.

    Raises `TypeError` for a route that takes more than a request and texts from its path.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Iterable[APIRoute],
        answers: Mapping[type[Exception], Answer],
    ) -> None:
        self._app = app
        self._ways: dict[str, list[_Way]] = {}
        for route in routes:
            for method in route.methods or ():
                self._ways.setdefault(method, []).append(_way_of(route))
        self._answers = dict(answers)
        self._raised = tuple(answers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path: str = scope["path"]
        for way in self._ways.get(scope["method"], ()):
            match = way.path.match(path)
            if match is not None:
                await self._serve(way, match.groupdict(), scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _serve(
        self, way: _Way, found: dict[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        scope["route"], scope["path_params"] = way.route, found
        request = Request(scope, receive, send)
        given = {way.names[name]: value for name, value in found.items()}
        try:
            way.route.check(scope)
            response = await way.endpoint(request, **given)
        except self._raised as error:
            kind = next(each for each in self._raised if isinstance(error, each))
            response = await self._answers[kind](request, error)
        await response(scope, receive, send)


def _way_of(route: APIRoute) -> _Way:
    if not isinstance(route, GuardedRoute):
        raise TypeError(f"{route.path} is not in the table of access")
    wants: Any = route.dependant
    others = (wants.query_params, wants.header_params, wants.cookie_params, wants.body_params)
    fields = wants.path_params
    plain = all(
        field.field_info.annotation is str and not field.field_info.metadata for field in fields
    )
    if any(others) or wants.dependencies or not plain or wants.request_param_name != "request":
        raise TypeError(f"{route.path} needs FastAPI's own steps")
    return _Way(
        route, route.path_regex, route.endpoint, {field.alias: field.name for field in fields}
    )
