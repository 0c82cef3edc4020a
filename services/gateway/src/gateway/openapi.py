"""`python -m gateway.openapi [--check]`: the OpenAPI document, kept as `docs/openapi.json`.

Nothing in it depends on settings or servers.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from gateway.application import build_app
from gateway.auth.access import LEAST_ROLES, Role, scope_of
from gateway.documents import NAMED_MODELS, restore_nulls
from gateway.links import add_links
from gateway.shapes import Answer

SNAPSHOT = Path("docs/openapi.json")
REFERENCE = "#/components/schemas/{model}"
DESCRIPTION = """Starts workflows for leads and says what became of them.

Every call but the four of *Health* needs the header `x-api-key` (or a Bearer token, where the
installation has an issuer of them), and the scope that it names. Refusals are problem details
(RFC 9457). A query parameter that a call does not have is refused, and so is one that comes twice.
All lists are alike: oldest first, or newest first with `sort=-createdAt`; what was created in some
time with `createdAfter` and `createdBefore`; `nextCursor` leads to the next page, with everything
else as it was, and is null on the last."""


TAGS: Final = {
    "Workflows": "Definitions: what happens to a lead, step by step. Each change is a version.",
    "Leads": "The people that workflows run for: upserted one by one or in bulk, and erased.",
    "Runs": "Start a workflow for a lead, or for many; what became of it.",
    "Executions": "One connector called directly, and how each step of a run went.",
    "Control": "What people decide about a run: cancel, retry, say what happened.",
    "Live events": "Server-sent events of a run, or of all: resumed where they broke off.",
    "Jobs": "Calls for thousands of leads at once, with progress.",
    "Dead letters": "What could not be processed: read it, and have it processed again.",
    "Webhooks": "Where events of runs are sent to, signed.",
    "Credentials": "Accounts that connectors use: written here, shown nowhere.",
    "Sending": "Whom the workspace may not write to, or alone may.",
    "Keys": "Who may call, and what.",
    "Audit": "Who changed or read what, when, from where.",
    "Health": "For probes and dashboards. These calls need no key.",
}
_SPARSE: Final = {"ProblemDetails", "FaultEntry"}
"""Answers whose members are there only where they say something."""
_SOMETHING: Final = object()
_NOTHINGS: Final[tuple[Any, ...]] = (None, {}, [])
_NOT_OURS = "HTTPValidationError"
"""What FastAPI says of a 422 by itself: ours is ProblemDetails."""


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of OpenAPI 3.1."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=f"{DESCRIPTION}\n\n{_describe_roles()}",
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        # Wherever the document itself was fetched from.
        servers=[{"url": "/"}],
        separate_input_output_schemas=False,
    )
    models = sorted(NAMED_MODELS, key=lambda model: model.__name__)
    _, named = models_json_schema(
        [(model, "validation") for model in models], ref_template=REFERENCE
    )
    components = document.setdefault("components", {})
    schemas = {**components.get("schemas", {}), **named.get("$defs", {})}
    components["schemas"] = {
        name: schema
        for name, schema in sorted(schemas.items())
        if name not in {_NOT_OURS, "ValidationError"}
    }
    components["securitySchemes"] = {
        "ApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "Bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    }
    for operation in _operations(document):
        operation["responses"] = {
            status: answer
            for status, answer in operation["responses"].items()
            if _NOT_OURS not in str(answer)
        }
        for body in (operation.get("requestBody", {}), *operation["responses"].values()):
            restore_nulls(body.get("content", {}).get("application/json", {}))
    _type_plainly(components["schemas"])
    _name_scopes(document)
    add_links(document)
    return document


def _type_plainly(schemas: dict[str, Any]) -> None:
    """Have generated clients take what is: members of answers are always there, and what may be
    left out of a body is not there by default (some take a default for a member that must be)."""
    always = {model.__name__ for model in _models_below(Answer)} - _SPARSE
    for name, schema in schemas.items():
        members: dict[str, Any] = schema.get("properties", {})
        for member in members.values():
            member.pop("title", None)
            if name in always or member.get("default", _SOMETHING) in _NOTHINGS:
                member.pop("default", None)
        if name in always and members:
            schema["required"] = [*members]


def _models_below(model: type[Answer]) -> Iterator[type[Answer]]:
    for each in model.__subclasses__():
        yield each
        yield from _models_below(each)


def _name_scopes(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scope = scope_of((method.upper(), path))
            operation["security"] = (
                [] if scope is None else [{"ApiKey": [scope]}, {"Bearer": [scope]}]
            )


def _describe_roles() -> str:
    lines = [
        f"*{role.value.title()}*: "
        + ", ".join(f"`{scope}`" for scope, least in LEAST_ROLES.items() if least is role)
        for role in Role
    ]
    return (
        "A caller has a role, or some of its scopes. Each may what those before it may: "
        + "; ".join(lines)
        + "."
    )


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def _to_text(document: dict[str, Any]) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def _main(arguments: list[str]) -> int:
    text = _to_text(describe(build_app()))
    if arguments == ["--check"]:
        if SNAPSHOT.is_file() and SNAPSHOT.read_text("utf-8") == text:
            return 0
        sys.stderr.write(f"{SNAPSHOT} differs: run python -m gateway.openapi\n")
        return 1
    SNAPSHOT.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
