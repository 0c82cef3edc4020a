"""`mirsal lead`: erasing a lead, and sealing those that were stored before there was a vault."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from itertools import groupby
from operator import itemgetter
from typing import Annotated, Final, NoReturn, TypeVar

import typer
from mirsal_runtime.broker import BrokerUnavailable, Publisher
from mirsal_runtime.trace_context import quiet_traceparent
from mirsal_runtime.vault.keys import GivenKeys, KeysUnusable

from gateway.audit.origins import origin_of_command
from gateway.auth.schemas import Principal
from gateway.credentials.sealing import Sealer
from gateway.credentials.store import CredentialStore
from gateway.leads.erasure import Done, Erasure
from gateway.leads.opening import Opener
from gateway.leads.sealing import LeadSealer
from gateway.leads.store import LeadStore
from gateway.problems import Problem
from gateway.runs.launch import Call
from gateway.settings import GatewaySettings
from gateway.store import Database, DatabaseUnavailable, open_database

lead = typer.Typer(no_args_is_help=True, help="Leads.")

AnswerT = TypeVar("AnswerT")
ERASED_BY: Final = "mirsal lead erase"
SEALED_AT_ONCE: Final = 500


@lead.command()
def erase(
    workspace: Annotated[str, typer.Argument(help="Whose lead it is.")],
    lead_id: Annotated[str, typer.Argument(help="The lead's id.")],
) -> None:
    """Erase a lead and destroy its key: nothing that was sealed with it can be read again."""
    done = _run(_erase(GatewaySettings(), workspace, lead_id))
    if not any(done.erased) and not done.runs:
        _give_up("there is no such lead, and no run for it")
    typer.echo(f"erased; runs told: {done.runs}")


@lead.command()
def seal() -> None:
    """Seal leads that are stored in the open, of all workspaces, while everything runs."""
    typer.echo(f"sealed: {_run(_seal(GatewaySettings()))}")


async def _erase(settings: GatewaySettings, workspace: str, lead_id: str) -> Done:
    caller = Principal(key_id="", name=ERASED_BY, workspace=workspace)
    # A command has no span that what it asks for could link to.
    call = Call(caller, "erase", None, b"", quiet_traceparent())
    publisher = Publisher(settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(publisher.stop)
        database = await stack.enter_async_context(open_database(settings, purpose="lead", size=1))
        erasure = Erasure(_store(settings, database), database)
        origin = origin_of_command(ERASED_BY, workspace)
        return await erasure.erase(call, origin, lead_id, publisher.send)


async def _seal(settings: GatewaySettings) -> int:
    if not settings.has_vault:
        _give_up("there are no keys: set MIRSAL_VAULT_KEYS or MIRSAL_VAULT_KEYS_FILE")
    async with open_database(settings, purpose="lead", size=1) as database:
        store = _store(settings, database)
        done = 0
        while found := await store.list_open(SEALED_AT_ONCE):
            for workspace, entries in groupby(found, key=itemgetter(0)):
                done += await store.seal_open(workspace, [lead_id for _, lead_id in entries])
            typer.echo(f"{done}…", err=True)
        return done


def _store(settings: GatewaySettings, database: Database) -> LeadStore:
    keeper = GivenKeys(settings.vault_keys, settings.vault_keys_file)
    sealer = Sealer(CredentialStore(database), keeper)
    return LeadStore(
        database, LeadSealer(sealer, is_on=settings.has_vault), Opener(database, keeper)
    )


def _run(work: Coroutine[None, None, AnswerT]) -> AnswerT:
    try:
        return asyncio.run(work)
    except (DatabaseUnavailable, KeysUnusable, BrokerUnavailable) as error:
        _give_up(str(error))
    except Problem as problem:
        _give_up(problem.detail)


def _give_up(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(1)
