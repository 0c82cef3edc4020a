"""`mirsal audit`: looking at the chain, and taking the log elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, NoReturn, TypeVar

import orjson
import typer

from gateway.audit.chain import Finding, Head, Inspector, Row
from gateway.audit.entries import Action, Entry
from gateway.audit.origins import origin_of_command
from gateway.audit.store import AuditStore
from gateway.settings import GatewaySettings
from gateway.store import DatabaseUnavailable, open_database

audit = typer.Typer(no_args_is_help=True, help="The audit log.")

AnswerT = TypeVar("AnswerT")
EXPORTED_BY = "mirsal audit export"
MOST_FINDINGS = 100


def _parse_head(text: str) -> Head:
    try:
        return Head.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@audit.command()
def verify(
    workspace: Annotated[str | None, typer.Option(help="This workspace only.")] = None,
    known: Annotated[
        Head | None,
        typer.Option(
            parser=_parse_head,
            metavar="NUMBER:HASH",
            help="A head of --workspace that was noted before: its row must still be there.",
        ),
    ] = None,
) -> None:
    """Look for rows that were changed, removed, added or moved; print each workspace's head.

    Keep the heads where nobody who can write to the database can write: given as --known later,
    they also prove that the chain was not cut off or written anew.
    """
    if known is not None and workspace is None:
        _give_up("--known needs --workspace")

    async def work(store: AuditStore) -> bool:
        while await store.seal():
            pass
        names = [workspace] if workspace else await store.list_workspaces()
        return all([await _verify(store, name, known) for name in names])

    if not _run(work):
        raise typer.Exit(1)


async def _verify(store: AuditStore, workspace: str, known: Head | None) -> bool:
    inspector, findings = Inspector(known), list[Finding]()
    async for row in store.read_chain(workspace):
        findings.extend(inspector.inspect(row))
        if len(findings) >= MOST_FINDINGS:
            break
    else:
        findings.extend(inspector.end())
    for finding in findings:
        typer.echo(f"{workspace}: {finding.text}", err=True)
    verdict = f"{len(findings)} findings" if findings else "unbroken"
    typer.echo(f"{workspace}  {verdict}  {inspector.head}")
    return not findings


@audit.command()
def export(workspace: Annotated[str, typer.Argument(help="Whose log.")]) -> None:
    """Print the log as NDJSON, a row a line, with what its hash is made of. It is recorded."""

    async def work(store: AuditStore) -> None:
        origin = origin_of_command(EXPORTED_BY, workspace)
        await store.record_many([Entry(origin, Action.AUDIT_EXPORTED, "")])
        while await store.seal():
            pass
        async for line in _lines(store.read_chain(workspace)):
            typer.echo(line)

    _run(work)


async def _lines(rows: AsyncIterator[Row]) -> AsyncIterator[str]:
    async for row in rows:
        hashes = {"previous": row.previous.hex(), "hash": row.hash.hex()}
        yield orjson.dumps({**row.to_members(), **hashes}, option=orjson.OPT_SORT_KEYS).decode()


def _run(work: Callable[[AuditStore], Awaitable[AnswerT]]) -> AnswerT:
    async def run() -> AnswerT:
        async with open_database(GatewaySettings(), purpose="audit", size=1) as database:
            return await work(AuditStore(database))

    try:
        return asyncio.run(run())
    except DatabaseUnavailable as error:
        _give_up(str(error))


def _give_up(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(1)
