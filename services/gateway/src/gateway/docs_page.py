"""`/openapi.json`, and `/docs`: a page made from it that needs no other server and no script."""

import re
from functools import lru_cache
from html import escape
from string import Template
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute

docs_router = APIRouter(include_in_schema=False, route_class=GuardedRoute)

# The little of Markdown that the document's texts use, after escaping.
_CODE = re.compile(r"`([^`]+)`")
_EMPHASIS = re.compile(r"(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])")
_CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2rem; } details { border: 1px solid #8884; border-radius: 6px; margin: .4rem 0; }
summary { cursor: pointer; padding: .5rem .8rem; } details > div { padding: 0 .8rem .8rem; }
code, pre { font: 13px/1.5 ui-monospace, monospace; } pre { overflow-x: auto; padding: .6rem;
background: #8882; border-radius: 6px; } .method { display: inline-block; width: 3.5rem;
font-weight: 700; } .muted { opacity: .7; }
td { padding: .1rem .8rem .1rem 0; vertical-align: top; }
:root { color-scheme: light dark; }
</style></head><body>
<h1>$title <span class="muted">$version</span></h1>
$description
<p>The whole document, for generating clients: <a href="/openapi.json">/openapi.json</a></p>
$groups
</body></html>
""")


@docs_router.get("/openapi.json")
async def read_openapi(request: Request) -> Response:
    """The OpenAPI document."""
    return Response(_document_json(request.app), media_type="application/json")


@docs_router.get("/docs")
async def read_docs(request: Request) -> Response:
    """The page."""
    return Response(
        _page(request.app),
        media_type="text/html",
        headers={"Content-Security-Policy": _CSP},
    )


@lru_cache(maxsize=4)
def _document_json(app: FastAPI) -> bytes:
    from gateway.openapi import describe

    return orjson.dumps(describe(app))


@lru_cache(maxsize=4)
def _page(app: FastAPI) -> str:
    document = orjson.loads(_document_json(app))
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append(_entry(path, method, operation))
    tags = [(tag["name"], tag["description"]) for tag in document["tags"]]
    parts = [
        f'<h2 id="{_anchor(name)}">{escape(name)}</h2>{_paragraphs(text)}{"".join(groups[name])}'
        for name, text in tags
    ]
    index = " · ".join(f'<a href="#{_anchor(name)}">{escape(name)}</a>' for name, _ in tags)
    return _PAGE.substitute(
        title=escape(document["info"]["title"]),
        version=escape(document["info"]["version"]),
        description=_paragraphs(document["info"]["description"]),
        groups=f"<nav>{index}</nav>{''.join(parts)}",
    )


def _anchor(name: str) -> str:
    return escape(name.lower().replace(" ", "-"))


def _entry(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [_paragraphs(operation.get("description", ""))]
    parts.append(_parameters(operation.get("parameters", [])))
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f'<p class="muted">{escape(media)}</p>')
        parts.extend(_code(example) for example in _examples(content))
    for status, answer in operation["responses"].items():
        parts.append(f"<p><b>{escape(status)}</b> {_line(answer.get('description', ''))}</p>")
        if status.startswith("2"):
            for content in answer.get("content", {}).values():
                parts.extend(_code(example) for example in _examples(content))
    head = (
        f'<span class="method">{escape(method.upper())}</span> <code>{escape(path)}</code> '
        f'<span class="muted">{escape(operation.get("summary", ""))}</span>'
    )
    place = escape(operation["operationId"])
    return f'<details id="{place}"><summary>{head}</summary><div>{"".join(parts)}</div></details>'


def _parameters(parameters: list[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
        f"<td>{_line(each.get('description', ''))}</td></tr>"
        for each in parameters
    )
    return f"<table>{rows}</table>" if rows else ""


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_line(each)}</p>" for each in text.split("\n\n") if each.strip())


def _line(text: str) -> str:
    """Text with its `code` and *emphasis* as HTML; what stands in code is left as it is."""
    pieces = _CODE.split(escape(text))
    return "".join(
        f"<code>{piece}</code>" if index % 2 else _EMPHASIS.sub(r"<em>\1</em>", piece)
        for index, piece in enumerate(pieces)
    )


def _examples(content: dict[str, Any]) -> list[Any]:
    if "example" in content:
        return [content["example"]]
    return [each["value"] for each in content.get("examples", {}).values()]


def _code(example: Any) -> str:
    if isinstance(example, str):
        return f"<pre>{escape(example)}</pre>"
    return f"<pre>{escape(orjson.dumps(example, option=orjson.OPT_INDENT_2).decode())}</pre>"
