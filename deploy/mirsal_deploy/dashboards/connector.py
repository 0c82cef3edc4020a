"""The dashboard of a connector: its attempts, its provider, its ledger and its queue."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from mirsal_deploy.dashboards.panels import Panel, add_row, choice, lines, new_dashboard

_CHOSEN = 'connector_type=~"$connector"'
_RATE = "[$__rate_interval]"


def make() -> Dashboard:
    """The dashboard."""
    made = new_dashboard("connector", "Mirsal: connector", "Attempts and what became of them.")
    made.with_variable(
        choice("connector", "Connector", "label_values(mirsal_attempts_in_flight, connector_type)")
    )
    add_row(made, "Attempts", _attempts())
    add_row(made, "The provider", _provider())
    add_row(made, "Customers' code", _sandbox())
    return made


def _attempts() -> list[Panel]:
    ended = f"rate(mirsal_attempt_outcomes_total{{{_CHOSEN}}}{_RATE})"
    timed = f"sum by (le, connector_type) (rate(mirsal_attempt_seconds_bucket{{{_CHOSEN}}}{_RATE}))"
    return [
        lines(
            "Attempts by outcome",
            "ops",
            (f"sum by (connector_type, outcome) ({ended})", "{{connector_type}} {{outcome}}"),
        ),
        lines(
            "How long attempts take",
            "s",
            (f"histogram_quantile(0.5, {timed})", "{{connector_type}} 0.5"),
            (f"histogram_quantile(0.99, {timed})", "{{connector_type}} 0.99"),
            exemplars=True,
        ),
        lines(
            "Under way",
            "none",
            (
                f"sum by (connector_type) (mirsal_attempts_in_flight{{{_CHOSEN}}})",
                "{{connector_type}}",
            ),
            about="A process has 50 places.",
        ),
        lines(
            "Set aside",
            "none",
            (
                f"sum by (connector_type) (mirsal_attempts_set_aside{{{_CHOSEN}}})",
                "{{connector_type}}",
            ),
            about="Commands whose attempt another process holds; it may be gone.",
        ),
        lines(
            "By workspace",
            "ops",
            (f"topk(10, sum by (workspace) ({ended}))", "{{workspace}}"),
        ),
        lines(
            "Taken over from processes that were gone",
            "ops",
            (
                "sum by (connector_type)"
                f" (rate(mirsal_claims_taken_over_total{{{_CHOSEN}}}{_RATE}))",
                "{{connector_type}}",
            ),
        ),
    ]


def _provider() -> list[Panel]:
    return [
        lines(
            "Put off by the provider, or by a limit kept for it",
            "ops",
            (
                "sum by (connector_type, code)"
                f" (rate(mirsal_provider_throttled_total{{{_CHOSEN}}}{_RATE}))",
                "{{connector_type}} {{code}}",
            ),
        ),
        lines(
            "Calls left in this minute",
            "none",
            (
                f"min by (connector_type, budget) (mirsal_provider_budget_left{{{_CHOSEN}}})",
                "{{connector_type}} {{budget}}",
            ),
        ),
    ]


def _sandbox() -> list[Panel]:
    return [
        lines(
            "Runs of code by outcome",
            "ops",
            (
                f"sum by (language, outcome) (rate(mirsal_sandbox_outcomes_total{_RATE}))",
                "{{language}} {{outcome}}",
            ),
        ),
    ]
