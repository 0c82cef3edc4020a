"""What the audit log says of one act: who, from where, what, before and after. Pure."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Literal, NamedTuple, TypeAlias

from mirsal_contracts.message import JsonObject

ActorKind: TypeAlias = Literal["key", "token", "command"]


class Action(StrEnum):
    """What was done: the kind of the object, and what became of it."""

    WORKFLOW_SAVED = "workflow.saved"
    WORKFLOW_ACTIVATED = "workflow.activated"
    WORKFLOW_DEACTIVATED = "workflow.deactivated"
    LEAD_SAVED = "lead.saved"
    LEAD_ERASED = "lead.erased"
    LEADS_IMPORT_BEGAN = "leads.import_began"
    LEADS_IMPORTED = "leads.imported"
    LEAD_READ = "lead.read"
    LEADS_LISTED = "leads.listed"
    RUNS_STARTED = "runs.started"
    RUN_CANCELLED = "run.cancelled"
    RUN_RETRIED = "run.retried"
    EXECUTION_DECIDED = "execution.decided"
    LETTER_REPLAYED = "dead_letter.replayed"
    LETTER_READ = "dead_letter.read"
    JOB_QUEUED = "job.queued"
    JOB_CANCELLED = "job.cancelled"
    KEY_MADE = "key.made"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    KEY_READ = "key.read"
    KEYS_LISTED = "keys.listed"
    WEBHOOK_MADE = "webhook.made"
    WEBHOOK_SAVED = "webhook.saved"
    WEBHOOK_REMOVED = "webhook.removed"
    WEBHOOK_ROTATED = "webhook.rotated"
    WEBHOOK_TESTED = "webhook.tested"
    WEBHOOK_REDELIVERED = "webhook.redelivered"
    CREDENTIAL_SAVED = "credential.saved"
    CREDENTIAL_DELETED = "credential.deleted"
    SUPPRESSION_SAVED = "suppression.saved"
    SUPPRESSIONS_IMPORTED = "suppressions.imported"
    SUPPRESSION_REMOVED = "suppression.removed"
    SENDING_SAVED = "sending.saved"
    WORKSPACE_LIMITED = "workspace.limited"
    ACCESS_REFUSED = "access.refused"
    AUDIT_READ = "audit.read"
    AUDIT_EXPORTED = "audit.exported"


class Origin(NamedTuple):
    """Who acts in which workspace, and from where: a client's address, or a machine's name.

    `actor_id` is the API key's id, the token's subject after `jwt:`, or the user who ran a
    command; `name` is the key's, the subject, or the command.
    """

    workspace: str
    actor_kind: ActorKind
    actor_id: str
    name: str
    address: str


class Entry(NamedTuple):
    """One act. `before` and `after` hold what tells of the change, and nothing confidential."""

    origin: Origin
    action: Action
    object_id: str
    before: JsonObject | None = None
    after: JsonObject | None = None


Describe: TypeAlias = Callable[[Sequence[Any]], Entry | None]
"""The entry for a statement that gave these rows; None if it changed nothing."""
