"""Who may call what: the one table of roles, scopes and routes. What is not in it is refused.

Nothing here knows HTTP; `gateway.auth.guard` asks it.
"""

import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final, TypeAlias


class Role(StrEnum):
    """What somebody is in a workspace; each role may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    EDITOR = "editor"
    OWNER = "owner"


class Scope(StrEnum):
    """One kind of calls. A key may be held to some of its role's."""

    WORKFLOWS_READ = "workflows:read"
    WORKFLOWS_WRITE = "workflows:write"
    LEADS_READ = "leads:read"
    LEADS_WRITE = "leads:write"
    LEADS_ERASE = "leads:erase"
    RUNS_READ = "runs:read"
    RUNS_START = "runs:start"
    CODE_RUN = "code:run"
    JOBS_READ = "jobs:read"
    JOBS_CANCEL = "jobs:cancel"
    LETTERS_READ = "letters:read"
    LETTERS_CONTENT = "letters:content"
    LETTERS_REPLAY = "letters:replay"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    AUDIT_READ = "audit:read"
    CREDENTIALS_READ = "credentials:read"
    CREDENTIALS_WRITE = "credentials:write"
    SENDING_READ = "sending:read"
    SENDING_WRITE = "sending:write"


Route: TypeAlias = tuple[str, str]
"""Method and path, as the OpenAPI document has them."""

LEAST_ROLES: Final[Mapping[Scope, Role]] = {
    Scope.WORKFLOWS_READ: Role.VIEWER,
    Scope.LEADS_READ: Role.VIEWER,
    Scope.RUNS_READ: Role.VIEWER,
    Scope.LEADS_WRITE: Role.OPERATOR,
    Scope.RUNS_START: Role.OPERATOR,
    Scope.JOBS_READ: Role.VIEWER,
    Scope.LETTERS_READ: Role.VIEWER,
    Scope.JOBS_CANCEL: Role.OPERATOR,
    Scope.LETTERS_REPLAY: Role.OPERATOR,
    Scope.LETTERS_CONTENT: Role.EDITOR,
    Scope.WORKFLOWS_WRITE: Role.EDITOR,
    Scope.LEADS_ERASE: Role.EDITOR,
    Scope.CODE_RUN: Role.EDITOR,
    Scope.WEBHOOKS_READ: Role.EDITOR,
    Scope.WEBHOOKS_WRITE: Role.EDITOR,
    Scope.KEYS_READ: Role.OWNER,
    Scope.KEYS_WRITE: Role.OWNER,
    Scope.AUDIT_READ: Role.OWNER,
    Scope.CREDENTIALS_READ: Role.EDITOR,
    Scope.CREDENTIALS_WRITE: Role.OWNER,
    Scope.SENDING_READ: Role.EDITOR,
    Scope.SENDING_WRITE: Role.EDITOR,
}

OF_ALL_WORKFLOWS: Final = frozenset(
    {Scope.CREDENTIALS_WRITE, Scope.AUDIT_READ, Scope.SENDING_WRITE}
)
"""What concerns every workflow of a workspace, and so nobody who is held to some: an account put in
place of another would get what the others send, and all write to an address that was listed."""

_API: Final = "/api/automation"
GUARDED: Final[Mapping[Route, Scope]] = {
    ("GET", f"{_API}/workflows"): Scope.WORKFLOWS_READ,
    ("GET", f"{_API}/workflow/{{workflowId}}"): Scope.WORKFLOWS_READ,
    ("GET", f"{_API}/workflow/{{workflowId}}/versions"): Scope.WORKFLOWS_READ,
    ("GET", f"{_API}/workflow/{{workflowId}}/versions/{{version}}"): Scope.WORKFLOWS_READ,
    ("POST", f"{_API}/workflow"): Scope.WORKFLOWS_WRITE,
    ("GET", f"{_API}/workflow/{{workflowId}}/export"): Scope.WORKFLOWS_READ,
    ("PUT", f"{_API}/workflow/{{workflowId}}"): Scope.WORKFLOWS_WRITE,
    ("POST", f"{_API}/workflow/{{workflowId}}/activate"): Scope.WORKFLOWS_WRITE,
    ("POST", f"{_API}/workflow/{{workflowId}}/deactivate"): Scope.WORKFLOWS_WRITE,
    ("POST", f"{_API}/workflows/validate"): Scope.WORKFLOWS_WRITE,
    ("GET", f"{_API}/lead/{{leadId}}"): Scope.LEADS_READ,
    ("GET", f"{_API}/leads"): Scope.LEADS_READ,
    ("PUT", f"{_API}/lead/{{leadId}}"): Scope.LEADS_WRITE,
    ("DELETE", f"{_API}/lead/{{leadId}}"): Scope.LEADS_ERASE,
    ("POST", f"{_API}/leads"): Scope.LEADS_WRITE,
    ("GET", f"{_API}/run/{{runId}}"): Scope.RUNS_READ,
    ("GET", f"{_API}/run/{{runId}}/events"): Scope.RUNS_READ,
    ("GET", f"{_API}/runs/events"): Scope.RUNS_READ,
    ("GET", f"{_API}/execution/{{executionId}}/status"): Scope.RUNS_READ,
    ("GET", f"{_API}/workflow/{{workflowId}}/logs"): Scope.RUNS_READ,
    ("POST", f"{_API}/workflow/{{workflowId}}/run"): Scope.RUNS_START,
    ("POST", f"{_API}/run/{{runId}}/cancel"): Scope.RUNS_START,
    ("POST", f"{_API}/run/{{runId}}/retry"): Scope.RUNS_START,
    ("POST", f"{_API}/execution/{{executionId}}/decision"): Scope.RUNS_START,
    ("POST", f"{_API}/email/send"): Scope.RUNS_START,
    ("POST", f"{_API}/whatsapp/send"): Scope.RUNS_START,
    ("POST", f"{_API}/google-sheets/process"): Scope.RUNS_START,
    ("POST", f"{_API}/code/execute"): Scope.CODE_RUN,
    ("POST", f"{_API}/code/check"): Scope.CODE_RUN,
    ("POST", f"{_API}/leads/import"): Scope.LEADS_WRITE,
    ("POST", f"{_API}/workflow/{{workflowId}}/runs"): Scope.RUNS_START,
    ("POST", f"{_API}/dead-letters/replay"): Scope.LETTERS_REPLAY,
    ("GET", f"{_API}/jobs"): Scope.JOBS_READ,
    ("GET", f"{_API}/job/{{jobId}}"): Scope.JOBS_READ,
    ("GET", f"{_API}/job/{{jobId}}/faults"): Scope.JOBS_READ,
    ("GET", f"{_API}/job/{{jobId}}/runs"): Scope.JOBS_READ,
    ("POST", f"{_API}/job/{{jobId}}/cancel"): Scope.JOBS_CANCEL,
    ("GET", f"{_API}/dead-letters"): Scope.LETTERS_READ,
    ("GET", f"{_API}/dead-letter/{{letterId}}"): Scope.LETTERS_READ,
    ("GET", f"{_API}/dead-letter/{{letterId}}/content"): Scope.LETTERS_CONTENT,
    ("POST", f"{_API}/dead-letter/{{letterId}}/replay"): Scope.LETTERS_REPLAY,
    ("GET", f"{_API}/webhooks"): Scope.WEBHOOKS_READ,
    ("GET", f"{_API}/webhook/{{webhookId}}"): Scope.WEBHOOKS_READ,
    ("GET", f"{_API}/webhook/{{webhookId}}/deliveries"): Scope.WEBHOOKS_READ,
    ("GET", f"{_API}/webhook/{{webhookId}}/delivery/{{deliveryId}}"): Scope.WEBHOOKS_READ,
    ("POST", f"{_API}/webhooks"): Scope.WEBHOOKS_WRITE,
    ("PUT", f"{_API}/webhook/{{webhookId}}"): Scope.WEBHOOKS_WRITE,
    ("DELETE", f"{_API}/webhook/{{webhookId}}"): Scope.WEBHOOKS_WRITE,
    ("POST", f"{_API}/webhook/{{webhookId}}/rotate"): Scope.WEBHOOKS_WRITE,
    ("POST", f"{_API}/webhook/{{webhookId}}/test"): Scope.WEBHOOKS_WRITE,
    ("POST", f"{_API}/webhook/{{webhookId}}/redeliver"): Scope.WEBHOOKS_WRITE,
    ("POST", f"{_API}/webhook/{{webhookId}}/delivery/{{deliveryId}}/redeliver"): (
        Scope.WEBHOOKS_WRITE
    ),
    ("GET", f"{_API}/keys"): Scope.KEYS_READ,
    ("GET", f"{_API}/key/{{keyId}}"): Scope.KEYS_READ,
    ("POST", f"{_API}/keys"): Scope.KEYS_WRITE,
    ("POST", f"{_API}/key/{{keyId}}/rotate"): Scope.KEYS_WRITE,
    ("DELETE", f"{_API}/key/{{keyId}}"): Scope.KEYS_WRITE,
    ("GET", f"{_API}/audit"): Scope.AUDIT_READ,
    ("GET", f"{_API}/credentials"): Scope.CREDENTIALS_READ,
    ("GET", f"{_API}/credential/{{credentialId}}"): Scope.CREDENTIALS_READ,
    ("PUT", f"{_API}/credential/{{credentialId}}"): Scope.CREDENTIALS_WRITE,
    ("DELETE", f"{_API}/credential/{{credentialId}}"): Scope.CREDENTIALS_WRITE,
    ("POST", f"{_API}/credential/{{credentialId}}/check"): Scope.CREDENTIALS_WRITE,
    ("POST", f"{_API}/suppressions"): Scope.SENDING_WRITE,
    ("POST", f"{_API}/suppressions/import"): Scope.SENDING_WRITE,
    ("GET", f"{_API}/suppressions"): Scope.SENDING_READ,
    ("DELETE", f"{_API}/suppression/{{suppressionId}}"): Scope.SENDING_WRITE,
    ("GET", f"{_API}/sending"): Scope.SENDING_READ,
    ("PUT", f"{_API}/sending/{{channel}}"): Scope.SENDING_WRITE,
}
OPEN: Final[frozenset[Route]] = frozenset(
    {
        ("GET", "/api/health"),
        ("GET", f"{_API}/health"),
        ("GET", f"{_API}/metrics"),
        ("GET", f"{_API}/queue/status"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
    }
)
"""These need no key and no role."""


def scope_of(route: Route) -> Scope | None:
    """What the route needs; None for an open one. Raises `LookupError` for any not in the table."""
    if route in OPEN:
        return None
    if route not in GUARDED:
        raise LookupError(f"{route[0]} {route[1]} is not in gateway.auth.access: say who may call")
    return GUARDED[route]


def methods_at(path: str) -> list[str]:
    """The methods that the path of a call may have."""
    return sorted({method for (method, _), at in _PATTERNS.items() if at.fullmatch(path)})


_PATTERNS: Final = {
    route: re.compile(re.sub(r"\{\w+\}", "[^/]+", route[1])) for route in (*GUARDED, *OPEN)
}


def scopes_of(role: Role, chosen: Collection[Scope] | None = None) -> frozenset[Scope]:
    """What a caller of this role may do, if held to `chosen`; None holds to nothing."""
    rank = list(Role).index
    of_role = frozenset(scope for scope, least in LEAST_ROLES.items() if rank(role) >= rank(least))
    return of_role if chosen is None else of_role & frozenset(chosen)
