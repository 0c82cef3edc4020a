"""What the demo works with: the leads of a CSV, and the workflow that they go through."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SUFFIX = ".workflow.json"


class DemoError(Exception):
    """The demo cannot go on; the text says why and what to do."""


@dataclass(frozen=True)
class DemoLead:
    """One line of the CSV, as far as the demo checks it."""

    id: str
    name: str
    email: str
    phone: str
    city: str


@dataclass(frozen=True)
class DemoWorkflow:
    """The definition as it is published, and its three nodes. `row` is texts by column."""

    id: str
    definition: Mapping[str, Any]
    mail: str
    chat: str
    sheet: str
    subject: str
    body: str
    html: str
    text: str
    spreadsheet: str
    tab: str
    row: Mapping[str, str]


@dataclass(frozen=True)
class Story:
    """Who goes through what. `csv` is the leads' file as it is imported."""

    csv: bytes
    leads: tuple[DemoLead, ...]
    workflow: DemoWorkflow


def read_story(leads_file: Path, workflow_file: Path) -> Story:
    """Raises `DemoError` or `OSError` for files that the demo cannot work with."""
    return Story(
        csv=leads_file.read_bytes(),
        leads=read_leads(leads_file),
        workflow=read_workflow(workflow_file),
    )


def read_leads(path: Path) -> tuple[DemoLead, ...]:
    """Raises `DemoError` where two leads share an id, a mailbox or a phone."""
    with path.open(encoding="utf-8", newline="") as file:
        leads = tuple(
            DemoLead(row["leadId"], row["name"], row["email"], row["phone"], row["city"])
            for row in csv.DictReader(file)
        )
    for what in ("id", "email", "phone"):
        if len({getattr(lead, what) for lead in leads}) < len(leads):
            raise DemoError(f"{path}: two leads have the same {what}")
    return leads


def read_workflow(path: Path) -> DemoWorkflow:
    """The workflow of `<id>.workflow.json`; with an e-mail, a WhatsApp text and a row."""
    definition = json.loads(path.read_bytes())
    nodes = {node["type"]: node for node in definition["nodes"]}
    try:
        mail, chat, sheet = nodes["email"], nodes["whatsapp"], nodes["google_sheets"]
        config, row = mail["config"], sheet["config"]
        return DemoWorkflow(
            id=path.name.removesuffix(_SUFFIX),
            definition=definition,
            mail=mail["id"],
            chat=chat["id"],
            sheet=sheet["id"],
            subject=config["subject"],
            body=config["body"],
            html=config["html"],
            text=chat["config"]["text"],
            spreadsheet=row["spreadsheetId"],
            tab=row["sheet"],
            row=row["values"],
        )
    except KeyError as error:
        raise DemoError(
            f"{path}: the demo needs an e-mail, a WhatsApp text and a row of a sheet; no {error}"
        ) from None
