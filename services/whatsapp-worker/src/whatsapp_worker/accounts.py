"""Whose number sends: the environment's, or that of a workspace's credential."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from mirsal_contracts.commands import RunNode
from mirsal_contracts.credentials import Account, ConnectionCheck, WhatsAppAccount
from mirsal_contracts.message import Message
from mirsal_runtime import telemetry
from mirsal_runtime.attempt import Attempt
from mirsal_runtime.failures import ActionRequired
from mirsal_runtime.vault.accounts import Accounts, open_accounts
from pydantic import ValidationError

from whatsapp_worker.cloud_api import CloudApi, open_cloud_api
from whatsapp_worker.params import WhatsAppParams, WhatsAppResult
from whatsapp_worker.phone import normalise_phone
from whatsapp_worker.send import send_whatsapp
from whatsapp_worker.settings import WhatsAppSettings

ROLE = "mirsal_whatsapp_worker"


class NumberChecked(Message):
    """WhatsApp knows the number, and the token may see it: as WhatsApp names it."""

    phone_number_id: str
    display_phone_number: str | None
    verified_name: str | None


@asynccontextmanager
async def open_numbers() -> AsyncIterator[Accounts[CloudApi]]:
    """The API for the environment's number, and for that of each credential in use."""
    settings = WhatsAppSettings()

    def open_account(account: Account) -> AbstractAsyncContextManager[CloudApi]:
        return open_cloud_api(settings_for(account, settings))

    async with (
        open_cloud_api(settings) as own,
        open_accounts("whatsapp", ROLE, own, open_account) as numbers,
    ):
        yield numbers


async def send_from_account(
    params: WhatsAppParams, attempt: Attempt, numbers: Accounts[CloudApi]
) -> WhatsAppResult:
    """Send one message by the account that its node names."""
    async with numbers.lend_for(attempt.command, params.credential_id) as api:
        return await send_whatsapp(params, attempt, api)


async def find_recipients(
    params: WhatsAppParams, command: RunNode, numbers: Accounts[CloudApi]
) -> tuple[str, ...]:
    """The number in E.164: the account that sends says of which country one without a code is."""
    if params.to is None:
        return ()
    async with numbers.lend_for(command, params.credential_id) as api:
        return (f"+{normalise_phone(params.to, api.default_region)}",)


async def check_account(
    asked: ConnectionCheck, attempt: Attempt, numbers: Accounts[CloudApi]
) -> NumberChecked:
    """Read what WhatsApp says of an account's number."""
    async with numbers.lend_for(attempt.command, asked.credential_id) as api:
        found = await api.read_number()
        await attempt.claim()
        return NumberChecked(
            phone_number_id=found.id,
            display_phone_number=found.display,
            verified_name=found.name,
        )


def settings_for(account: Account, own: WhatsAppSettings) -> WhatsAppSettings:
    """The settings of a credential's account: where WhatsApp is stays the installation's.

    Raises `ActionRequired` for an account that cannot work.
    """
    if not isinstance(account, WhatsAppAccount):
        raise ActionRequired("credential_refused", "the credential is no WhatsApp number's")
    given = {
        **own.model_dump(),
        "token": account.token,
        "phone_number_id": account.phone_number_id,
        "default_region": account.default_region or own.default_region,
    }
    try:
        return WhatsAppSettings(**given)
    except ValidationError as error:
        raise ActionRequired(
            "credential_refused",
            f"the credential's account cannot work: {telemetry.faults_of(error)}",
        ) from None
