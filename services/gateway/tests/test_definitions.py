"""Definitions that cannot run: every mistake with the pointer to it."""

from typing import Any

import orjson
import pytest
from gateway.bodies import fit, parse
from gateway.problems import Problem
from gateway.workflows.schemas import MOST_NODES, WorkflowDraft
from gateway.workflows.validation import find_faults


def mail(name: str = "mail", **config: Any) -> dict[str, Any]:
    """An e-mail node."""
    return {"id": name, "type": "email", "config": {"subject": "s", "body": "b", **config}}


def check(name: str = "check", condition: str = "true") -> dict[str, Any]:
    """A condition node."""
    return {"id": name, "type": "condition", "config": {"if": condition}}


def faults(
    nodes: list[Any], connections: list[Any] | None = None, **more: Any
) -> list[tuple[str, str]]:
    """Pointer and message of all that is wrong."""
    document = {"name": "x", "nodes": nodes, "connections": connections or [], **more}
    draft = fit(WorkflowDraft, parse(orjson.dumps(document)))
    if isinstance(draft, Problem):
        return [(fault.pointer, fault.message) for fault in draft.faults]
    return [(fault.pointer, fault.message) for fault in find_faults(draft)]


def arrow(source: str, target: str, when: str | None = None) -> dict[str, str]:
    """A connection."""
    return {"from": source, "to": target, **({"when": when} if when else {})}


def test_a_right_definition_has_no_fault() -> None:
    nodes = [
        mail("start", to="{{lead.email}}", html="<b>{{lead.fields.city | default('-')}}</b>"),
        check("check", 'lead.locale == "ar" && nodes.start.output.messageId != ""'),
        {
            "id": "chat",
            "type": "whatsapp",
            "config": {"text": '{{nodes["start"].output.messageId}}'},
        },
        mail("other"),
        {
            "id": "end",
            "type": "noop",
            "retry": {"attempts": 2},
            "timeoutSeconds": 5,
            "onUnconfirmed": "resend",
        },
    ]
    connections = [
        arrow("start", "check"),
        arrow("check", "chat", "true"),
        arrow("check", "other", "false"),
        arrow("chat", "end"),
        arrow("other", "end"),
    ]
    triggers = [
        {"type": "schedule", "cron": "0 9 * * 1-5", "timeZone": "Asia/Riyadh"},
        {"type": "webhook"},
        {"type": "api"},
        {"type": "event", "event": "lead.created"},
    ]
    assert faults(nodes, connections, triggers=triggers) == []


@pytest.mark.parametrize(
    ("nodes", "connections", "pointer", "message"),
    [
        ([], [], "/nodes", "needs 1 or more"),
        ([mail(str(n)) for n in range(MOST_NODES + 1)], [], "/nodes", "may have up to 500"),
        (
            [{"id": "a", "type": "fax"}],
            [],
            "/nodes/0/type",
            "not a type of node: take one of code, condition, email",
        ),
        ([mail("a b")], [], "/nodes/0/id", "should match pattern"),
        ([mail("a"), mail("b"), mail("a")], [], "/nodes/2/id", "another node is called a already"),
        ([{**mail(), "retries": 3}], [], "/nodes/0/retries", "is not known here"),
        (
            [{**mail(), "retry": {"attempts": 0}}],
            [],
            "/nodes/0/retry/attempts",
            "greater than or equal to 1",
        ),
        ([{**mail(), "retry": {"attempts": "3"}}], [], "/nodes/0/retry/attempts", "valid integer"),
        (
            [{**mail(), "timeoutSeconds": 601}],
            [],
            "/nodes/0/timeoutSeconds",
            "less than or equal to 600",
        ),
        ([{**mail(), "onUnconfirmed": "hope"}], [], "/nodes/0/onUnconfirmed", "'park' or 'resend'"),
        (
            [{"id": "a", "type": "email", "config": {"subject": "s"}}],
            [],
            "/nodes/0/config/body",
            "is required",
        ),
        ([mail(colour="red")], [], "/nodes/0/config/colour", "is not known here"),
        ([mail(reply_to="a@b.c")], [], "/nodes/0/config/reply_to", "is not known here"),
        ([mail(cc=["a@b.c", 5])], [], "/nodes/0/config/cc", "valid string"),
        (
            [{"id": "w", "type": "whatsapp", "config": {}}],
            [],
            "/nodes/0/config",
            "exactly one of text, template",
        ),
        (
            [
                {
                    "id": "w",
                    "type": "whatsapp",
                    "config": {"text": "a", "media": {"type": "image", "link": "l"}},
                }
            ],
            [],
            "/nodes/0/config",
            "exactly one",
        ),
        (
            [{"id": "w", "type": "whatsapp", "config": {"template": {"name": "n"}}}],
            [],
            "/nodes/0/config/template/language",
            "is required",
        ),
        ([mail(subject="{{lead.name")], [], "/nodes/0/config/subject", "line 1, column"),
        ([mail(body="Hi\n{{ lead.nmae }}")], [], "/nodes/0/config/body", "line 2, column 4"),
        ([mail(body="{{ 'x' * 5000000 }}")], [], "/nodes/0/config/body", "line 1"),
        ([mail(body="{{ lead.__class__ }}")], [], "/nodes/0/config/body", "line 1"),
        (
            [mail(body="{{ nodes.gone.output.x }}")],
            [],
            "/nodes/0/config/body",
            "there is no node gone",
        ),
        (
            [mail("a", body="{{ nodes.b.output.x }}"), mail("b")],
            [],
            "/nodes/0/config/body",
            "reads the output of b, which does not come before",
        ),
        (
            [mail("a", body="{{ nodes.a.output.x }}")],
            [],
            "/nodes/0/config/body",
            "does not come before",
        ),
        ([check("a", "lead.name ==")], [], "/nodes/0/config/if", ""),
        (
            [check("a", "nodes.b.output.x == 1"), mail("b")],
            [],
            "/nodes/0/config/if",
            "does not come before",
        ),
        ([mail("a")], [arrow("a", "b")], "/connections/0/to", "there is no node b"),
        ([mail("a")], [arrow("b", "a")], "/connections/0/from", "there is no node b"),
        ([mail("a")], [arrow("a", "a")], "/connections/0", "cannot wait for itself"),
        (
            [mail("a"), mail("b")],
            [arrow("a", "b"), arrow("a", "b")],
            "/connections/1",
            "is there already",
        ),
        (
            [mail("a"), mail("b")],
            [arrow("a", "b", "true")],
            "/connections/0/when",
            "has no outcomes",
        ),
        (
            [check("a"), mail("b")],
            [arrow("a", "b")],
            "/connections/0",
            'needs "when": "true" or "false"',
        ),
        (
            [check("a"), mail("b")],
            [arrow("a", "b", "maybe")],
            "/connections/0/when",
            'must be "true" or "false"',
        ),
        (
            [mail("a"), mail("b"), mail("c")],
            [arrow("a", "b"), arrow("b", "c"), arrow("c", "b")],
            "/connections/2",
            "wait for each other: b → c → b",
        ),
        (
            [mail("a")],
            [{"from": "a", "to": "a", "if": "x"}],
            "/connections/0/if",
            "is not known here",
        ),
        ([mail("a")], [{"source": "a", "target": "a"}], "/connections/0/from", "is required"),
    ],
)
def test_a_mistake_is_named(
    nodes: list[Any], connections: list[Any], pointer: str, message: str
) -> None:
    found = faults(nodes, connections)
    assert [text for where, text in found if where == pointer and message in text], found


def test_code_is_no_template_but_its_input_is() -> None:
    config = {"language": "python", "code": "{{ nobody. }} {% x", "input": {"a": "{{ nobody. }}"}}
    found = faults([{"id": "a", "type": "code", "config": config}], [])
    assert [where for where, _ in found] == ["/nodes/0/config/input/a"]


@pytest.mark.parametrize(
    ("trigger", "pointer"),
    [
        ({"type": "schedule", "cron": "61 * * * *"}, "/triggers/0/cron"),
        ({"type": "schedule", "cron": "0 0 30 2 *"}, "/triggers/0/cron"),
        (
            {"type": "schedule", "cron": "0 9 * * *", "timeZone": "Mars/Olympus"},
            "/triggers/0/timeZone",
        ),
        (
            {"type": "schedule", "cron": "0 9 * * *", "timeZone": "../etc/passwd"},
            "/triggers/0/timeZone",
        ),
        ({"type": "schedule"}, "/triggers/0/cron"),
        ({"type": "moon"}, "/triggers/0/type"),
        ({"type": "event"}, "/triggers/0/event"),
        ({"type": "api", "x": 1}, "/triggers/0/x"),
    ],
)
def test_a_trigger_is_checked(trigger: dict[str, Any], pointer: str) -> None:
    assert [where for where, _ in faults([mail()], triggers=[trigger])] == [pointer]


def test_all_mistakes_are_named_at_once() -> None:
    nodes = [mail("a", body="{{ lead.nmae }}"), mail("b", subject="{{ x }}"), mail("a")]
    pointers = [pointer for pointer, _ in faults(nodes, [arrow("a", "z")])]
    assert pointers == [
        "/nodes/2/id",
        "/connections/0/to",
        "/nodes/0/config/body",
        "/nodes/1/config/subject",
    ]


def test_a_circle_is_named_whatever_else_is_wrong() -> None:
    nodes = [mail("a"), mail("b"), {"id": "c", "type": "fax"}, mail("d", subject=5)]
    arrows = [arrow("a", "a"), arrow("a", "b"), arrow("x", "a"), arrow("b", "c"), arrow("c", "a")]
    found = faults(nodes, arrows)
    circle = [pointer for pointer, message in found if "a → b → c → a" in message]
    assert circle == ["/connections/4"]
    assert {"/nodes/2/type", "/connections/0", "/connections/2/from", "/nodes/3/config/subject"} < {
        pointer for pointer, _ in found
    }
