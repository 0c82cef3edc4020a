"""The calls of webhooks."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute
from gateway.bodies import read_model
from gateway.documents import gives, refusals, takes
from gateway.paging import Page
from gateway.repeats import REPEATABLE, SHOWN_ONCE
from gateway.replies import once_of, reply
from gateway.services import actor_of, services_of
from gateway.webhooks.schemas import (
    DeliveryAsked,
    DeliveryPage,
    DeliveryState,
    DeliveryView,
    Redelivery,
    RedeliveryAsked,
    SecretRotation,
    WebhookDraft,
    WebhookMade,
    WebhookPage,
    WebhookView,
)
from gateway.webhooks.service import WEBHOOK_PATH

router = APIRouter(prefix="/api/automation", tags=["Webhooks"], route_class=GuardedRoute)

WebhookId = Annotated[str, Path(alias="webhookId", description="The webhook's id.")]
DeliveryId = Annotated[str, Path(alias="deliveryId", description="The delivery's id.")]

_ID: Final = "0d3f6c1e-9a4b-4c55-8d27-6a1f0b2c3d4e"
_DELIVERY_ID: Final = "7b1c9d2e-3f40-4a51-b662-c7d8e9f0a1b2"
_DRAFT: Final = {
    "url": "https://hooks.example.com/mirsal",
    "eventTypes": ["run.succeeded", "run.failed"],
    "workflowIds": ["welcome"],
    "description": "the CRM",
    "enabled": True,
}
_VIEW: Final = {
    "webhookId": _ID,
    **_DRAFT,
    "disabledReason": None,
    "failingSince": None,
    "previousSecretUntil": None,
    "createdBy": "local",
    "createdAt": "2026-11-22T13:26:00Z",
    "updatedAt": "2026-11-22T13:26:00Z",
}
_MADE: Final = {**_VIEW, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="}
_DELIVERY: Final = {
    "deliveryId": _DELIVERY_ID,
    "messageId": "msg_7b1c9d2e3f404a51b662c7d8e9f0a1b2",
    "eventType": "run.succeeded",
    "runId": "01936f2e-8a00-7c11-9d3b-5f0c2a417e90",
    "workflowId": "welcome",
    "state": "delivered",
    "attempts": 1,
    "nextAttemptAt": None,
    "lastAttemptAt": "2026-11-22T13:26:01.200000Z",
    "lastStatus": 204,
    "lastError": None,
    "durationMs": 84,
    "occurredAt": "2026-11-22T13:26:00.800000Z",
    "createdAt": "2026-11-22T13:26:01.100000Z",
    "endedAt": "2026-11-22T13:26:01.300000Z",
    "data": {
        "runId": "01936f2e-8a00-7c11-9d3b-5f0c2a417e90",
        "workflowId": "welcome",
        "version": 1,
        "leadId": "ahmed",
        "status": "succeeded",
        "error": None,
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "createdAt": "2026-11-22T13:26:00+00:00",
        "endedAt": "2026-11-22T13:26:00.8+00:00",
    },
}
_LOCATION: Final = {"Location": "The delivery's path."}
_ASKED: Final = {
    "deliveryId": _DELIVERY_ID,
    "statusUrl": f"{WEBHOOK_PATH}{_ID}/delivery/{_DELIVERY_ID}",
}


@router.get(
    "/webhooks",
    summary="List webhooks",
    responses={200: gives(WebhookPage, {"items": [_VIEW], "nextCursor": None}), **refusals(422)},
)
async def list_webhooks(request: Request, page: Page) -> Response:
    return reply(await services_of(request).webhooks.list_webhooks(actor_of(request), page))


@router.post(
    "/webhooks",
    status_code=201,
    summary="Make a webhook",
    description="Its URL is sent a POST for each run that ends, or rests, as `eventTypes` say; "
    "signed as Standard Webhooks has it with the secret, which is shown in this answer and never "
    "again. An event may come twice, under the same `webhook-id`, and in any order.",
    openapi_extra={**takes(WebhookDraft, _DRAFT), "parameters": [SHOWN_ONCE]},
    responses={
        201: gives(WebhookMade, _MADE, headers={"Location": "The webhook's path."}),
        **refusals(408, 409, 413, 422),
    },
)
async def make_webhook(request: Request) -> Response:
    draft = await read_model(request, WebhookDraft)
    once = once_of(request, "make-webhook", draft.model_dump_json(by_alias=True).encode())
    made = await services_of(request).webhooks.make(actor_of(request), draft, once)
    return reply(made, 201, headers={"Location": WEBHOOK_PATH + made.webhook_id})


@router.get(
    "/webhook/{webhookId}",
    summary="Read a webhook",
    responses={200: gives(WebhookView, _VIEW), **refusals(404)},
)
async def read_webhook(request: Request, webhook_id: WebhookId) -> Response:
    return reply(await services_of(request).webhooks.read(actor_of(request), webhook_id))


@router.put(
    "/webhook/{webhookId}",
    summary="Change a webhook",
    description="All of it but the secret. `enabled` also lifts that it was disabled for failing; "
    "what happened while it was disabled is not told.",
    openapi_extra=takes(WebhookDraft, _DRAFT),
    responses={200: gives(WebhookView, _VIEW), **refusals(404, 408, 413, 422)},
)
async def save_webhook(request: Request, webhook_id: WebhookId) -> Response:
    draft = await read_model(request, WebhookDraft)
    return reply(await services_of(request).webhooks.save(actor_of(request), webhook_id, draft))


@router.delete(
    "/webhook/{webhookId}",
    summary="Remove a webhook",
    description="What was still to be sent to it is not.",
    responses={200: gives(WebhookView, _VIEW), **refusals(404)},
)
async def remove_webhook(request: Request, webhook_id: WebhookId) -> Response:
    return reply(await services_of(request).webhooks.remove(actor_of(request), webhook_id))


@router.post(
    "/webhook/{webhookId}/rotate",
    status_code=201,
    summary="Rotate a webhook's secret",
    description="For `overlapHours` each call is signed with both; a secret before the old one "
    "ends at once.",
    openapi_extra={**takes(SecretRotation, {"overlapHours": 24}), "parameters": [SHOWN_ONCE]},
    responses={
        201: gives(WebhookMade, {**_MADE, "previousSecretUntil": "2026-11-23T13:26:00Z"}),
        **refusals(404, 408, 409, 413, 422),
    },
)
async def rotate_webhook_secret(request: Request, webhook_id: WebhookId) -> Response:
    wanted = await read_model(request, SecretRotation)
    says = wanted.model_dump_json(by_alias=True).encode()
    once = once_of(request, "rotate-webhook", webhook_id.encode(), says)
    webhooks = services_of(request).webhooks
    return reply(await webhooks.rotate(actor_of(request), webhook_id, wanted, once), 201)


@router.post(
    "/webhook/{webhookId}/test",
    status_code=202,
    summary="Test a webhook",
    description="It is sent an event of the type `webhook.test` within seconds.",
    openapi_extra={"parameters": [REPEATABLE]},
    responses={202: gives(DeliveryAsked, _ASKED, headers=_LOCATION), **refusals(404, 409, 422)},
)
async def test_webhook(request: Request, webhook_id: WebhookId) -> Response:
    once = once_of(request, "test-webhook", webhook_id.encode())
    asked = await services_of(request).webhooks.test(actor_of(request), webhook_id, once)
    return reply(asked, 202, headers={"Location": asked.status_url})


@router.get(
    "/webhook/{webhookId}/deliveries",
    summary="List a webhook's deliveries",
    description="Those of the last 30 days. `dead` ones were tried for three days.",
    responses={
        200: gives(DeliveryPage, {"items": [_DELIVERY], "nextCursor": None}),
        **refusals(404, 422),
    },
)
async def list_deliveries(
    request: Request,
    webhook_id: WebhookId,
    page: Page,
    state: Annotated[DeliveryState | None, Query(description="In this state only.")] = None,
) -> Response:
    webhooks, caller = services_of(request).webhooks, actor_of(request)
    return reply(await webhooks.list_deliveries(caller, webhook_id, state, page))


@router.get(
    "/webhook/{webhookId}/delivery/{deliveryId}",
    summary="Read a delivery",
    responses={200: gives(DeliveryView, _DELIVERY), **refusals(404)},
)
async def read_delivery(
    request: Request, webhook_id: WebhookId, delivery_id: DeliveryId
) -> Response:
    webhooks, caller = services_of(request).webhooks, actor_of(request)
    return reply(await webhooks.read_delivery(caller, webhook_id, delivery_id))


@router.post(
    "/webhook/{webhookId}/delivery/{deliveryId}/redeliver",
    status_code=202,
    summary="Send a delivery again",
    description="Under the same `webhook-id`, whatever became of it before; the attempts begin "
    "anew.",
    openapi_extra={"parameters": [REPEATABLE]},
    responses={202: gives(DeliveryAsked, _ASKED, headers=_LOCATION), **refusals(404, 409, 422)},
)
async def redeliver(request: Request, webhook_id: WebhookId, delivery_id: DeliveryId) -> Response:
    webhooks, caller = services_of(request).webhooks, actor_of(request)
    once = once_of(request, "redeliver", webhook_id.encode(), delivery_id.encode())
    asked = await webhooks.redeliver(caller, webhook_id, delivery_id, once)
    return reply(asked, 202, headers={"Location": asked.status_url})


@router.post(
    "/webhook/{webhookId}/redeliver",
    status_code=202,
    summary="Send all dead deliveries again",
    description="Those that ended since a time.",
    openapi_extra={
        **takes(Redelivery, {"since": "2026-11-22T13:26:00Z"}),
        "parameters": [REPEATABLE],
    },
    responses={
        202: gives(RedeliveryAsked, {"deliveriesUrl": f"{WEBHOOK_PATH}{_ID}/deliveries"}),
        **refusals(404, 408, 409, 413, 422),
    },
)
async def redeliver_dead(request: Request, webhook_id: WebhookId) -> Response:
    wanted = await read_model(request, Redelivery)
    webhooks, caller = services_of(request).webhooks, actor_of(request)
    says = wanted.model_dump_json(by_alias=True).encode()
    once = once_of(request, "redeliver-dead", webhook_id.encode(), says)
    return reply(await webhooks.redeliver_dead(caller, webhook_id, wanted, once), 202)
