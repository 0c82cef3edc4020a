"""What each lead must receive, worked out without the platform's template engine; pure."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirsal_testing.demo.story import DemoError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirsal_testing.demo.story import DemoLead, DemoWorkflow


@dataclass(frozen=True)
class Expected:
    """The texts of one lead. `html` is a part of the mail's HTML, whose frame is the sender's.

    `row` is what its row of the sheet says, by column.
    """

    subject: str
    body: str
    html: str
    text: str
    row: Mapping[str, str]


def expect_for(lead: DemoLead, workflow: DemoWorkflow) -> Expected:
    """Put the lead's values into the workflow's texts by plain replacement."""
    values = {
        "lead.name": lead.name,
        "lead.email": lead.email,
        "lead.phone": lead.phone,
        "lead.fields.city": lead.city,
    }
    return Expected(
        subject=_fill(workflow.subject, values),
        body=_fill(workflow.body, values),
        html=_fill(workflow.html, {name: html.escape(text) for name, text in values.items()}),
        text=_fill(workflow.text, values),
        row={column: _fill(text, values) for column, text in workflow.row.items()},
    )


def _fill(template: str, values: Mapping[str, str]) -> str:
    filled = template
    for name, text in values.items():
        filled = filled.replace("{{" + name + "}}", text)
    if "{{" in filled:
        known = ", ".join("{{" + name + "}}" for name in values)
        raise DemoError(f"the demo checks only {known}; this text has more: {template}")
    return filled


def same_text(received: str, expected: str) -> bool:
    """Equal but for the ends of lines, which mail writes its own way."""
    return received.replace("\r\n", "\n").strip("\n") == expected.strip("\n")


def has_html(received: str, expected: str) -> bool:
    """Whether the mail's HTML holds the expected part; `'` may be escaped as either number."""
    return _as_escaped(expected) in _as_escaped(received)


def _as_escaped(text: str) -> str:
    return text.replace("\r\n", "\n").replace("&#x27;", "&#39;").replace("&#34;", "&quot;")
