"""Writing and listing credentials, and having their connectors try them."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import structlog
from mirsal_contracts.credentials import CHECK_CONNECTION
from mirsal_contracts.leads import Lead
from mirsal_contracts.nodes import NODE_TYPES
from mirsal_contracts.workflows import Graph, Node, RetryPolicy
from mirsal_runtime.vault.keys import KeyKeeper, KeysUnusable, KeyUnknown
from mirsal_runtime.vault.sealing import SealBroken

from gateway.audit.origins import origin_of
from gateway.auth.schemas import Principal
from gateway.credentials.references import MEMBER
from gateway.credentials.schemas import (
    CredentialChecked,
    CredentialDraft,
    CredentialPage,
    CredentialView,
)
from gateway.credentials.sealing import Sealer
from gateway.credentials.store import CredentialStore, SealedCredential
from gateway.executions.schemas import FINAL_STATUSES
from gateway.executions.service import DIRECT_VERSION, DirectCalls, Executions
from gateway.paging import Asked, Cursor, cut_page
from gateway.problems import conflict, not_found, unavailable
from gateway.runs.launch import Call, Order
from gateway.store import DatabaseUnavailable
from gateway.watching.lookout import NoPlace

CHECKS: Final = "~credentials"
"""The workflow of all checks: no caller's id begins with a tilde."""
CHECK_NODE: Final = "check-connection"
ATTEMPT_SECONDS: Final = 15.0
NODE_OF: Final[Mapping[str, str]] = {
    kind.credential: name for name, kind in NODE_TYPES.items() if kind.credential is not None
}
"""Which node type's connector uses credentials of a type."""

log = structlog.get_logger(__name__)


class Credentials:
    """What callers may do with the credentials of their workspace. Raises `Problem`."""

    def __init__(
        self,
        store: CredentialStore,
        keys: KeyKeeper,
        direct: DirectCalls,
        executions: Executions,
    ) -> None:
        self._store = store
        self._sealer = Sealer(store, keys)
        self._direct = direct
        self._executions = executions

    async def put(
        self, caller: Principal, credential_id: str, draft: CredentialDraft
    ) -> tuple[CredentialView, bool]:
        """The credential after it was made or replaced, and whether it is new."""
        account = draft.account
        try:
            data_key, sealed = await self._sealer.seal(caller.workspace, credential_id, account)
        except (KeysUnusable, KeyUnknown, SealBroken, OSError, TimeoutError) as error:
            log.error("vault_unusable", workspace=caller.workspace, error=error)
            raise unavailable("The vault cannot seal anything at the moment.") from None
        saved = await self._store.put(
            SealedCredential(
                caller.workspace,
                credential_id,
                account.type,
                draft.name,
                account.summary,
                data_key,
                sealed,
            ),
            origin_of(caller),
        )
        if saved is None:
            raise conflict("The credential is of another type: delete it, or take another id.")
        return saved

    async def read(self, caller: Principal, credential_id: str) -> CredentialView:
        """One credential, without its secrets."""
        return _found(await self._store.read(caller.workspace, credential_id))

    async def list_credentials(
        self, caller: Principal, account_type: str | None, asked: Asked
    ) -> CredentialPage:
        """A page of the workspace's credentials, or of those of one type."""
        found = await self._store.list_credentials(caller.workspace, account_type, asked)
        items, cursor = cut_page(
            found, asked.limit, lambda each: Cursor(each.created_at, each.credential_id)
        )
        return CredentialPage(items=list(items), next_cursor=cursor)

    async def delete(self, caller: Principal, credential_id: str) -> CredentialView:
        """End a credential: nodes that name it wait for a person from now on."""
        return _found(await self._store.delete(origin_of(caller), credential_id))

    async def check(
        self, call: Call, credential_id: str, seconds: float | None
    ) -> CredentialChecked:
        """Have the connector connect with the account (docs/decisions/0030).

        What came of it, if that is seen within so many seconds; None waits for nothing.
        """
        view = await self.read(call.caller, credential_id)
        started = await self._direct.start(call, _order_of(view))
        checked = CredentialChecked(
            credential_id=credential_id,
            works=None,
            output=None,
            error=None,
            execution_id=started.execution_id,
            status_url=started.status_url,
        )
        if seconds is None:
            return checked
        with suppress(NoPlace, DatabaseUnavailable):
            seen = await self._executions.read_within(call.caller, started.execution_id, seconds)
            if seen.status in FINAL_STATUSES:
                return checked.model_copy(
                    update={
                        "works": seen.status == "succeeded",
                        "output": seen.output,
                        "error": seen.error,
                    }
                )
        return checked


async def _order_of(view: CredentialView) -> Order:
    node = Node(
        id=CHECK_NODE,
        type=NODE_OF[view.type],
        config={MEMBER: view.credential_id, CHECK_CONNECTION: True},
        timeout_seconds=ATTEMPT_SECONDS,
        retry=RetryPolicy(attempts=1),
    )
    return Order("", CHECKS, DIRECT_VERSION, Graph(nodes=(node,)), Lead(id=CHECKS), {})


def _found(view: CredentialView | None) -> CredentialView:
    if view is None:
        raise not_found("There is no such credential.")
    return view
