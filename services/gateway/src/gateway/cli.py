"""`mirsal`: commands for whoever runs the gateway."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, NoReturn, TypeVar
from uuid import UUID

import typer
from mirsal_runtime.endings import told_faults

from gateway.audit.commands import audit
from gateway.audit.origins import origin_of_command
from gateway.auth.access import Role, Scope, scopes_of
from gateway.auth.keys import PREFIX, digest_of, generate_key, hint_of, is_key
from gateway.auth.schemas import LONGEST_OVERLAP_HOURS
from gateway.auth.store import KeyRow, KeyStore, NewKey
from gateway.credentials.commands import vault
from gateway.leads.commands import lead
from gateway.settings import GatewaySettings
from gateway.store import DatabaseUnavailable, open_database

app = typer.Typer(no_args_is_help=True, add_completion=False)
keys = typer.Typer(no_args_is_help=True, help="API keys.")
app.add_typer(keys, name="keys")
workspaces = typer.Typer(no_args_is_help=True, help="Workspaces.")
app.add_typer(workspaces, name="workspaces")
app.add_typer(audit, name="audit")
app.add_typer(vault, name="vault")
app.add_typer(lead, name="lead")

Workspace = Annotated[str, typer.Option(help="Whose leads and workflows the key opens.")]
Name = Annotated[str, typer.Option(help="What the key is for.")]
RoleOption = Annotated[Role, typer.Option(help="What the key may do in its workspace.")]
AnswerT = TypeVar("AnswerT")
KeyId = Annotated[UUID, typer.Argument(help="The id that `list` shows.")]
CREATED_BY = "mirsal keys"
LIMITED_BY = "mirsal workspaces"
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
    role: RoleOption = Role.EDITOR,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="Only this of the role's; may be repeated.")
    ] = None,
    workflow: Annotated[
        list[str] | None, typer.Option(help="Only this workflow; may be repeated.")
    ] = None,
    rate_limit: Annotated[
        int | None,
        typer.Option(min=0, help="Calls a minute, in place of the address's limit; 0: no limit."),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="How long it may be used.")] = None,
) -> None:
    """Make a key and store it. It is printed this once."""
    missing = set(scope or ()) - scopes_of(role)
    if missing:
        _give_up(f"{role} has not the scope {', '.join(sorted(missing))}")
    key = generate_key()
    settings = _settings()
    new = NewKey(
        workspace,
        name,
        hint_of(key),
        digest_of(key, settings.api_key_pepper),
        role,
        scope or None,
        workflow or None,
        rate_limit,
        None if days is None else timedelta(days=days),
        CREATED_BY,
    )
    _run(settings, lambda store: store.add(new, origin_of_command(CREATED_BY)))
    typer.echo(key)


@keys.command()
def ensure(
    name: Name,
    key: Annotated[
        str, typer.Option(envvar=KEY_SETTING, help="A key that `generate` made.", show_envvar=True)
    ],
    workspace: Workspace = "default",
    role: RoleOption = Role.EDITOR,
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
    new = NewKey(workspace, name, hint_of(key), digest, role)
    _run(settings, lambda store: store.ensure(new, origin_of_command(CREATED_BY)))


@keys.command("list")
def list_keys(
    workspace: Annotated[str | None, typer.Option(help="Of this workspace only.")] = None,
) -> None:
    """List keys: id, workspace, name, beginning, role, limit, last use, state."""
    for row in _run(_settings(), lambda store: store.list_all(workspace)):
        typer.echo(_line_of(row))


@keys.command()
def rotate(
    key_id: KeyId,
    hours: Annotated[
        int, typer.Option(min=0, max=LONGEST_OVERLAP_HOURS, help="How long the old key works on.")
    ] = 24,
) -> None:
    """Make a key that takes another's place. It is printed this once."""
    key = generate_key()
    settings = _settings()
    new = _run(
        settings,
        lambda store: store.rotate(
            key_id,
            None,
            hint=hint_of(key),
            digest=digest_of(key, settings.api_key_pepper),
            overlap=timedelta(hours=hours),
            origin=origin_of_command(CREATED_BY),
        ),
    )
    if new is None:
        _give_up("there is no such key that may be used and was not rotated already")
    typer.echo(key)


@keys.command()
def revoke(key_id: KeyId) -> None:
    """End a key, on all gateways within a second."""
    if not _run(
        _settings(), lambda store: store.revoke(key_id, None, origin_of_command(CREATED_BY))
    ):
        _give_up("there is no such key")


@workspaces.command()
def limit(
    workspace: Annotated[str, typer.Argument(help="Whose calls are counted together.")],
    per_minute: Annotated[
        int | None, typer.Argument(min=0, help="Calls a minute; left out: no limit of its own.")
    ] = None,
) -> None:
    """Give a workspace a rate limit in place of the addresses'; a key's own goes before it."""
    origin = origin_of_command(LIMITED_BY, workspace)
    _run(_settings(), lambda store: store.set_workspace_limit(per_minute, origin))


def _line_of(row: KeyRow) -> str:
    state = "revoked" if row.revoked_at else "usable"
    if row.expires_at and not row.revoked_at:
        state = f"until {row.expires_at:%Y-%m-%d}"
    limit = "" if row.rate_limit_per_minute is None else f"{row.rate_limit_per_minute}/min"
    held = "" if row.scopes == scopes_of(row.role) else f" ({' '.join(sorted(row.scopes))})"
    used = f"used {row.last_used_at:%Y-%m-%d}" if row.last_used_at else "unused"
    only = "" if row.workflow_ids is None else f" of {' '.join(row.workflow_ids)}"
    what = f"{row.role}{held}{only}"
    return f"{row.id}  {row.workspace}  {row.name}  {row.hint}…  {what}  {limit}  {used}  {state}"


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


def main() -> None:
    """The program. An error that nobody expected would be shown by Typer with its words."""
    with told_faults():
        app()


def _give_up(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    main()
