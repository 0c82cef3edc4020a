"""What an endpoint is sent: body and headers of one attempt, by Standard Webhooks. Pure."""

from collections.abc import Mapping, Sequence

import orjson
from mirsal_runtime.webhook_secrets import sign

from webhook_worker.store import Delivery

USER_AGENT = "Mirsal-Webhooks/1"


def make_body(delivery: Delivery) -> bytes:
    """The same bytes at every attempt."""
    return orjson.dumps(
        {
            "type": delivery.event_type,
            "timestamp": delivery.occurred_at,
            "data": delivery.data,
        }
    )


def make_headers(
    delivery: Delivery, secrets: Sequence[str], body: bytes, timestamp: int
) -> Mapping[str, str]:
    """`timestamp` is the attempt's, in seconds since 1970; the id is the delivery's for ever."""
    message_id = f"msg_{delivery.id.hex}"
    return {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secrets, message_id, timestamp, body),
    }
