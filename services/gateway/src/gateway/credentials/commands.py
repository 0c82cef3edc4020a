"""`mirsal vault`: keys of the vault, and their rotation."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, NoReturn

import typer
from mirsal_runtime.vault.keys import GivenKeys, KeysUnusable, write_new_key

from gateway.credentials.sealing import Rewrapped, Sealer
from gateway.credentials.store import CredentialStore
from gateway.settings import GatewaySettings
from gateway.store import DatabaseUnavailable, open_database

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
    """Have the first key of the settings wrap all data keys, while everything runs."""
    settings = GatewaySettings()
    try:
        done = asyncio.run(_rotate(settings))
    except (DatabaseUnavailable, KeysUnusable) as error:
        _give_up(str(error))
    typer.echo(f"wrapped anew: {done.done}")
    if done.unreadable:
        _give_up(f"{done.unreadable} data keys need a key that is not here: nothing was lost")


async def _rotate(settings: GatewaySettings) -> Rewrapped:
    keys = GivenKeys(settings.vault_keys, settings.vault_keys_file)
    async with open_database(settings, purpose="vault", size=2) as database:
        done = Rewrapped()
        async for done in Sealer(CredentialStore(database), keys).rotate():
            typer.echo(f"{done.done}…", err=True)
        return done


def _give_up(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(1)
