"""The shortcut serves as FastAPI would: same routes, same refusals, and nothing that it cannot."""

from typing import Annotated

import pytest
from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from gateway import application
from gateway.application import build_app
from gateway.shortcut import Shortcut
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

router = APIRouter()


@router.get("/filtered")
async def read_filtered(request: Request, color: Annotated[str, Query()]) -> Response:
    return Response(color)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("not to be reached")


def test_route_that_needs_fastapi_is_refused() -> None:
    (route,) = router.routes
    assert isinstance(route, APIRoute)
    with pytest.raises(TypeError, match="/filtered"):
        Shortcut(refuse, [route], {})


def test_every_endpoint_under_load_has_a_way() -> None:
    layers = build_app().layers
    shortcut = layers._app._app  # type: ignore[attr-defined] # within Frame and Admission
    assert isinstance(shortcut, Shortcut)
    served = {way.endpoint for ways in shortcut._ways.values() for way in ways}
    assert served == set(application._OFTEN)
