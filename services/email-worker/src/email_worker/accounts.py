"""Whose mail server sends: the environment's, or that of a workspace's credential."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from mirsal_contracts.commands import RunNode
from mirsal_contracts.credentials import Account, ConnectionCheck, SmtpAccount
from mirsal_contracts.message import Message
from mirsal_runtime.attempt import Attempt
from mirsal_runtime.failures import ActionRequired
from mirsal_runtime.plaintext import PlaintextRefused
from mirsal_runtime.vault.accounts import Accounts, open_accounts
from pydantic import ValidationError

from email_worker.mailer import Mailer, open_mailer
from email_worker.message import recipients_of
from email_worker.params import EmailParams, EmailResult
from email_worker.send import send_email
from email_worker.settings import SmtpSettings

ROLE = "mirsal_email_worker"


class MailServerChecked(Message):
    """The mail server let us in. `sender` is who mails are from."""

    server: str
    tls: str
    sender: str


@asynccontextmanager
async def open_mailers() -> AsyncIterator[Accounts[Mailer]]:
    """A mailer for the environment's account, and for each credential in use."""
    settings = SmtpSettings()

    def open_account(account: Account) -> AbstractAsyncContextManager[Mailer]:
        return open_mailer(settings_for(account, settings))

    async with (
        open_mailer(settings) as own,
        open_accounts("smtp", ROLE, own, open_account) as mailers,
    ):
        yield mailers


async def send_from_account(
    params: EmailParams, attempt: Attempt, mailers: Accounts[Mailer]
) -> EmailResult:
    """Send one mail by the account that its node names."""
    async with mailers.lend_for(attempt.command, params.credential_id) as mailer:
        return await send_email(params, attempt, mailer)


async def find_recipients(
    params: EmailParams, _command: RunNode, _mailers: Accounts[Mailer]
) -> tuple[str, ...]:
    """Whom the mail goes to, whichever account sends it."""
    return recipients_of(params)


async def check_account(
    asked: ConnectionCheck, attempt: Attempt, mailers: Accounts[Mailer]
) -> MailServerChecked:
    """Log in at an account's mail server, and leave."""
    async with mailers.lend_for(attempt.command, asked.credential_id) as mailer:
        await mailer.check()
        await attempt.claim()
        return MailServerChecked(
            server=mailer.settings.place, tls=mailer.settings.tls, sender=mailer.sender.address
        )


def settings_for(account: Account, own: SmtpSettings) -> SmtpSettings:
    """The settings of a credential's account; of the environment's only what is not an account's.

    Raises `ActionRequired` for an account that cannot work.
    """
    if not isinstance(account, SmtpAccount):
        raise ActionRequired("credential_refused", "the credential is no mail server's")
    given = {
        **own.model_dump(),
        "host": account.host,
        "port": account.port,
        "tls": account.tls,
        "ca_file": None,
        "username": account.username,
        "password": account.password,
        "MIRSAL_SMTP_FROM": account.from_address,
        "from_name": account.from_name,
        "public_only": not own.private_hosts,
        "is_credential": True,
    }
    del given["from_address"]
    try:
        return SmtpSettings(**given)
    except PlaintextRefused as refused:
        raise ActionRequired("credential_refused", str(refused)) from None
    except ValidationError as error:
        faults = "; ".join(each["msg"] for each in error.errors(include_input=False))
        raise ActionRequired(
            "credential_refused",
            f"the credential's account cannot work: {faults.replace('MIRSAL_SMTP_', '')}",
        ) from None
