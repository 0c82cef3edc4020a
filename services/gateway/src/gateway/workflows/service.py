"""Saving and reading workflow definitions."""

from collections.abc import Sequence

from gateway.audit.origins import origin_of
from gateway.auth.schemas import Principal
from gateway.credentials.references import AccountRules
from gateway.paging import Asked, Cursor, cut_page
from gateway.problems import access_denied, invalid, moved_on, not_found
from gateway.repeats import Once, Repeated
from gateway.workflows.schemas import (
    VersionPage,
    WorkflowDraft,
    WorkflowPage,
    WorkflowVersion,
    WorkflowView,
)
from gateway.workflows.store import VersionKey, WorkflowStore
from gateway.workflows.validation import find_faults


class Workflows:
    """What callers may do with the workflows of their workspace. Raises `Problem`."""

    def __init__(self, store: WorkflowStore, accounts: AccountRules) -> None:
        self._store = store
        self._accounts = accounts

    async def save(
        self,
        caller: Principal,
        workflow_id: str,
        draft: WorkflowDraft,
        expected: Sequence[int] | None = None,
        once: Once | None = None,
    ) -> tuple[WorkflowView, bool]:
        """The workflow after the save, and whether it is new.

        A definition that says what the newest version says makes no version: the same save twice
        is one save. A 412 `Problem` where the newest version is none of the `expected` ones; 0
        stands for a workflow that there is not yet.
        """
        await self.check(caller, draft)
        saved = await self._store.save(origin_of(caller), workflow_id, draft, expected, once)
        if saved is not None:
            return saved, saved.version == 1
        view = await self._store.read(caller.workspace, workflow_id)
        newest = 0 if view is None else view.version
        if view is None or (expected is not None and newest not in expected):
            raise moved_on(newest)
        return view, False

    async def check(self, caller: Principal, draft: WorkflowDraft) -> None:
        """Raises the 422 `Problem` with all that would keep the definition from being saved."""
        faults = find_faults(draft)
        if not faults:
            nodes = [(f"/nodes/{index}/config", node) for index, node in enumerate(draft.nodes)]
            faults = await self._accounts.find_faults(caller.workspace, nodes)
        if faults:
            raise invalid(faults)

    async def set_active(
        self, caller: Principal, workflow_id: str, *, is_active: bool
    ) -> WorkflowView:
        """Have the workflow take starts, or none; runs that have begun go on."""
        await self._store.set_active(origin_of(caller), workflow_id, is_active=is_active)
        return await self.read(caller, workflow_id)

    async def create(self, caller: Principal, draft: WorkflowDraft, once: Once) -> WorkflowView:
        """A workflow under an id that the server makes, which no grant can name before."""
        if caller.workflow_ids is not None:
            raise access_denied()
        try:
            view, _ = await self.save(caller, str(once.id), draft, once=once)
        except Repeated as repeated:
            return await self.read(caller, str(repeated.id))
        return view

    async def read(self, caller: Principal, workflow_id: str) -> WorkflowView:
        """The workflow with its newest version."""
        view = await self._store.read(caller.workspace, workflow_id)
        if view is None:
            raise access_denied()
        return view

    async def list_workflows(self, caller: Principal, asked: Asked) -> WorkflowPage:
        """A page of the workspace's workflows that the caller may use."""
        found = await self._store.list_workflows(caller.workspace, caller.workflow_ids, asked)
        items, cursor = cut_page(
            found, asked.limit, lambda each: Cursor(each.created_at, each.workflow_id)
        )
        return WorkflowPage(items=list(items), next_cursor=cursor)

    async def read_version(
        self, caller: Principal, workflow_id: str, version: int
    ) -> WorkflowVersion:
        """One version."""
        key = VersionKey(caller.workspace, workflow_id, version)
        found = await self._store.read_version(key)
        if found is not None:
            return found
        await self.require(caller, workflow_id)
        raise not_found(f"The workflow has no version {version}.")

    async def list_versions(self, caller: Principal, workflow_id: str, asked: Asked) -> VersionPage:
        """A page of a workflow's versions."""
        await self.require(caller, workflow_id)
        found = await self._store.list_versions(caller.workspace, workflow_id, asked)
        items, cursor = cut_page(
            found, asked.limit, lambda each: Cursor(each.created_at, str(each.version))
        )
        return VersionPage(items=list(items), next_cursor=cursor)

    async def require(self, caller: Principal, workflow_id: str) -> None:
        """Raises the 403 `Problem` unless the caller may use this workflow."""
        if not await self._store.exists(caller.workspace, workflow_id):
            raise access_denied()
