"""Which calls the audit log tells of, and why not of the others. A test walks all routes.

Whatever changes something is in the first table or in the last; a workflow's start only where it
starts more than one run. Reads are not recorded unless
they are in the second: those of people's data and of what secures the workspace.
"""

from collections.abc import Mapping
from typing import Final

from gateway.audit.entries import Action
from gateway.auth.access import Route

_API: Final = "/api/automation"
CHANGES: Final[Mapping[Route, Action]] = {
    ("POST", f"{_API}/workflow"): Action.WORKFLOW_SAVED,
    ("PUT", f"{_API}/workflow/{{workflowId}}"): Action.WORKFLOW_SAVED,
    ("POST", f"{_API}/workflow/{{workflowId}}/activate"): Action.WORKFLOW_ACTIVATED,
    ("POST", f"{_API}/workflow/{{workflowId}}/deactivate"): Action.WORKFLOW_DEACTIVATED,
    ("PUT", f"{_API}/lead/{{leadId}}"): Action.LEAD_SAVED,
    ("DELETE", f"{_API}/lead/{{leadId}}"): Action.LEAD_ERASED,
    ("POST", f"{_API}/leads"): Action.LEADS_IMPORTED,
    ("POST", f"{_API}/workflow/{{workflowId}}/run"): Action.RUNS_STARTED,
    ("POST", f"{_API}/run/{{runId}}/cancel"): Action.RUN_CANCELLED,
    ("POST", f"{_API}/run/{{runId}}/retry"): Action.RUN_RETRIED,
    ("POST", f"{_API}/execution/{{executionId}}/decision"): Action.EXECUTION_DECIDED,
    ("POST", f"{_API}/dead-letter/{{letterId}}/replay"): Action.LETTER_REPLAYED,
    ("POST", f"{_API}/webhooks"): Action.WEBHOOK_MADE,
    ("PUT", f"{_API}/webhook/{{webhookId}}"): Action.WEBHOOK_SAVED,
    ("DELETE", f"{_API}/webhook/{{webhookId}}"): Action.WEBHOOK_REMOVED,
    ("POST", f"{_API}/webhook/{{webhookId}}/rotate"): Action.WEBHOOK_ROTATED,
    ("POST", f"{_API}/webhook/{{webhookId}}/test"): Action.WEBHOOK_TESTED,
    ("POST", f"{_API}/webhook/{{webhookId}}/redeliver"): Action.WEBHOOK_REDELIVERED,
    ("POST", f"{_API}/webhook/{{webhookId}}/delivery/{{deliveryId}}/redeliver"): (
        Action.WEBHOOK_REDELIVERED
    ),
    ("POST", f"{_API}/leads/import"): Action.JOB_QUEUED,
    ("POST", f"{_API}/workflow/{{workflowId}}/runs"): Action.JOB_QUEUED,
    ("POST", f"{_API}/dead-letters/replay"): Action.JOB_QUEUED,
    ("POST", f"{_API}/job/{{jobId}}/cancel"): Action.JOB_CANCELLED,
    ("POST", f"{_API}/keys"): Action.KEY_MADE,
    ("POST", f"{_API}/key/{{keyId}}/rotate"): Action.KEY_ROTATED,
    ("DELETE", f"{_API}/key/{{keyId}}"): Action.KEY_REVOKED,
    ("PUT", f"{_API}/credential/{{credentialId}}"): Action.CREDENTIAL_SAVED,
    ("DELETE", f"{_API}/credential/{{credentialId}}"): Action.CREDENTIAL_DELETED,
    ("POST", f"{_API}/suppressions"): Action.SUPPRESSION_SAVED,
    ("POST", f"{_API}/suppressions/import"): Action.SUPPRESSIONS_IMPORTED,
    ("DELETE", f"{_API}/suppression/{{suppressionId}}"): Action.SUPPRESSION_REMOVED,
    ("PUT", f"{_API}/sending/{{channel}}"): Action.SENDING_SAVED,
}
READS: Final[Mapping[Route, Action]] = {
    ("GET", f"{_API}/lead/{{leadId}}"): Action.LEAD_READ,
    ("GET", f"{_API}/leads"): Action.LEADS_LISTED,
    ("GET", f"{_API}/dead-letter/{{letterId}}/content"): Action.LETTER_READ,
    ("GET", f"{_API}/keys"): Action.KEYS_LISTED,
    ("GET", f"{_API}/key/{{keyId}}"): Action.KEY_READ,
    ("GET", f"{_API}/audit"): Action.AUDIT_READ,
}
_START: Final = "a run tells by itself who started it, when, of what and for whom"
UNRECORDED: Final[Mapping[Route, str]] = {
    ("POST", f"{_API}/email/send"): _START,
    ("POST", f"{_API}/whatsapp/send"): _START,
    ("POST", f"{_API}/google-sheets/process"): _START,
    ("POST", f"{_API}/code/execute"): _START,
    ("POST", f"{_API}/credential/{{credentialId}}/check"): _START,
    ("POST", f"{_API}/workflows/validate"): "it looks at a definition and changes nothing",
    ("POST", f"{_API}/code/check"): "it looks at a text and changes nothing",
}
