"""The dashboard of one lead's journey: the traces of its runs, and where the rest is found."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from mirsal_deploy.dashboards.panels import entry, new_dashboard, note, trace, traces

HOW: Final = """\
**From a lead to what happened to it.**

1. Its runs: `GET /api/automation/workflow/{workflowId}/logs?leadId=`. Each has a `runId` and a \
`traceId`; write them above.
2. Its pseudonym is `mirsal.lead` in any span of them; written above it finds all its runs. It is \
a hash with the key `MIRSAL_TELEMETRY_KEY`: without the key spans name no lead.
3. Log lines of a trace, by compose: `docker compose logs --no-log-prefix | grep <trace id>`; on \
Kubernetes: `kubectl -n mirsal logs -l app.kubernetes.io/component=service --prefix --tail=-1 \
| grep <trace id>`.
4. What a run is now: `GET /api/automation/run/{runId}`.
"""


def make() -> Dashboard:
    """The dashboard."""
    made = new_dashboard("lead", "Mirsal: one lead's journey", "Traces of a lead or a run.")
    made.with_variable(entry("lead", "Lead (pseudonym)"))
    made.with_variable(entry("run", "Run"))
    made.with_variable(entry("trace", "Trace"))
    made.with_panel(note(HOW, high=7))
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
    made.with_panel(trace("The trace", "$trace"))
    return made
