"""The dashboard that one looks at first: is anything wrong, and where."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from mirsal_deploy.alert_rules import budget_of, read_slos
from mirsal_deploy.dashboards.panels import Panel, add_row, lines, new_dashboard, number
from mirsal_deploy.places import ROOT

_API = 'route!~"/api/(automation/)?(health|metrics|queue/status)"'


def make() -> Dashboard:
    """The dashboard."""
    made = new_dashboard("overview", "Mirsal: overview", "Promises, runs, calls and queues.")
    for panel in _numbers():
        made.with_panel(panel)
    add_row(made, "Promises", _promises())
    add_row(made, "Runs and calls", _work())
    add_row(made, "Webhooks and dead letters", _told())
    add_row(made, "Processes", _processes())
    return made


def _numbers() -> list[Panel]:
    return [
        number("Alerts firing", "none", 'count(ALERTS{alertstate="firing"}) or vector(0)', bad=1),
        number(
            "Processes that do not answer",
            "none",
            'count(up{job=~"gateway|orchestrator|.*-worker|code-runner"} == 0) or vector(0)',
            bad=1,
        ),
        number("Runs a second", "ops", "sum(rate(mirsal_runs_ended_total[5m]))"),
        number(
            "Runs that wait for a person",
            "none",
            "sum(max by (status) (mirsal_runs_resting))",
            bad=1,
        ),
        number("Waiting in queues", "none", "sum(mirsal_consumer_lag_records)", bad=10_000),
        number(
            "Dead letters not replayed",
            "none",
            "sum(max by (connector_type) (mirsal_dead_letters_waiting)) or vector(0)",
            bad=1,
        ),
    ]


def _promises() -> list[Panel]:
    about = "Above 1 the budget of 30 days ends before they do. Alerts: docs/runbooks."
    return [
        lines(
            f"How fast the budget burns ({window})",
            "none",
            *(
                (
                    f'slo:bad_ratio:rate{window}{{slo="{slo["name"]}"}} / {budget_of(slo)}',
                    slo["name"],
                )
                for slo in read_slos(ROOT)
            ),
            about=about,
        )
        for window in ("1h", "3d")
    ]


def _work() -> list[Panel]:
    quantile = "histogram_quantile({q}, sum by (le) (rate({series}[$__rate_interval])))"
    calls = f'mirsal_request_seconds_bucket{{{_API},route!~".*/events"}}'
    first = "mirsal_first_command_seconds_bucket"
    return [
        lines(
            "Runs by their end",
            "ops",
            ("sum by (status) (rate(mirsal_runs_ended_total[$__rate_interval]))", "{{status}}"),
        ),
        lines(
            "From the call to the first command",
            "s",
            *((quantile.format(q=q, series=first), f"{q}") for q in (0.5, 0.95, 0.99)),
            exemplars=True,
        ),
        lines(
            "Calls by status",
            "reqps",
            (
                f"sum by (status) (rate(mirsal_request_seconds_count{{{_API}}}[$__rate_interval]))",
                "{{status}}",
            ),
        ),
        lines(
            "How long calls take",
            "s",
            *((quantile.format(q=q, series=calls), f"{q}") for q in (0.5, 0.95, 0.99)),
            exemplars=True,
        ),
        lines(
            "Records that wait",
            "none",
            ("sum by (topic) (mirsal_consumer_lag_records)", "{{topic}}"),
        ),
        lines(
            "Attempts by outcome",
            "ops",
            (
                "sum by (outcome) (rate(mirsal_attempt_outcomes_total[$__rate_interval]))",
                "{{outcome}}",
            ),
        ),
    ]


def _told() -> list[Panel]:
    return [
        lines(
            "Calls of customers' endpoints",
            "ops",
            ("sum by (outcome) (rate(mirsal_webhooks_total[$__rate_interval]))", "{{outcome}}"),
        ),
        lines(
            "How late webhooks are",
            "s",
            ("min(mirsal_webhooks_late_seconds)", "late"),
            about="By our own fault: an endpoint that keeps others waiting does not count.",
        ),
        lines(
            "Webhooks that are dead",
            "none",
            (
                'sum by (workspace) (increase(mirsal_webhooks_total{outcome="dead"}[1h]))',
                "{{workspace}}",
            ),
        ),
        lines(
            "Dead letters not replayed",
            "none",
            (
                "max by (connector_type) (mirsal_dead_letters_waiting)",
                "{{connector_type}}",
            ),
        ),
    ]


def _processes() -> list[Panel]:
    return [
        lines("Processes that answer", "none", ("sum by (job) (up)", "{{job}}")),
        lines(
            "How late the event loops are",
            "s",
            ("max by (job, instance) (mirsal_loop_lag_seconds)", "{{job}} {{instance}}"),
        ),
        lines(
            "Calls turned away",
            "reqps",
            (
                "sum by (instance) (rate(mirsal_requests_shed_total[$__rate_interval]))",
                "{{instance}}",
            ),
        ),
        lines(
            "Runs refused: too many of the workspace under way",
            "ops",
            (
                "sum by (workspace) (rate(mirsal_runs_refused_total[$__rate_interval]))",
                "{{workspace}}",
            ),
        ),
        lines(
            "Spans lost",
            "ops",
            (
                "sum by (job, reason) (rate(mirsal_spans_dropped_total[$__rate_interval]))",
                "{{job}} {{reason}}",
            ),
        ),
    ]
