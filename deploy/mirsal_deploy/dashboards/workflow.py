"""The dashboard of a workflow: what it did, how well, and how long it took."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from mirsal_deploy.dashboards.panels import choice, lines, new_dashboard, number

# As the orchestrators count: each its own, so that they are summed.
_CHOSEN = 'job="orchestrator",workflow_id=~"$workflow"'
_TIMED = f"automation_execution_duration_seconds_bucket{{{_CHOSEN}}}"


def make() -> Dashboard:
    """The dashboard."""
    made = new_dashboard("workflow", "Mirsal: workflow", "The executions of a workflow's nodes.")
    made.with_variable(
        choice("workflow", "Workflow", "label_values(automation_executions_total, workflow_id)")
    )
    ended = f"sum(increase(automation_executions_total{{{_CHOSEN}}}[$__range]))"
    for status in ("succeeded", "failed", "unconfirmed", "skipped", "cancelled"):
        count = ended.replace("}", f',status="{status}"}}')
        bad = 1 if status in ("failed", "unconfirmed") else None
        made.with_panel(number(status.capitalize(), "none", f"{count} or vector(0)", bad=bad))
    made.with_panel(
        number(
            "Failed or unconfirmed",
            "percentunit",
            f"(sum(rate(automation_executions_total{{{_CHOSEN},"
            'status=~"failed|unconfirmed"}[$__range])) or vector(0))'
            f" / sum(rate(automation_executions_total{{{_CHOSEN}}}[$__range]))",
            bad=0.01,
        )
    )
    rate = f"rate(automation_executions_total{{{_CHOSEN}}}[$__rate_interval])"
    made.with_panel(
        lines("Executions by status", "ops", (f"sum by (status) ({rate})", "{{status}}"))
    )
    made.with_panel(
        lines(
            "Executions by connector",
            "ops",
            (f"sum by (connector_type) ({rate})", "{{connector_type}}"),
        )
    )
    timed = f"sum by (le, connector_type) (rate({_TIMED}[$__rate_interval]))"
    for quantile, name in ((0.5, "Median"), (0.95, "95th percentile")):
        made.with_panel(
            lines(
                f"From an execution's start to its end: {name.lower()}",
                "s",
                (f"histogram_quantile({quantile}, {timed})", "{{connector_type}}"),
                exemplars=True,
            )
        )
    made.with_panel(
        lines(
            "Workflows with most failures",
            "ops",
            (
                "topk(10, sum by (workflow_id) (rate(automation_executions_total"
                '{job="orchestrator",status=~"failed|unconfirmed"}[$__rate_interval])))',
                "{{workflow_id}}",
            ),
            about="Of all workflows, whatever is chosen above.",
        )
    )
    made.with_panel(
        lines(
            "Busiest workflows",
            "ops",
            (
                "topk(10, sum by (workflow_id) (rate(automation_executions_total"
                '{job="orchestrator"}[$__rate_interval])))',
                "{{workflow_id}}",
            ),
            about="Of all workflows, whatever is chosen above.",
        )
    )
    return made
