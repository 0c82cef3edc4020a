"""Connections by account: those of the environment's account, and of each credential in use."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

import structlog
from mirsal_contracts.commands import RunNode
from mirsal_contracts.credentials import CHECK_CONNECTION, Account, CredentialType

from mirsal_runtime.failures import PermanentError
from mirsal_runtime.vault.reading import Name, Vault, open_vault
from mirsal_runtime.vault.settings import VaultSettings
from mirsal_runtime.vault.sharing import NOT_LENT, Sharing

ResourceT = TypeVar("ResourceT")
OpenAccount = Callable[[Account], AbstractAsyncContextManager[ResourceT]]
log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Lodger(Generic[ResourceT]):
    """What was opened for one credential, and how many use it now; `until` counts while none do."""

    resource: ResourceT
    stack: AsyncExitStack
    revision: UUID
    users: int = 0
    until: float = 0.0
    is_replaced: bool = False


class Accounts(Generic[ResourceT]):
    """Lends what a connector needs to reach its provider, for one account or another.

    `own` is the environment's. `open_account` makes the same for a credential's account; it must
    not speak to the provider yet. It may raise `AttemptFailure`.
    """

    def __init__(
        self,
        own: ResourceT,
        vault: Vault,
        open_account: "OpenAccount[ResourceT]",
        settings: VaultSettings,
    ) -> None:
        self.own = own
        self._vault = vault
        self._open_account = open_account
        self._most = settings.accounts
        self._idle_seconds = settings.idle_seconds
        self._sharing = Sharing.parse(settings.shared_accounts)
        self._lodgers: dict[Name, _Lodger[ResourceT]] = {}
        """The one that was used last is last."""
        self._opening = asyncio.Lock()
        self._farewells: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def lend_for(
        self, command: RunNode, credential_id: str | None
    ) -> AbstractAsyncContextManager[ResourceT]:
        """What belongs to a credential that a command names; as `lend`. None: as `own_for`.

        Whoever tries again, or checks the account, does it with the account as it is now: somebody
        may just have put it right.
        """
        if credential_id is None:
            return nullcontext(self.own_for(command.workspace))
        anew = command.attempt > 1 or CHECK_CONNECTION in command.config
        return self.lend(command.workspace, credential_id, anew=anew)

    def own_for(self, workspace: str) -> ResourceT:
        """What belongs to the environment's account. Raises `PermanentError` unless it is lent."""
        if not self._sharing.allows(workspace):
            raise PermanentError("credential_required", NOT_LENT)
        return self.own

    @asynccontextmanager
    async def lend(
        self, workspace: str, credential_id: str, *, anew: bool = False
    ) -> AsyncIterator[ResourceT]:
        """What belongs to a credential. Raises as `Vault.open` (see there) and `open_account`."""
        name = Name(workspace, credential_id)
        lodger = await self._find(name, anew=anew)
        lodger.users += 1
        try:
            yield lodger.resource
        finally:
            lodger.users -= 1
            self._rest(name, lodger)

    async def close(self) -> None:
        """Close all that was opened for credentials."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for lodger in self._lodgers.values():
            self._dismiss(lodger)
        self._lodgers.clear()
        if self._farewells:
            await asyncio.wait(self._farewells)

    async def _find(self, name: Name, *, anew: bool) -> "_Lodger[ResourceT]":
        opened = await self._vault.open(*name, anew=anew)
        lodger = self._lodgers.get(name)
        if lodger is not None and lodger.revision == opened.revision:
            return lodger
        async with self._opening:
            lodger = self._lodgers.get(name)
            if lodger is not None and lodger.revision == opened.revision:
                return lodger
            stack = AsyncExitStack()
            resource = await stack.enter_async_context(self._open_account(opened.account))
            if lodger is not None:
                lodger.is_replaced = True
                if not lodger.users:
                    self._dismiss(lodger)
            made = self._lodgers[name] = _Lodger(resource, stack, opened.revision)
            return made

    def _rest(self, name: Name, lodger: "_Lodger[ResourceT]") -> None:
        """One user less: what nobody uses stays for a while, unless there is too much of it."""
        if lodger.users:
            return
        if lodger.is_replaced or self._lodgers.get(name) is not lodger:
            self._dismiss(lodger)
            return
        lodger.until = asyncio.get_running_loop().time() + self._idle_seconds
        self._lodgers[name] = self._lodgers.pop(name)
        if len(self._lodgers) > self._most:
            idle = [each for each, other in self._lodgers.items() if not other.users]
            for each in idle[: -self._most]:
                self._dismiss(self._lodgers.pop(each))
        self._sweep_later()

    def _sweep_later(self) -> None:
        if self._sweeper is None and self._lodgers:
            self._sweeper = asyncio.get_running_loop().call_later(self._idle_seconds, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = asyncio.get_running_loop().time()
        for name, lodger in tuple(self._lodgers.items()):
            if not lodger.users and lodger.until <= now:
                self._dismiss(self._lodgers.pop(name))
        self._sweep_later()

    def _dismiss(self, lodger: "_Lodger[ResourceT]") -> None:
        """Close it, without anybody waiting for that."""
        task = asyncio.create_task(_close(lodger.stack))
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)


@asynccontextmanager
async def open_accounts(
    kind: CredentialType, role: str, own: ResourceT, open_account: "OpenAccount[ResourceT]"
) -> AsyncIterator[Accounts[ResourceT]]:
    """The accounts of a connector whose sessions act as `role`, as the environment says."""
    async with open_vault(kind, role) as vault:
        accounts = Accounts(own, vault, open_account, VaultSettings())
        try:
            yield accounts
        finally:
            await accounts.close()


async def _close(stack: AsyncExitStack) -> None:
    try:
        await stack.aclose()
    except Exception as error:  # noqa: BLE001 - whatever it was, nobody uses it any more
        log.warning("account_not_closed", error=error)
