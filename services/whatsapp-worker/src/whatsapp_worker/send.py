"""The effect: one WhatsApp message."""

from mirsal_runtime.attempt import Attempt
from mirsal_runtime.failures import PermanentError

from whatsapp_worker.cloud_api import CloudApi
from whatsapp_worker.message import build_message
from whatsapp_worker.params import WhatsAppParams, WhatsAppResult
from whatsapp_worker.phone import normalise_phone


async def send_whatsapp(params: WhatsAppParams, attempt: Attempt, api: CloudApi) -> WhatsAppResult:
    """Send one message. The claim is made by `api` once it has a connection in hand."""
    if params.to is None:
        raise PermanentError("missing_recipient", "the lead has no phone number: give `to`")
    to = normalise_phone(params.to, api.default_region)
    message = build_message(params, to=to, command_id=attempt.command.command_id)
    accepted = await api.post_message(message, attempt)
    return WhatsAppResult(message_id=accepted.message_id, to=accepted.wa_id or to)
