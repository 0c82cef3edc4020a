"""Whose Google account writes: the environment's, or that of a workspace's credential."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mirsal_contracts.credentials import Account, GoogleAccount
from mirsal_contracts.message import Message
from mirsal_runtime.failures import ActionRequired
from mirsal_runtime.vault.accounts import Accounts, open_accounts

from sheets_worker.calls import Calls
from sheets_worker.credentials import (
    SHEETS_SCOPES,
    CredentialsFile,
    FixedCredentials,
    identity_of,
    make_credentials,
)
from sheets_worker.google import open_sheets_api
from sheets_worker.quota import Quota
from sheets_worker.settings import GoogleSettings, SheetsSettings

ROLE = "mirsal_sheets_worker"


class GoogleChecked(Message):
    """Google gave the account a token for sheets."""

    account: str


@asynccontextmanager
async def open_google_accounts(
    settings: SheetsSettings, google: GoogleSettings, quota: Quota
) -> AsyncIterator[Accounts[Calls]]:
    """Calls by the environment's account, and by that of each credential in use."""

    @asynccontextmanager
    async def open_account(account: Account) -> AsyncIterator[Calls]:
        credentials = credentials_of(account, google)
        async with open_sheets_api(settings, credentials) as api:
            yield Calls(api, quota)

    async with (
        open_sheets_api(settings, CredentialsFile(google.credentials_file)) as api,
        open_accounts("google", ROLE, Calls(api, quota), open_account) as accounts,
    ):
        yield accounts


def credentials_of(account: Account, google: GoogleSettings) -> FixedCredentials:
    """A credential's account for Google's library; where tokens come from is the installation's.

    Raises `ActionRequired` for an account that cannot work.
    """
    if not isinstance(account, GoogleAccount):
        raise ActionRequired("credential_refused", "the credential is no Google account's")
    given = {**account.key.to_secret(), "token_uri": google.token_url}
    try:
        made = make_credentials(given, SHEETS_SCOPES)
    except ValueError:
        # Without the words of the error: they may hold parts of the key.
        raise ActionRequired(
            "credential_refused", "the credential's private key cannot be read"
        ) from None
    return FixedCredentials(made, identity_of(given), account.summary)
