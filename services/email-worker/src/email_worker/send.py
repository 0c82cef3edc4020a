"""The effect: one e-mail."""

from datetime import UTC, datetime

from mirsal_runtime.attempt import Attempt
from mirsal_runtime.call_spans import calling

from email_worker.mailer import Mailer
from email_worker.message import build_mail
from email_worker.params import EmailParams, EmailResult

# Of the attempt's time, how much may pass before it has a connection: the rest is for the server.
WAITING_PART = 1 / 3


async def send_email(params: EmailParams, attempt: Attempt, mailer: Mailer) -> EmailResult:
    """Send one mail to all its recipients, or to none of them.

    The claim comes once the server has accepted every recipient: only the content is left.
    """
    mail = build_mail(
        params,
        sender=mailer.sender,
        command_id=attempt.command.command_id,
        now=datetime.now(UTC),
    )
    patience = attempt.command.timeout_seconds * WAITING_PART
    with calling("SMTP", attempt.traceparent, mailer.server):
        async with mailer.open_envelope(mail, patience=patience) as envelope:
            response = await envelope.write(await attempt.claim())
    return EmailResult(
        message_id=mail.message_id,
        accepted=tuple(recipient.address for recipient in mail.recipients),
        response=response,
    )
