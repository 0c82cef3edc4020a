"""The workflow calls."""

from typing import Annotated, Final

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute
from gateway.bodies import read_model
from gateway.documents import gives, refusals, takes
from gateway.paging import Page
from gateway.repeats import REPEATABLE
from gateway.replies import once_of, reply
from gateway.services import actor_of, caller_of, services_of
from gateway.shapes import Identifier
from gateway.workflows.entity_tags import IF_MATCH, IF_NONE_MATCH, expected_versions, tag_of
from gateway.workflows.schemas import (
    MOST_VERSIONS,
    VersionPage,
    WorkflowChecked,
    WorkflowDraft,
    WorkflowExport,
    WorkflowPage,
    WorkflowVersion,
    WorkflowView,
)

router = APIRouter(prefix="/api/automation", tags=["Workflows"], route_class=GuardedRoute)

WORKFLOW_PATH = "/api/automation/workflow/"
WorkflowId = Annotated[str, Path(alias="workflowId", description="The workflow's id.")]

_ETAG: Final = {"ETag": "The version, for `If-Match`."}
DRAFT = {
    "name": "Welcome",
    "description": "Greets a new lead",
    "nodes": [
        {
            "id": "mail",
            "type": "email",
            "config": {"subject": "مرحباً {{lead.name}}", "body": "عزيزي {{lead.name}}"},
        },
        {"id": "chat", "type": "whatsapp", "config": {"text": "أهلاً {{lead.name}}"}},
    ],
    "connections": [{"from": "mail", "to": "chat"}],
    "triggers": [],
}
_VERSION = {
    **DRAFT,
    "workflowId": "welcome",
    "version": 3,
    "createdBy": "local",
    "createdAt": "2026-11-22T13:26:00Z",
}
_VIEW = {
    **_VERSION,
    "id": "6f1f6f0e-5a4c-4d0c-9a43-0d5f3f6f1c11",
    "isActive": True,
    "updatedAt": "2026-11-22T13:26:00Z",
}
_EXPORTED: Final = {*WorkflowExport.model_fields}
_SUMMARY = {
    name: _VIEW[name]
    for name in (
        "workflowId", "version", "name", "description", "isActive", "createdAt", "updatedAt"
    )
}  # fmt: skip


@router.put(
    "/workflow/{workflowId}",
    summary="Save a workflow",
    description="Each save that changes something is a new immutable version; one that says what "
    "the newest version says makes none. Every mistake is named by its JSON pointer.",
    openapi_extra={**takes(WorkflowDraft, DRAFT), "parameters": [IF_MATCH, IF_NONE_MATCH]},
    responses={
        200: gives(WorkflowView, _VIEW, headers=_ETAG),
        201: gives(WorkflowView, {**_VIEW, "version": 1}, headers=_ETAG),
        **refusals(408, 412, 413, 422),
    },
)
async def save_workflow(
    request: Request,
    workflow_id: Annotated[Identifier, Path(alias="workflowId", description="The workflow's id.")],
) -> Response:
    draft = await read_model(request, WorkflowDraft)
    workflows, expected = services_of(request).workflows, expected_versions(request.headers)
    view, is_new = await workflows.save(actor_of(request), workflow_id, draft, expected)
    return reply(view, 201 if is_new else 200, headers={"ETag": tag_of(view.version)})


@router.post(
    "/workflow",
    status_code=201,
    summary="Create a workflow",
    description="As saving one, under an id that the server makes.",
    openapi_extra={**takes(WorkflowDraft, DRAFT), "parameters": [REPEATABLE]},
    responses={
        201: gives(
            WorkflowView, {**_VIEW, "version": 1}, headers={"Location": "The workflow's path."}
        ),
        **refusals(408, 413, 422),
    },
)
async def create_workflow(request: Request) -> Response:
    draft = await read_model(request, WorkflowDraft)
    once = once_of(request, "create-workflow", draft.model_dump_json(by_alias=True).encode())
    view = await services_of(request).workflows.create(actor_of(request), draft, once)
    return reply(view, 201, headers={"Location": WORKFLOW_PATH + view.workflow_id})


@router.post(
    "/workflow/{workflowId}/deactivate",
    summary="Deactivate a workflow",
    description="It takes no starts any more (409); runs and jobs that have begun go on, and calls "
    "of single connectors in its name too.",
    responses={200: gives(WorkflowView, {**_VIEW, "isActive": False}), **refusals(403)},
)
async def deactivate_workflow(request: Request, workflow_id: WorkflowId) -> Response:
    workflows, caller = services_of(request).workflows, actor_of(request)
    return reply(await workflows.set_active(caller, workflow_id, is_active=False))


@router.post(
    "/workflow/{workflowId}/activate",
    summary="Activate a workflow",
    description="It takes starts again, as every workflow does at first.",
    responses={200: gives(WorkflowView, _VIEW), **refusals(403)},
)
async def activate_workflow(request: Request, workflow_id: WorkflowId) -> Response:
    workflows, caller = services_of(request).workflows, actor_of(request)
    return reply(await workflows.set_active(caller, workflow_id, is_active=True))


@router.post(
    "/workflows/validate",
    summary="Validate a definition",
    description="Nothing is saved: what saving would refuse is refused in the same words.",
    openapi_extra=takes(WorkflowDraft, DRAFT),
    responses={200: gives(WorkflowChecked, {"isValid": True}), **refusals(408, 413, 422)},
)
async def validate_workflow(request: Request) -> Response:
    draft = await read_model(request, WorkflowDraft)
    await services_of(request).workflows.check(caller_of(request), draft)
    return reply(WorkflowChecked())


@router.get(
    "/workflow/{workflowId}/export",
    summary="Export a workflow",
    description="Its newest version as a body that `PUT /workflow/{workflowId}` and `POST "
    "/workflow` take, here or in another workspace: credentials that it names must be there.",
    responses={
        200: gives(WorkflowExport, DRAFT, headers={"Content-Disposition": "A name for a file."}),
        **refusals(403),
    },
)
async def export_workflow(request: Request, workflow_id: WorkflowId) -> Response:
    view = await services_of(request).workflows.read(caller_of(request), workflow_id)
    headers = {"Content-Disposition": f'attachment; filename="{view.workflow_id}.json"'}
    return reply(WorkflowExport(**view.model_dump(include=_EXPORTED)), headers=headers)


@router.get(
    "/workflow/{workflowId}",
    summary="Read a workflow",
    responses={200: gives(WorkflowView, _VIEW, headers=_ETAG), **refusals(403)},
)
async def read_workflow(request: Request, workflow_id: WorkflowId) -> Response:
    view = await services_of(request).workflows.read(caller_of(request), workflow_id)
    return reply(view, headers={"ETag": tag_of(view.version)})


@router.get(
    "/workflows",
    summary="List workflows",
    description="Without their nodes.",
    responses={
        200: gives(WorkflowPage, {"items": [_SUMMARY], "nextCursor": None}),
        **refusals(422),
    },
)
async def list_workflows(request: Request, page: Page) -> Response:
    return reply(await services_of(request).workflows.list_workflows(caller_of(request), page))


@router.get(
    "/workflow/{workflowId}/versions",
    summary="List a workflow's versions",
    responses={
        200: gives(
            VersionPage,
            {
                "items": [
                    {
                        name: _VERSION[name]
                        for name in ("workflowId", "version", "name", "createdBy", "createdAt")
                    }
                ],
                "nextCursor": None,
            },
        ),
        **refusals(403, 422),
    },
)
async def list_workflow_versions(request: Request, workflow_id: WorkflowId, page: Page) -> Response:
    workflows = services_of(request).workflows
    return reply(await workflows.list_versions(caller_of(request), workflow_id, page))


@router.get(
    "/workflow/{workflowId}/versions/{version}",
    summary="Read one version",
    responses={200: gives(WorkflowVersion, _VERSION), **refusals(403, 404, 422)},
)
async def read_workflow_version(
    request: Request,
    workflow_id: WorkflowId,
    version: Annotated[int, Path(ge=1, le=MOST_VERSIONS, description="The version's number.")],
) -> Response:
    workflows = services_of(request).workflows
    return reply(await workflows.read_version(caller_of(request), workflow_id, version))
