"""The calls of jobs, and those that make them."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute
from gateway.bodies import Json, parse, read_body, read_model, stream_body
from gateway.documents import gives, refusals, takes
from gateway.executions.endpoints import IDEMPOTENCY
from gateway.jobs.schemas import (
    FaultPage,
    JobAccepted,
    JobKind,
    JobPage,
    JobRunPage,
    JobStatus,
    JobView,
    ReplayLetters,
    StartRuns,
)
from gateway.jobs.service import JOB_PATH
from gateway.jobs.store import JobFilter
from gateway.leads.endpoints import IMPORT_BODY, IMPORT_BYTES, media_type_of
from gateway.paging import LinePage, Page
from gateway.replies import acting_call_of, reply
from gateway.services import actor_of, caller_of, services_of

router = APIRouter(prefix="/api/automation", tags=["Jobs"], route_class=GuardedRoute)

JobId = Annotated[str, Path(alias="jobId", description="The job's id.")]
_ID: Final = "01936f2e-8a00-7f10-8d2c-33b1c0de5a77"
_ACCEPTED: Final = {"jobId": _ID, "status": "queued", "statusUrl": JOB_PATH + _ID}
_VIEW: Final = {
    "jobId": _ID,
    "kind": "leads_import",
    "status": "running",
    "workflowId": None,
    "total": 20000,
    "done": 7400,
    "failed": 2,
    "created": 7398,
    "updated": 0,
    "error": None,
    "createdBy": "local",
    "createdAt": "2026-11-22T13:26:00Z",
    "startedAt": "2026-11-22T13:26:01Z",
    "updatedAt": "2026-11-22T13:26:04Z",
    "endedAt": None,
}
_FAULTS: Final = {
    "items": [{"line": 7, "pointer": "/email", "message": "is not an e-mail address"}],
    "nextCursor": None,
}

_RUN_ID: Final = "01936f2e-8a00-7c11-9d3b-5f0c2a417e90"
_RUNS: Final = {
    "items": [
        {
            "line": 1,
            "leadId": "ahmed",
            "runId": _RUN_ID,
            "statusUrl": f"/api/automation/run/{_RUN_ID}",
        }
    ],
    "nextCursor": None,
}


def _describe(*statuses: int, **extra: Any) -> dict[str, Any]:
    return {
        "status_code": 202,
        "openapi_extra": {**extra, "parameters": [IDEMPOTENCY]},
        "responses": {
            202: gives(JobAccepted, _ACCEPTED, headers={"Location": "The job's path."}),
            **refusals(408, 409, 413, 422, *statuses),
        },
    }


@router.post(
    "/leads/import",
    summary="Import leads as a job",
    description="As the import of `POST /leads`, but answered once the body is stored: some "
    "gateway saves the leads, and another goes on if it dies. The body must come within 10 "
    "minutes; a job that takes longer than an hour fails, and what was saved stays saved.",
    **_describe(415, requestBody=IMPORT_BODY),
)
async def import_leads_as_job(request: Request) -> Response:
    media_type = media_type_of(request)
    call = acting_call_of(request, "import-leads", b"")
    chunks = stream_body(request, limit=IMPORT_BYTES)
    return _accepted(await services_of(request).jobs.import_leads(call, chunks, media_type))


@router.post(
    "/workflow/{workflowId}/runs",
    summary="Start a workflow for many leads as a job",
    description="The version that is newest now, for up to 20,000 leads. Leads that do not exist "
    "are the job's faults; each other gets one run, whatever happens to the gateways. Where the "
    "workspace may not have so many under way, the job waits for room.",
    **_describe(403, **takes(StartRuns, {"leadIds": ["ahmed", "sara"], "input": {}})),
)
async def start_runs_as_job(
    request: Request,
    workflow_id: Annotated[str, Path(alias="workflowId", description="The workflow's id.")],
) -> Response:
    body = parse(await read_body(request))
    says = workflow_id.encode() + b"\0" + (body.canonical if isinstance(body, Json) else b"")
    call = acting_call_of(request, "start-runs", says)
    return _accepted(await services_of(request).jobs.start_runs(call, workflow_id, body))


@router.post(
    "/dead-letters/replay",
    summary="Replay dead letters as a job",
    description="All that the filter finds among those that died before this call and were never "
    "replayed; `{}` is all. `failed` counts letters that name no run. What becomes of each shows "
    "in the letter.",
    **_describe(**takes(ReplayLetters, {"reason": "unknown_run"}, more={"all": {}})),
)
async def replay_letters_as_job(request: Request) -> Response:
    wanted = await read_model(request, ReplayLetters)
    says = wanted.model_dump_json(by_alias=True).encode()
    call = acting_call_of(request, "replay-letters", says)
    return _accepted(await services_of(request).jobs.replay_letters(call, wanted))


@router.get(
    "/jobs",
    summary="List jobs",
    description="A job is forgotten 7 days after its end.",
    responses={200: gives(JobPage, {"items": [_VIEW], "nextCursor": None}), **refusals(422)},
)
async def list_jobs(
    request: Request,
    page: Page,
    kind: Annotated[JobKind | None, Query(description="Of this kind only.")] = None,
    status: Annotated[JobStatus | None, Query(description="In this status only.")] = None,
) -> Response:
    jobs = services_of(request).jobs
    return reply(await jobs.list_jobs(caller_of(request), JobFilter(kind, status), page))


@router.get(
    "/job/{jobId}",
    summary="Read a job",
    responses={200: gives(JobView, _VIEW), **refusals(404)},
)
async def read_job(request: Request, job_id: JobId) -> Response:
    return reply(await services_of(request).jobs.read(caller_of(request), job_id))


@router.get(
    "/job/{jobId}/faults",
    summary="Read a job's faults",
    responses={200: gives(FaultPage, _FAULTS), **refusals(404, 422)},
)
async def list_job_faults(request: Request, job_id: JobId, page: LinePage) -> Response:
    return reply(await services_of(request).jobs.list_faults(caller_of(request), job_id, page))


@router.get(
    "/job/{jobId}/runs",
    summary="List the runs that a job has started",
    description="In the order of its leads, as far as it has come; those that are its faults have "
    "none. Empty for a job of another kind.",
    responses={200: gives(JobRunPage, _RUNS), **refusals(404, 422)},
)
async def list_job_runs(request: Request, job_id: JobId, page: LinePage) -> Response:
    return reply(await services_of(request).jobs.list_runs(caller_of(request), job_id, page))


@router.post(
    "/job/{jobId}/cancel",
    summary="Cancel a job",
    description="What was done stays done; nothing more is begun. 409 for a job that has ended.",
    responses={200: gives(JobView, {**_VIEW, "status": "cancelled"}), **refusals(404, 409)},
)
async def cancel_job(request: Request, job_id: JobId) -> Response:
    return reply(await services_of(request).jobs.cancel(actor_of(request), job_id))


def _accepted(accepted: JobAccepted) -> Response:
    return reply(accepted, 202, headers={"Location": accepted.status_url})
