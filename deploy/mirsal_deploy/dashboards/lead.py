"""The dashboard of one lead's journey: the traces of its runs, and where the rest is found."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from mirsal_deploy.dashboards.panels import entry, new_dashboard, note, traces

HOW: Final = """\
**From a lead to what happened to it.** Write the lead's pseudonym or a run's id above.

1. The pseudonym stands in every log line and span of the lead (`mirsal.lead`); the runs of a lead \
are in `GET /api/automation/workflow/{workflowId}/logs?leadId=`.
2. Each row below is a trace: from the call to the provider's answer, waits and retries linked.
3. The log lines of a trace, where the platform runs by compose: \
`docker compose logs --no-log-prefix | grep <trace id>`; on Kubernetes: \
`kubectl -n mirsal logs -l app.kubernetes.io/component=service --prefix --tail=-1 \
| grep <trace id>`.
4. What the lead's run is now: `GET /api/automation/run/{runId}`.
"""


def make() -> Dashboard:
    """The dashboard."""
    made = new_dashboard("lead", "Mirsal: one lead's journey", "Traces of a lead or a run.")
    made.with_variable(entry("lead", "Lead (pseudonym)"))
    made.with_variable(entry("run", "Run"))
    made.with_panel(note(HOW, high=6))
    made.with_panel(
        traces(
            "The lead's runs",
            "orchestrator",
            'mirsal.lead="$lead"',
            "Each is a trace; a click leads to its spans.",
        )
    )
    made.with_panel(
        traces(
            "The run, decision by decision",
            "orchestrator",
            'mirsal.run_id="$run"',
            "Also decisions whose traces were begun by a timer or by a person.",
        )
    )
    return made
