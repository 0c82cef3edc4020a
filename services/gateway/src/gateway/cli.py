"""`mirsal`: commands for whoever runs the gateway."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, NoReturn, TypeVar
from uuid import UUID

import typer

from gateway.auth.keys import PREFIX, digest_of, generate_key, hint_of, is_key
from gateway.auth.store import KeyStore
from gateway.settings import GatewaySettings
from gateway.store import DatabaseUnavailable, open_database

app = typer.Typer(no_args_is_help=True, add_completion=False)
keys = typer.Typer(no_args_is_help=True, help="API keys.")
app.add_typer(keys, name="keys")

Workspace = Annotated[str, typer.Option(help="Whose leads and workflows the key opens.")]
Name = Annotated[str, typer.Option(help="What the key is for.")]
AnswerT = TypeVar("AnswerT")
KEY_SETTING = "MIRSAL_API_KEY"


@app.callback()
def mirsal() -> None:
    """Mirsal's administration. Reads the gateway's settings from the environment."""


@keys.command()
def generate() -> None:
    """Print a new key. Nothing is stored: `ensure` does that."""
    typer.echo(generate_key())


@keys.command()
def create(
    name: Name,
    workspace: Workspace = "default",
    rate_limit: Annotated[
        int | None,
        typer.Option(min=0, help="Calls a minute, in place of the address's limit; 0: no limit."),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="How long it may be used.")] = None,
) -> None:
    """Make a key and store it. It is printed this once."""
    key = generate_key()
    settings = _settings()
    lifetime = None if days is None else timedelta(days=days)
    _run(
        settings,
        lambda store: store.add(
            workspace,
            name,
            hint_of(key),
            digest_of(key, settings.api_key_pepper),
            rate_limit_per_minute=rate_limit,
            lifetime=lifetime,
        ),
    )
    typer.echo(key)


@keys.command()
def ensure(
    name: Name,
    key: Annotated[
        str, typer.Option(envvar=KEY_SETTING, help="A key that `generate` made.", show_envvar=True)
    ],
    workspace: Workspace = "default",
) -> None:
    """Have a given key stored and usable; said again, nothing changes."""
    if not is_key(key):
        _give_up(
            f"{KEY_SETTING} (or --key) is not a key of Mirsal's, which begins with {PREFIX} and "
            "ends with a checksum.\nMake one with `mirsal keys generate`; `make up` makes one "
            f"by itself where {KEY_SETTING} is not set."
        )
    settings = _settings()
    digest = digest_of(key, settings.api_key_pepper)
    _run(settings, lambda store: store.ensure(workspace, name, hint_of(key), digest))


@keys.command("list")
def list_keys(
    workspace: Annotated[str | None, typer.Option(help="Of this workspace only.")] = None,
) -> None:
    """List keys: id, workspace, name, beginning, limit, state."""
    for row in _run(_settings(), lambda store: store.list_all(workspace)):
        state = "revoked" if row.revoked_at else "usable"
        if row.expires_at and not row.revoked_at:
            state = f"until {row.expires_at:%Y-%m-%d}"
        limit = "" if row.rate_limit_per_minute is None else f"{row.rate_limit_per_minute}/min"
        typer.echo(f"{row.id}  {row.workspace}  {row.name}  {row.hint}…  {limit}  {state}")


@keys.command()
def revoke(key_id: Annotated[UUID, typer.Argument(help="The id that `list` shows.")]) -> None:
    """End a key. Gateways that have just seen it let it in for 5 seconds more."""
    if not _run(_settings(), lambda store: store.revoke(key_id)):
        _give_up("there is no such key")


def _settings() -> GatewaySettings:
    return GatewaySettings()


def _run(settings: GatewaySettings, work: Callable[[KeyStore], Awaitable[AnswerT]]) -> AnswerT:
    async def run() -> AnswerT:
        async with open_database(settings, purpose="keys", size=1) as database:
            return await work(KeyStore(database))

    try:
        return asyncio.run(run())
    except DatabaseUnavailable as error:
        _give_up(str(error))


def _give_up(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
