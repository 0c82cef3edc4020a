"""Which nodes run, in which order, with which values: joins, branches, conditions, consent."""

import pytest
from mirsal_contracts.leads import Consent, Lead
from mirsal_contracts.workflows import Node
from orchestrator.decide import GraphRefused, compile_plan
from orchestrator.rehearsal import LEAD, Rehearsal, draw


def condition(node_id: str, expression: str) -> Node:
    return Node(id=node_id, type="condition", config={"if": expression})


def mail(node_id: str = "mail", **config: str) -> Node:
    return Node(id=node_id, type="email", config={"subject": "s", "body": "b", **config})


def test_nodes_in_sequence_run_one_after_the_other() -> None:
    run = Rehearsal(draw(["a", "b"], "a>b"))
    run.request()
    assert run.phases == {"a": "queued"}
    run.succeed("a")
    assert run.phases == {"a": "succeeded", "b": "queued"}
    run.succeed("b")
    assert run.status == "succeeded"
    assert [command.node_id for command in run.sent] == ["a", "b"]


def test_branches_run_at_once_and_a_join_waits_for_all() -> None:
    run = Rehearsal(draw(["a", "b", "c", "join"], "a>b", "a>c", "b>join", "c>join"))
    run.request()
    run.succeed("a")
    assert run.phases == {"a": "succeeded", "b": "queued", "c": "queued"}
    run.succeed("c")
    assert "join" not in run.phases
    run.succeed("b")
    assert run.phases["join"] == "queued"


@pytest.mark.parametrize(("score", "taken", "left"), [(8, "high", "low"), (3, "low", "high")])
def test_a_condition_takes_the_connections_of_its_outcome(
    score: int, taken: str, left: str
) -> None:
    graph = draw(
        [condition("if", "run.input.score > 5"), "high", "low", "end"],
        "if>high:true",
        "if>low:false",
        "high>end",
        "low>end",
    )
    run = Rehearsal(graph, given={"score": score})
    run.request()
    assert run.phases == {"if": "succeeded", taken: "queued", left: "skipped"}
    assert run.rows["if"].output == {"result": score > 5}
    error = run.rows[left].error
    assert error is not None
    assert error["code"] == "not_taken"
    run.succeed(taken)
    assert run.phases["end"] == "queued"


def test_skipping_goes_on_down_a_branch_that_is_not_taken() -> None:
    graph = draw([condition("if", "false"), "a", "b", "c"], "if>a:true", "a>b", "b>c")
    run = Rehearsal(graph)
    run.request()
    assert run.phases == {"if": "succeeded", "a": "skipped", "b": "skipped", "c": "skipped"}
    assert run.status == "succeeded"


def test_a_connection_without_when_is_taken_whatever_the_outcome() -> None:
    run = Rehearsal(draw([condition("if", "false"), "always"], "if>always"))
    run.request()
    assert run.phases["always"] == "queued"


@pytest.mark.parametrize("expression", ["1 +", "lead.name", "lead.fields.nothing > 1"])
def test_a_condition_without_a_value_fails_its_node_and_the_run(expression: str) -> None:
    run = Rehearsal(draw([condition("if", expression), "next"], "if>next:true"))
    run.request()
    assert run.phases == {"if": "failed"}
    assert run.status == "failed"
    assert run.now.error is not None
    assert (run.now.error["code"], run.now.error["nodeId"]) == ("condition_error", "if")


def test_two_connections_between_the_same_nodes_count_as_one_of_them() -> None:
    nodes: list[Node | str] = ["end", condition("if", "true"), "a", "b"]
    graph = draw(nodes, "if>end:true", "if>end:false", "a>b", "b>end")
    assert list(compile_plan(graph).steps) == ["if", "a", "b", "end"]
    run = Rehearsal(graph)
    run.request()
    run.succeed("a")
    assert "end" not in run.phases
    run.succeed("b")
    assert run.phases["end"] == "queued"


def test_a_run_without_nodes_has_succeeded() -> None:
    run = Rehearsal(draw([]))
    run.request()
    assert run.status == "succeeded"


def test_templates_see_the_lead_the_input_and_what_earlier_nodes_gave() -> None:
    text = "{{lead.name}}/{{run.input.city}}/{{nodes.mail.output.id}}/{{lead.timeZone}}"
    whatsapp = Node(id="wa", type="whatsapp", config={"text": text})
    run = Rehearsal(draw([mail(), whatsapp], "mail>wa"), given={"city": "القاهرة"})
    run.request()
    run.succeed("mail", {"id": 7})
    assert run.sent[-1].config == {"text": "أحمد محمد/القاهرة/7/", "to": LEAD.phone}


def test_code_is_no_template_but_its_input_is() -> None:
    code = "def main(input):\n    return {'a': '{{ lead.name }} {% x'}"
    config = {"language": "python", "code": code, "input": {"name": "{{lead.name}}"}}
    run = Rehearsal(draw([Node(id="code", type="code", config=config)]))
    run.request()
    assert run.sent[-1].config == {**config, "input": {"name": "أحمد محمد"}}


def test_a_skipped_node_has_no_output_to_show() -> None:
    skipped = Node(id="gone", type="noop")
    last = Node(id="last", type="noop", config={"value": "{{nodes.gone.output.x | default('-')}}"})
    graph = draw([condition("if", "false"), skipped, last], "if>gone:true", "if>last", "gone>last")
    run = Rehearsal(graph)
    run.request()
    assert run.sent[-1].config == {"value": "-"}


def test_a_branch_beside_is_not_seen_even_if_it_is_done() -> None:
    nosy = Node(id="nosy", type="noop", config={"value": "{{nodes.b.output.x | default('-')}}"})
    run = Rehearsal(draw(["a", "b", nosy], "a>nosy"))
    run.request()
    run.succeed("b", {"x": "seen"})
    run.succeed("a")
    assert run.sent[-1].config == {"value": "-"}


def test_a_broken_template_fails_the_node_and_says_where() -> None:
    run = Rehearsal(draw([mail(subject="{{lead.fields.nothing}}"), "next"], "mail>next"))
    run.request()
    assert run.phases == {"mail": "failed"}
    error = run.rows["mail"].error
    assert error is not None
    assert error["code"] == "template_error"
    assert isinstance(error["details"], dict)
    assert error["details"]["pointer"] == "/subject"
    assert not run.sent


def test_values_in_html_are_escaped_and_those_in_text_are_not() -> None:
    lead = Lead(id="l", name="<b>Ali</b>", email="a@example.com")
    graph = draw([mail(body="{{lead.name}}", html="<p>{{lead.name}}</p>")])
    run = Rehearsal(graph, lead=lead)
    run.request()
    assert run.sent[0].config["body"] == "<b>Ali</b>"
    assert run.sent[0].config["html"] == "<p>&lt;b&gt;Ali&lt;/b&gt;</p>"


@pytest.mark.parametrize("to", [None, "", "  "])
def test_without_a_recipient_the_node_fails(to: str | None) -> None:
    graph = draw([mail() if to is None else mail(to=to)])
    run = Rehearsal(graph, lead=Lead(id="l"))
    run.request()
    assert run.now.error is not None
    assert run.now.error["code"] == "missing_recipient"


def test_a_recipient_of_the_config_wins() -> None:
    run = Rehearsal(draw([mail(to="{{lead.fields.other}}")]), lead=LEAD.model_copy(
        update={"fields": {"other": "other@example.com"}}
    ))  # fmt: skip
    run.request()
    assert run.sent[0].config["to"] == "other@example.com"


@pytest.mark.parametrize(
    ("own", "leads", "sent"),
    [
        (None, "Asia/Dubai", "Asia/Dubai"),
        ("UTC", "Asia/Dubai", "UTC"),
        ("{{run.input.zone}}", "Asia/Dubai", "Asia/Riyadh"),
        (None, None, None),
    ],
)
def test_times_are_in_the_leads_zone_unless_the_node_has_its_own(
    own: str | None, leads: str | None, sent: str | None
) -> None:
    config = {"operation": "append", "spreadsheetId": "1", "sheet": "A", "values": {"a": "b"}}
    if own is not None:
        config["timeZone"] = own
    node = Node(id="row", type="google_sheets", config=config)
    lead = LEAD.model_copy(update={"time_zone": leads})
    run = Rehearsal(draw([node]), lead=lead, given={"zone": "Asia/Riyadh"})
    run.request()
    assert run.sent[0].config.get("timeZone") == sent


def test_who_does_not_consent_is_not_messaged_and_the_rest_goes_on() -> None:
    lead = LEAD.model_copy(update={"consent": Consent(email=False)})
    whatsapp = Node(id="wa", type="whatsapp", config={"text": "hi"})
    run = Rehearsal(draw([mail(), whatsapp], "mail>wa"), lead=lead)
    run.request()
    assert run.phases == {"mail": "skipped", "wa": "queued"}
    assert run.rows["mail"].error is not None
    assert run.rows["mail"].error["code"] == "no_consent"
    assert [command.node_id for command in run.sent] == ["wa"]
    run.succeed("wa")
    assert run.status == "succeeded"


def test_consent_that_is_not_known_forbids_nothing() -> None:
    run = Rehearsal(draw([mail()]), lead=LEAD.model_copy(update={"consent": Consent()}))
    run.request()
    assert run.phases == {"mail": "queued"}


def test_a_direct_call_has_the_id_that_its_caller_was_told() -> None:
    told = "01936f2e-8a00-7c11-9d3b-000000000001"
    run = Rehearsal(draw(["only"]), version=0, execution_id=told)
    run.request()
    assert run.sent[0].execution_id == told
    assert run.sent[0].command_id == f"{told}.1"
    assert run.rows["only"].execution_id == told


def test_executions_are_created_in_the_order_of_the_workflow() -> None:
    run = Rehearsal(draw(["a", "b", "c", "d"], "a>b", "a>c", "b>d", "c>d"))
    run.request()
    for node_id in ("a", "c", "b", "d"):
        run.succeed(node_id)
    times = [run.rows[node_id].created_at for node_id in ("a", "b", "c", "d")]
    assert times == sorted(set(times))


def test_the_null_character_is_refused_before_it_is_written() -> None:
    lead = LEAD.model_copy(update={"name": "a\x00b"})
    run = Rehearsal(draw([mail(body="{{lead.name}}")]), lead=lead)
    run.request()
    assert run.now.error is not None
    assert run.now.error["code"] == "null_character"
    assert not run.sent


def test_a_reason_that_names_a_broken_field_can_be_stored() -> None:
    lead = LEAD.model_copy(update={"fields": {"ci\x00ty": 1}})
    run = Rehearsal(draw([mail(body="{{lead.fields.city}}")]), lead=lead)
    run.request()
    assert run.status == "failed"
    assert b"\\u0000" not in run.now.to_json()
    assert "\x00" not in str(run.rows["mail"].error)


def test_an_escape_that_only_looks_like_the_null_character_passes() -> None:
    run = Rehearsal(draw([mail(body="a backslash: \\u0000")]))
    run.request()
    assert run.phases == {"mail": "queued"}


def test_a_config_that_no_topic_takes_is_refused() -> None:
    variables = {str(number): "x" * 400_000 for number in range(6)}
    run = Rehearsal(draw([Node(id="big", type="noop", config={"value": {**variables}})]))
    run.request()
    assert run.now.error is not None
    assert run.now.error["code"] == "config_too_large"
    assert not run.sent


def test_an_output_is_kept_as_far_as_it_can_be() -> None:
    run = Rehearsal(draw(["a", "b"]))
    run.request()
    run.succeed("a", {"text": "a\x00b", "list": ["\x00"]})
    run.succeed("b", {"text": "x" * 600_000})
    assert run.rows["a"].output == {"text": "a\ufffdb", "list": ["\ufffd"]}
    assert run.rows["b"].output is not None
    assert run.rows["b"].output["omitted"] == "output_too_large"
    assert run.status == "succeeded"


@pytest.mark.parametrize(
    ("nodes", "connections", "why"),
    [
        (["a", "a"], [], "same id"),
        (["a", "b"], ["a>b", "b>a"], "circle"),
        (["a"], ["a>a"], "circle"),
        (["a"], ["a>b"], "does not exist"),
        ([Node(id="a", type="pigeon")], [], "unknown type"),
    ],
)
def test_a_graph_that_cannot_be_followed_is_refused(
    nodes: list[Node | str], connections: list[str], why: str
) -> None:
    with pytest.raises(GraphRefused, match=why):
        compile_plan(draw(nodes, *connections))
