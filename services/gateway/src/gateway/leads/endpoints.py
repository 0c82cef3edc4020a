"""The lead calls."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute
from gateway.bodies import read_model, stream_body
from gateway.documents import gives, refusals, takes
from gateway.leads.bulk import CsvReader, NdjsonReader, Reader
from gateway.leads.schemas import ImportReport, LeadDraft, LeadErased, LeadPage, LeadView
from gateway.paging import Page
from gateway.problems import Problem
from gateway.replies import acting_call_of, reply
from gateway.services import actor_of, services_of
from gateway.shapes import Identifier

router = APIRouter(prefix="/api/automation", tags=["Leads"], route_class=GuardedRoute)

IMPORT_BYTES = 64 * 1024 * 1024
_READERS: dict[str, type[Reader]] = {
    "application/x-ndjson": NdjsonReader,
    "application/jsonl": NdjsonReader,
    "text/csv": CsvReader,
}

_DRAFT = {
    "name": "أحمد محمد",
    "email": "ahmed@example.com",
    "phone": "+201001234567",
    "locale": "ar-EG",
    "timeZone": "Africa/Cairo",
    "tags": ["new"],
    "fields": {"city": "القاهرة"},
    "consent": {"email": True, "whatsapp": True},
}
_VIEW = {
    **_DRAFT,
    "leadId": "ahmed",
    "id": "ahmed",
    "createdAt": "2026-11-22T13:26:00Z",
    "updatedAt": "2026-11-22T13:26:00Z",
}
_NDJSON = '{"leadId": "ahmed", "name": "أحمد محمد", "email": "ahmed@example.com"}\n'
_CSV = "leadId,name,email,phone,city\nahmed,أحمد محمد,ahmed@example.com,+201001234567,القاهرة\n"

IMPORT_BODY: Final = {
    "required": True,
    "content": {
        "application/x-ndjson": {"schema": {"type": "string"}, "example": _NDJSON},
        "text/csv": {"schema": {"type": "string"}, "example": _CSV},
    },
}


@router.put(
    "/lead/{leadId}",
    summary="Save a lead",
    description="The lead is what the body says: what is left out is empty afterwards. A phone "
    "number is kept in E.164 where its country can be told.",
    openapi_extra=takes(LeadDraft, _DRAFT),
    responses={
        200: gives(LeadView, _VIEW),
        201: gives(LeadView, _VIEW),
        **refusals(408, 413, 422),
    },
)
async def save_lead(
    request: Request,
    lead_id: Annotated[Identifier, Path(alias="leadId", description="The lead's id.")],
) -> Response:
    draft = await read_model(request, LeadDraft)
    view, is_new = await services_of(request).leads.save(actor_of(request), lead_id, draft)
    return reply(view, 201 if is_new else 200)


@router.get(
    "/lead/{leadId}",
    summary="Read a lead",
    responses={200: gives(LeadView, _VIEW), **refusals(404)},
)
async def read_lead(
    request: Request, lead_id: Annotated[str, Path(alias="leadId", description="The lead's id.")]
) -> Response:
    return reply(await services_of(request).leads.read(actor_of(request), lead_id))


@router.delete(
    "/lead/{leadId}",
    summary="Erase a lead",
    description="The lead is gone, and the key with which all that is personal of it was sealed "
    "is destroyed: no message, run, log or dead letter that is left of it can be read any more. "
    "Its runs that go on end as failed, with the error `lead_erased`. A lead of the same id may "
    "be saved again; it has another key. Erasing once more changes nothing, and tells its runs "
    "again; 404 where there is neither the lead nor a run of it. In any case the import jobs that "
    "are under way leave the lead out. What was sent to providers, and rows that were written to "
    "sheets, are not in Mirsal's hands.",
    responses={
        200: gives(LeadErased, {"leadId": "ahmed", "wasThere": True, "runs": 3}),
        **refusals(404),
    },
)
async def erase_lead(
    request: Request, lead_id: Annotated[str, Path(alias="leadId", description="The lead's id.")]
) -> Response:
    call = acting_call_of(request, "erase-lead", lead_id.encode())
    return reply(await services_of(request).leads.erase(call, lead_id))


@router.get(
    "/leads",
    summary="List leads, or find them by an address",
    description="All, or those with an e-mail address, a phone number, or both. Addresses and "
    "numbers are taken as a save takes them: upper or lower case is the same in an address, and a "
    "number without a country code is one of the installation's country. Sealed leads are found by "
    "a blind index: the whole address, never a part of it.",
    responses={
        200: gives(LeadPage, {"items": [_VIEW], "nextCursor": None}),
        **refusals(422),
    },
)
async def list_leads(
    request: Request,
    page: Page,
    email: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=320,
            description="Those with this e-mail address.",
            examples=["ahmed@example.com"],
        ),
    ] = None,
    phone: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=64,
            description="Those with this phone number; in a URL `+` is written `%2B`.",
            examples=["+201001234567"],
        ),
    ] = None,
) -> Response:
    leads = services_of(request).leads
    return reply(await leads.list_leads(actor_of(request), page, email, phone))


@router.post(
    "/leads",
    summary="Import leads",
    description="NDJSON (a lead a line, with its leadId) or CSV (a header line; columns that are "
    "no member of a lead become fields), up to 64 MiB. Each line stands for itself: right ones "
    "are saved, wrong ones are counted and the first 100 faults are named by line and pointer. "
    "The same import again changes nothing more.",
    openapi_extra={"requestBody": IMPORT_BODY},
    responses={
        200: gives(
            ImportReport,
            {
                "received": 200,
                "created": 198,
                "updated": 1,
                "failed": 1,
                "errors": [{"line": 7, "pointer": "/email", "message": "is not an e-mail address"}],
            },
        ),
        **refusals(408, 413, 415, 422),
    },
)
async def import_leads(request: Request) -> Response:
    reader = _READERS[media_type_of(request)]
    chunks = stream_body(request, limit=IMPORT_BYTES)
    report = await services_of(request).leads.import_leads(actor_of(request), chunks, reader())
    return reply(report)


def media_type_of(request: Request) -> str:
    """The media type of an import. Raises a 415 `Problem` for one that is not read."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _READERS:
        known = " or ".join(("application/x-ndjson", "text/csv"))
        raise Problem(415, "media-type", "Unsupported media type", f"Send {known}.")
    return media_type
