"""The caller, as the rest of the gateway sees it, and API keys as REST shows them."""

from collections.abc import Collection, Set
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import Field

from gateway.auth.access import Role, Scope
from gateway.shapes import Answer, Identifier, Question

LONGEST_DAYS = 3650
LONGEST_OVERLAP_HOURS = 720
MOST_A_MINUTE = 1_000_000
MOST_WORKFLOWS = 200


class Principal(NamedTuple):
    """Whose request it is, and what it may do.

    `rate_limit_per_minute` takes the place of the address's, if set, and is counted for
    `limited_as`.
    """

    key_id: str
    name: str
    workspace: str
    rate_limit_per_minute: int | None = None
    limited_as: str = ""
    scopes: frozenset[Scope] = frozenset()
    workflow_ids: frozenset[str] | None = None
    """The workflows that it may use; None is all of the workspace."""
    workspace_limit: int | None = None
    """What all of the workspace may do together besides, where the installation says so."""
    address: str = ""
    """From where it calls, for the audit log: `gateway.services.actor_of` fills it in."""

    def may_use(self, workflow_id: str) -> bool:
        """Whether the caller was granted this workflow, if there is one."""
        return self.workflow_ids is None or workflow_id in self.workflow_ids

    def may_give(self, scopes: Set[Scope], workflow_ids: Collection[str] | None) -> bool:
        """Whether the caller may do all this, and so let others do it."""
        if self.workflow_ids is None:
            return scopes <= self.scopes
        return (
            scopes <= self.scopes
            and workflow_ids is not None
            and self.workflow_ids.issuperset(workflow_ids)
        )


class KeyDraft(Question):
    """A key to be made."""

    name: Annotated[str, Field(min_length=1, max_length=200, description="What the key is for.")]
    role: Role
    scopes: Annotated[
        list[Scope] | None,
        Field(min_length=1, max_length=len(Scope), description="Some of the role's; null: all."),
    ] = None
    workflow_ids: Annotated[
        list[Identifier] | None,
        Field(
            min_length=1,
            max_length=MOST_WORKFLOWS,
            description="The only workflows that it may use, existing or not yet; null: all.",
        ),
    ] = None
    rate_limit_per_minute: Annotated[
        int | None,
        Field(ge=0, le=MOST_A_MINUTE, description="In place of other limits; 0: none."),
    ] = None
    lifetime_days: Annotated[int | None, Field(ge=1, le=LONGEST_DAYS)] = None


class Rotation(Question):
    """How a key is followed by a new one."""

    overlap_hours: Annotated[
        int,
        Field(ge=0, le=LONGEST_OVERLAP_HOURS, description="How long the old key works on."),
    ] = 24


class KeyView(Answer):
    """A key, without what lets in. `scopes`: what it may do."""

    key_id: str
    name: str
    hint: str
    role: Role
    scopes: list[Scope]
    workflow_ids: list[str] | None
    rate_limit_per_minute: int | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaced_by: str | None


class KeyMade(KeyView):
    """A new key. `key` is shown this once."""

    key: str


class KeyPage(Answer):
    """A page of keys."""

    items: list[KeyView]
    next_cursor: str | None
