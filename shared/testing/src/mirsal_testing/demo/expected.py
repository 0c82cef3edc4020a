"""What each lead must receive, worked out without the platform's template engine; pure."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirsal_testing.demo.story import DemoError

if TYPE_CHECKING:
    from mirsal_testing.demo.story import DemoLead, DemoWorkflow


@dataclass(frozen=True)
class Expected:
    """The texts of one lead. `html` is a part of the mail's HTML, whose frame is the sender's."""

    subject: str
    body: str
    html: str
    text: str


def expect_for(lead: DemoLead, workflow: DemoWorkflow) -> Expected:
    """Put the lead's values into the workflow's texts by plain replacement."""
    return Expected(
        subject=_fill(workflow.subject, lead.name, lead.city),
        body=_fill(workflow.body, lead.name, lead.city),
        html=_fill(workflow.html, html.escape(lead.name), html.escape(lead.city)),
        text=_fill(workflow.text, lead.name, lead.city),
    )


def _fill(template: str, name: str, city: str) -> str:
    filled = template.replace("{{lead.name}}", name).replace("{{lead.fields.city}}", city)
    if "{{" in filled:
        raise DemoError(
            "the demo checks only {{lead.name}} and {{lead.fields.city}}; "
            f"this text has more: {template}"
        )
    return filled


def same_text(received: str, expected: str) -> bool:
    """Equal but for the ends of lines, which mail writes its own way."""
    return received.replace("\r\n", "\n").strip("\n") == expected.strip("\n")


def has_html(received: str, expected: str) -> bool:
    """Whether the mail's HTML holds the expected part; `'` may be escaped as either number."""
    return _as_escaped(expected) in _as_escaped(received)


def _as_escaped(text: str) -> str:
    return text.replace("\r\n", "\n").replace("&#x27;", "&#39;").replace("&#34;", "&quot;")
