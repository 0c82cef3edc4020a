"""A connector: one async function with a params model and a result model, and what it declares."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

from mirsal_contracts.commands import RunNode
from mirsal_contracts.credentials import ConnectionCheck
from mirsal_contracts.nodes.config import NodeConfig
from pydantic import BaseModel

from mirsal_runtime.attempt import Attempt

ParamsT = TypeVar("ParamsT", bound=NodeConfig)
ResultT = TypeVar("ResultT", bound=BaseModel)
ResourceT = TypeVar("ResourceT")


@dataclass(frozen=True, slots=True)
class Connector(Generic[ParamsT, ResultT, ResourceT]):
    """What makes a connector.

    `params` validates a command's rendered config; a config that does not fit fails the node as
    `invalid_params`. `open` gives the resource (a connection pool, say) that every call of
    `send` shares for the process's life. `repeatable` says that a second effect is as good as
    one: such a connector never reports an unconfirmed outcome. `ordered` has commands whose
    records have the same key served one after the other. `check` connects with the account of a
    credential, without any other effect; it claims its attempt last, and what it raises is its
    outcome (docs/decisions/0030). `count_recipients` says how many are written to, for the caps of
    workspaces' days (docs/SENDING.md); its service's migrations make the table that counts them.
    `recipients` gives their addresses as `mirsal_runtime.vault.address_index` compares them, for
    the workspace's lists of whom it may write to: the connector's name is the channel. It is asked
    only where a workspace has such lists, and raises what `send` would for what is no address.
    """

    name: str
    params: type[ParamsT]
    result: type[ResultT]
    open: Callable[[], AbstractAsyncContextManager[ResourceT]]
    send: Callable[[ParamsT, Attempt, ResourceT], Awaitable[ResultT]]
    repeatable: bool = False
    ordered: bool = False
    check: Callable[[ConnectionCheck, Attempt, ResourceT], Awaitable[BaseModel]] | None = None
    count_recipients: Callable[[ParamsT], int] | None = None
    recipients: Callable[[ParamsT, RunNode, ResourceT], Awaitable[Sequence[str]]] | None = None
