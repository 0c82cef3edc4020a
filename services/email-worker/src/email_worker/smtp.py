"""The steps of SMTP: connect, have a mail's recipients accepted, write its content.

Connections are kept and lent by `mailer.py`; when a mail may be written is decided in `send.py`.
"""

import asyncio
import ssl

from aiosmtplib import SMTP, SMTPException, SMTPHeloError, SMTPResponseException
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
)
from mirsal_runtime.public_addresses import NotPublic, connect_public

from email_worker.message import Mail
from email_worker.replies import Stage, failure_of, readable
from email_worker.settings import DEFAULT_PORTS, SmtpSettings

GO_AHEAD, REFUSED = 354, 400
NOT_KNOWN = frozenset({500, 502, 504})


async def connect(settings: SmtpSettings, tls: ssl.SSLContext | None) -> SMTP:
    """A connection that has said EHLO, speaks TLS and is logged in, as the settings ask.

    Raises `RetryableError` if the server cannot be reached, `ActionRequired` if it cannot do
    what the settings ask, and what its refusal means.
    """
    connection = SMTP(
        hostname=settings.host,
        use_tls=settings.tls == "tls",
        start_tls=False,
        tls_context=tls,
        timeout=settings.command_seconds,
        local_hostname=settings.sender.address.rpartition("@")[2],
    )
    stage = Stage.CONNECT
    port = settings.port or DEFAULT_PORTS[settings.tls]
    try:
        async with asyncio.timeout(settings.connect_seconds):
            if settings.public_only:
                sock = await connect_public(settings.host, port)
                await connection.connect(sock=sock)
            else:
                await connection.connect(port=port)
            await _greet(connection)
            if settings.tls == "starttls":
                await _start_tls(connection, settings)
            if settings.username:
                stage = Stage.LOGIN
                await _log_in(connection, settings)
    except SMTPResponseException as error:
        connection.close()
        # Without its cause: a server may repeat what it was sent, and that was a password.
        raise _refusal(stage, error, settings) from None
    except NotPublic as error:
        connection.close()
        raise ActionRequired(
            "smtp_address_refused", f"mail server {settings.host}: {error}"
        ) from None
    except (SMTPException, OSError) as error:
        connection.close()
        raise _unreachable(error, settings) from error
    except BaseException:
        connection.close()
        raise
    return connection


async def address(connection: SMTP, settings: SmtpSettings, mail: Mail) -> None:
    """MAIL and RCPT: have the sender and all recipients accepted.

    One refused recipient refuses the mail, and the error names the member of the config. Raises
    what the refusal means, or `RetryableError`; a connection that is dead then is closed.
    """
    options = _options_for(connection, mail)
    stage, field = Stage.SENDER, ""
    try:
        await connection.mail(mail.sender, options=options)
        stage = Stage.RECIPIENT
        for recipient in mail.recipients:
            field = recipient.field
            await connection.rcpt(recipient.address, encoding="utf-8")
    except SMTPResponseException as error:
        if error.code < REFUSED:
            connection.close()
        raise _refusal(stage, error, settings, field) from error
    except SMTPException as error:
        raise RetryableError("smtp_disconnected", f"no answer at {stage.value}: {error}") from error


async def write(connection: SMTP, content: bytes, seconds: float) -> str:
    """DATA, the content, and the server's last reply, which is returned.

    Raises `RetryableError` if the connection broke before the first byte of the content,
    `OutcomeUnknown` if it broke, or `seconds` passed, after it, and what a refusal means.
    """
    begun = False
    try:
        async with asyncio.timeout(seconds):
            reply = await connection.execute_command(b"DATA", timeout=None)
            protocol = connection.protocol
            if reply.code == GO_AHEAD and protocol is not None:
                protocol.write(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
                begun = True
                reply = await protocol.read_response()
    except (SMTPException, TimeoutError) as error:
        connection.close()
        if begun:
            raise OutcomeUnknown(
                "smtp_no_last_reply", f"the mail was written, its last reply not read: {error!r}"
            ) from error
        raise RetryableError("smtp_disconnected", f"no answer to DATA: {error!r}") from error
    if reply.code >= REFUSED:
        raise failure_of(Stage.CONTENT, reply.code, reply.message)
    if begun and reply.code // 100 == 2:
        return f"{reply.code} {readable(reply.message)}".strip()
    connection.close()
    if begun:
        raise OutcomeUnknown("smtp_no_last_reply", f"a last reply without sense: {reply.code}")
    raise RetryableError("smtp_protocol", f"DATA was answered with {reply.code}")


async def _greet(connection: SMTP) -> None:
    """EHLO; HELO for a server that does not know it (RFC 5321, 3.2)."""
    try:
        await connection.ehlo()
    except SMTPHeloError as error:
        if error.code not in NOT_KNOWN:
            raise
        await connection.helo()


async def _start_tls(connection: SMTP, settings: SmtpSettings) -> None:
    if not connection.supports_extension("starttls"):
        raise ActionRequired(
            "smtp_tls_unavailable",
            f"the mail server offers no STARTTLS: correct {settings.point_to('TLS')}",
        )
    await connection.starttls()
    await connection.ehlo()


async def _log_in(connection: SMTP, settings: SmtpSettings) -> None:
    if not connection.supported_auth_methods:
        raise ActionRequired(
            "smtp_login_unavailable",
            "the mail server offers no login that we know: correct "
            + settings.point_to("USERNAME", "TLS"),
        )
    await connection.login(settings.username, settings.password.get_secret_value())


def _options_for(connection: SMTP, mail: Mail) -> list[str]:
    options = []
    if connection.supports_extension("size"):
        options.append(f"SIZE={len(mail.content)}")
    if not mail.utf8_field:
        return options
    if not connection.supports_extension("smtputf8"):
        raise PermanentError(
            "smtputf8_unavailable",
            f"{mail.utf8_field} has letters before its @ that the mail server cannot take (it "
            "offers no SMTPUTF8): use an ASCII address",
        )
    if connection.supports_extension("8bitmime"):
        options.append("BODY=8BITMIME")
    return [*options, "SMTPUTF8"]


def _refusal(
    stage: Stage, error: SMTPResponseException, settings: SmtpSettings, field: str = ""
) -> AttemptFailure:
    if error.code < 0:
        return RetryableError(
            "smtp_protocol",
            f"{stage.value} was answered with something that is not SMTP: check "
            + settings.point_to("HOST", "PORT", "TLS"),
        )
    if error.code < REFUSED:
        return RetryableError("smtp_protocol", f"{stage.value} was answered with {error.code}")
    return failure_of(stage, error.code, error.message, field=field)


def _unreachable(error: Exception, settings: SmtpSettings) -> AttemptFailure:
    for each in (error, error.__cause__):
        if isinstance(each, ssl.SSLError) and each.reason in _NOT_OUR_SERVER:
            return ActionRequired(
                "smtp_tls_refused",
                f"no TLS with the mail server: check {_names_of_tls(settings)}. {each.reason}",
            )
    return RetryableError("smtp_unreachable", f"the mail server cannot be reached: {error}")


def _names_of_tls(settings: SmtpSettings) -> str:
    """A credential has no certificates of its own: its server's must be publicly trusted."""
    own = () if settings.is_credential else ("CA_FILE",)
    return settings.point_to("HOST", "PORT", "TLS", *own)


_NOT_OUR_SERVER = frozenset({"CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER"})
