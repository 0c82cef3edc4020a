"""`mirsal vault`: keys of the vault, and their rotation."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import typer
from mirsal_runtime.vault.keys import GivenKeys, KeysUnusable, write_new_key
from mirsal_runtime.webhook_secrets import SecretSealer

from gateway.credentials.sealing import Rewrapped, Sealer
from gateway.credentials.store import CredentialStore
from gateway.settings import GatewaySettings
from gateway.store import Database, DatabaseUnavailable, open_database
from gateway.webhooks.resealing import Resealed, Resealer

vault = typer.Typer(no_args_is_help=True, help="Keys of the vault.")


@vault.command("new-key")
def new_key(
    key_id: Annotated[str, typer.Option("--id", help="Its id; by default made of the time.")] = "",
) -> None:
    """Print a new key-encryption key for MIRSAL_VAULT_KEYS. Nothing is stored."""
    try:
        typer.echo(write_new_key(key_id or f"k{datetime.now(UTC):%Y%m%d%H%M%S}"))
    except KeysUnusable as error:
        _give_up(str(error))


@vault.command()
def rotate() -> None:
    """Have the first key of the settings wrap all data keys, while everything runs.

    And the secrets of webhooks that the vault has sealed.
    """
    _run(_rotate)


@vault.command("take-webhooks")
def take_webhooks() -> None:
    """Have the vault seal the secrets of webhooks that MIRSAL_WEBHOOK_KEYS did.

    Once no webhook worker of the release before runs. Afterwards these keys are not needed.
    """
    _run(_take_webhooks)


def _run(work: Callable[[GatewaySettings], Coroutine[Any, Any, Rewrapped]]) -> None:
    try:
        done = asyncio.run(work(GatewaySettings()))
    except (DatabaseUnavailable, KeysUnusable) as error:
        _give_up(str(error))
    typer.echo(f"wrapped anew: {done.done}")
    if done.unreadable:
        _give_up(f"{done.unreadable} need a key that is not here: nothing was lost")


async def _rotate(settings: GatewaySettings) -> Rewrapped:
    keys = GivenKeys(settings.vault_keys, settings.vault_keys_file)
    async with open_database(settings, purpose="vault", size=2) as database:
        done = Rewrapped()
        async for done in Sealer(CredentialStore(database), keys).rotate():
            typer.echo(f"{done.done}…", err=True)
        secrets = await _reseal(settings, database, taking=False)
        return Rewrapped(done.done + secrets.done, done.unreadable + secrets.unreadable)


async def _take_webhooks(settings: GatewaySettings) -> Rewrapped:
    async with open_database(settings, purpose="vault", size=2) as database:
        done = await _reseal(settings, database, taking=True)
        return Rewrapped(done.done, done.unreadable)


async def _reseal(settings: GatewaySettings, database: Database, *, taking: bool) -> Resealed:
    keys = GivenKeys(settings.vault_keys, settings.vault_keys_file)
    resealer = Resealer(database, SecretSealer(keys, settings.webhook_keys))
    done = Resealed()
    async for done in resealer.reseal(await keys.current(), taking=taking):
        typer.echo(f"{done.done}…", err=True)
    return done


def _give_up(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(1)
