"""What callers may do with the webhook endpoints of their workspace."""

from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from mirsal_contracts.message import JsonObject
from mirsal_runtime.outbound_rules import AddressRefused, OutboundRules
from mirsal_runtime.webhook_secrets import SecretSealer, SecretUnreadable, make_secret

from gateway.audit.entries import Action, Entry
from gateway.audit.masking import find_changes, mask
from gateway.audit.origins import origin_of
from gateway.auth.schemas import Principal
from gateway.paging import Asked, Cursor, cut_page
from gateway.problems import Fault, access_denied, conflict, invalid, not_found, unavailable
from gateway.repeats import Once, Repeated, shown_already
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
from gateway.webhooks.store import MOST_ENDPOINTS, EndpointRow, WebhookStore, Wish

WEBHOOK_PATH = "/api/automation/webhook/"


class Webhooks:
    """Raises `Problem`. Who is held to some workflows sees endpoints of these alone."""

    def __init__(self, store: WebhookStore, rules: OutboundRules, sealer: SecretSealer) -> None:
        self._store = store
        self._rules = rules
        self._sealer = sealer

    async def make(self, caller: Principal, draft: WebhookDraft, once: Once) -> WebhookMade:
        """A new endpoint, with the secret that is shown this once."""
        self._check(caller, draft)
        endpoint_id, secret = once.id, make_secret()
        sealed = await self._seal(secret, caller, endpoint_id)
        entry = Entry(
            origin_of(caller), Action.WEBHOOK_MADE, str(endpoint_id), None, _told(_wanted(draft))
        )
        try:
            added = await self._store.add(draft, sealed, entry, once)
        except Repeated as repeated:
            raise shown_already(f"{WEBHOOK_PATH}{repeated.id}") from None
        if not added:
            raise conflict(f"A workspace may have {MOST_ENDPOINTS} webhooks.")
        return _made(await self._find(caller, str(endpoint_id)), secret)

    async def list_webhooks(self, caller: Principal, asked: Asked) -> WebhookPage:
        """A page of endpoints."""
        rows = await self._store.list_endpoints(caller.workspace, caller.workflow_ids, asked)
        page, cursor = cut_page(rows, asked.limit, lambda row: Cursor(row.created_at, str(row.id)))
        return WebhookPage(items=[_view(row) for row in page], next_cursor=cursor)

    async def read(self, caller: Principal, webhook_id: str) -> WebhookView:
        """One endpoint."""
        return _view(await self._find(caller, webhook_id))

    async def save(self, caller: Principal, webhook_id: str, draft: WebhookDraft) -> WebhookView:
        """The endpoint as it is wanted."""
        old = await self._find(caller, webhook_id)
        self._check(caller, draft)
        before, after = find_changes(_standing(old), _wanted(draft))
        entry = None
        if after:
            origin = origin_of(caller)
            entry = Entry(origin, Action.WEBHOOK_SAVED, str(old.id), _told(before), _told(after))
        saved = await self._store.save(
            caller.workspace, old.id, draft, entry, revive=old.was_disabled
        )
        if not saved:
            raise _missing()
        return await self.read(caller, webhook_id)

    async def remove(self, caller: Principal, webhook_id: str) -> WebhookView:
        """The endpoint as it was."""
        old = await self._find(caller, webhook_id)
        before = _told(_standing(old))
        entry = Entry(origin_of(caller), Action.WEBHOOK_REMOVED, str(old.id), before)
        if not await self._store.remove(old.id, entry):
            raise _missing()
        return _view(old)

    async def rotate(
        self, caller: Principal, webhook_id: str, wanted: SecretRotation, once: Once
    ) -> WebhookMade:
        """A new secret; the old one signs beside it for a while."""
        old, secret = await self._find(caller, webhook_id), make_secret()
        sealed = await self._seal(secret, caller, old.id)
        overlap = timedelta(hours=wanted.overlap_hours)
        after: JsonObject = {"overlapHours": wanted.overlap_hours}
        entry = Entry(origin_of(caller), Action.WEBHOOK_ROTATED, str(old.id), None, after)
        try:
            rotated = await self._store.rotate(old.id, sealed, overlap, entry, once)
        except Repeated:
            raise shown_already(f"{WEBHOOK_PATH}{old.id}") from None
        if not rotated:
            raise _missing()
        return _made(await self._find(caller, webhook_id), secret)

    async def test(self, caller: Principal, webhook_id: str, once: Once) -> DeliveryAsked:
        """Have the endpoint called with an event of the type `webhook.test`."""
        endpoint = await self._find_enabled(caller, webhook_id)
        wish = Wish(once.id, caller.workspace, endpoint.id, "test")
        entry = Entry(origin_of(caller), Action.WEBHOOK_TESTED, str(endpoint.id))
        return _asked(endpoint, await self._store.wish(wish, entry, once))

    async def list_deliveries(
        self,
        caller: Principal,
        webhook_id: str,
        state: DeliveryState | None,
        asked: Asked,
    ) -> DeliveryPage:
        """A page of an endpoint's deliveries."""
        endpoint = await self._find(caller, webhook_id)
        rows = await self._store.list_deliveries(caller.workspace, endpoint.id, state, asked)
        page, cursor = cut_page(
            rows, asked.limit, lambda row: Cursor(row["created_at"], str(row["id"]))
        )
        return DeliveryPage(items=[_delivery(row) for row in page], next_cursor=cursor)

    async def read_delivery(
        self, caller: Principal, webhook_id: str, delivery_id: str
    ) -> DeliveryView:
        """One delivery."""
        endpoint = await self._find(caller, webhook_id)
        wanted = _id_in(delivery_id)
        row = None
        if wanted is not None:
            row = await self._store.read_delivery(caller.workspace, endpoint.id, wanted)
        if row is None:
            raise not_found("There is no such delivery.")
        return _delivery(row)

    async def redeliver(
        self, caller: Principal, webhook_id: str, delivery_id: str, once: Once
    ) -> DeliveryAsked:
        """Have one delivery made again, under the same message id."""
        delivery = await self.read_delivery(caller, webhook_id, delivery_id)
        endpoint = await self._find_enabled(caller, webhook_id)
        wanted = UUID(delivery.delivery_id)
        after: JsonObject = {"deliveryId": delivery.delivery_id}
        await self._store.wish(
            Wish(once.id, caller.workspace, endpoint.id, "redeliver", delivery_id=wanted),
            Entry(origin_of(caller), Action.WEBHOOK_REDELIVERED, str(endpoint.id), None, after),
            once,
        )
        return _asked(endpoint, wanted)

    async def redeliver_dead(
        self, caller: Principal, webhook_id: str, wanted: Redelivery, once: Once
    ) -> RedeliveryAsked:
        """Have all deliveries made again that are dead since a time."""
        endpoint = await self._find_enabled(caller, webhook_id)
        try:
            since = wanted.since.astimezone(UTC)
        except OverflowError as error:
            raise invalid([Fault("is outside the years 1 to 9999 of UTC", "/since")]) from error
        after: JsonObject = {"since": since.isoformat()}
        await self._store.wish(
            Wish(once.id, caller.workspace, endpoint.id, "redeliver_dead", since=since),
            Entry(origin_of(caller), Action.WEBHOOK_REDELIVERED, str(endpoint.id), None, after),
            once,
        )
        return RedeliveryAsked(deliveries_url=f"{WEBHOOK_PATH}{endpoint.id}/deliveries")

    def _check(self, caller: Principal, draft: WebhookDraft) -> None:
        """Raises for a URL that is never called, and for workflows that are not the caller's."""
        try:
            self._rules.read_url(draft.url)
        except AddressRefused as error:
            raise invalid([Fault(str(error), "/url")]) from error
        if not _covers(caller, draft.workflow_ids):
            raise access_denied()

    async def _seal(self, secret: str, caller: Principal, endpoint_id: UUID) -> bytes:
        try:
            return await self._sealer.seal(secret, caller.workspace, endpoint_id)
        except SecretUnreadable as error:
            raise unavailable("This installation has no key for webhooks' secrets.") from error

    async def _find(self, caller: Principal, webhook_id: str) -> EndpointRow:
        wanted = _id_in(webhook_id)
        row = None if wanted is None else await self._store.read(caller.workspace, wanted)
        if row is None or not _covers(caller, row.workflow_ids):
            raise _missing()
        return row

    async def _find_enabled(self, caller: Principal, webhook_id: str) -> EndpointRow:
        row = await self._find(caller, webhook_id)
        if not row.is_enabled or row.was_disabled:
            raise conflict("The webhook is disabled: enable it first.")
        return row


def _covers(caller: Principal, workflow_ids: list[str] | None) -> bool:
    if caller.workflow_ids is None:
        return True
    return workflow_ids is not None and caller.workflow_ids.issuperset(workflow_ids)


def _standing(row: EndpointRow) -> JsonObject:
    """What a draft could change, as it is."""
    return {
        "url": row.url,
        "eventTypes": [*row.event_types],
        "workflowIds": None if row.workflow_ids is None else [*row.workflow_ids],
        "description": row.description,
        "enabled": row.is_enabled and not row.was_disabled,
    }


def _wanted(draft: WebhookDraft) -> JsonObject:
    """What a draft says; as `_standing`."""
    said: JsonObject = draft.model_dump(mode="json", by_alias=True)
    return said


def _told(members: JsonObject) -> JsonObject:
    """As the audit log has it: of a URL the host, since the rest may let in."""
    told = {**members, "description": mask(members.get("description"))}
    if "url" in members:
        told["url"] = urlsplit(str(members["url"])).netloc
    return {name: told[name] for name in members}


def _missing() -> Exception:
    return not_found("There is no such webhook.")


def _view(row: EndpointRow) -> WebhookView:
    return WebhookView(**_members_of(row))


def _made(row: EndpointRow, secret: str) -> WebhookMade:
    return WebhookMade(**_members_of(row), secret=secret)


def _members_of(row: EndpointRow) -> dict[str, Any]:
    reason = (row.reason or "it failed for too long") if row.was_disabled else None
    return {
        "webhook_id": str(row.id),
        "url": row.url,
        "event_types": row.event_types,
        "workflow_ids": row.workflow_ids,
        "description": row.description,
        "enabled": row.is_enabled and not row.was_disabled,
        "disabled_reason": reason,
        "failing_since": row.failing_since,
        "previous_secret_until": row.previous_until,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _delivery(row: Mapping[str, Any]) -> DeliveryView:
    members = dict(row)
    delivery_id: UUID = members.pop("id")
    return DeliveryView(
        delivery_id=str(delivery_id),
        message_id=f"msg_{delivery_id.hex}",
        run_id=None if members["run_id"] is None else str(members.pop("run_id")),
        next_attempt_at=members.pop("next_at"),
        **{name: value for name, value in members.items() if name != "run_id"},
    )


def _asked(endpoint: EndpointRow, delivery_id: UUID) -> DeliveryAsked:
    path = f"{WEBHOOK_PATH}{endpoint.id}/delivery/{delivery_id}"
    return DeliveryAsked(delivery_id=str(delivery_id), status_url=path)


def _id_in(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
