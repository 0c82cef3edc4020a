"""The dashboard of Kafka and PostgreSQL, as the processes see them."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from mirsal_deploy.dashboards.panels import Panel, add_row, choice, lines, new_dashboard

_CHOSEN = 'topic=~"$topic"'
_RATE = "[$__rate_interval]"


def make() -> Dashboard:
    """The dashboard."""
    made = new_dashboard("servers", "Mirsal: Kafka and PostgreSQL", "Queues, pools, statements.")
    made.with_variable(choice("topic", "Topic", "label_values(mirsal_consumer_lag_records, topic)"))
    add_row(made, "Kafka", _kafka())
    add_row(made, "PostgreSQL", _postgres())
    add_row(made, "Timers", _timers())
    return made


def _kafka() -> list[Panel]:
    lag = f"sum by (topic) (mirsal_consumer_lag_records{{{_CHOSEN}}})"
    shrinks = f"-sum by (topic) (deriv(mirsal_consumer_lag_records{{{_CHOSEN}}}[10m]))"
    return [
        lines("Records that wait", "none", (lag, "{{topic}}")),
        lines(
            "Time to drain",
            "s",
            (f"({lag} > 0) / ({shrinks} > 0)", "{{topic}}"),
            about="Of topics whose queue shrinks.",
        ),
        lines(
            "Age of the oldest record that is not done",
            "s",
            (f"max by (topic) (mirsal_consumer_oldest_seconds{{{_CHOSEN}}})", "{{topic}}"),
        ),
        lines(
            "Records read",
            "ops",
            (f"sum by (topic) (rate(mirsal_records_read_total{{{_CHOSEN}}}{_RATE}))", "{{topic}}"),
        ),
        lines(
            "Read and not committed",
            "none",
            (f"sum by (topic) (mirsal_records_open{{{_CHOSEN}}})", "{{topic}}"),
        ),
        lines(
            "Dead letters",
            "ops",
            (
                f"sum by (topic, reason) (rate(mirsal_dead_letters_total{{{_CHOSEN}}}{_RATE}))",
                "{{topic}} {{reason}}",
            ),
        ),
    ]


def _postgres() -> list[Panel]:
    ledger = f"sum by (le, operation) (rate(mirsal_ledger_seconds_bucket{_RATE}))"
    decisions = f"sum by (le) (rate(mirsal_decision_seconds_bucket{_RATE}))"
    sizes = f"sum by (le, stage) (rate(mirsal_batch_size_bucket{_RATE}))"
    return [
        lines(
            "Connections in use",
            "percentunit",
            (
                'sum by (job, instance) (mirsal_pool_connections{state="used"})'
                ' / sum by (job, instance) (mirsal_pool_connections{state="most"})',
                "{{job}} {{instance}}",
            ),
        ),
        lines(
            "A ledger statement, 99th percentile",
            "s",
            (f"histogram_quantile(0.99, {ledger})", "{{operation}}"),
        ),
        lines(
            "A batch's decisions",
            "s",
            (f"histogram_quantile(0.5, {decisions})", "0.5"),
            (f"histogram_quantile(0.99, {decisions})", "0.99"),
        ),
        lines(
            "Items that share a transaction, median",
            "none",
            (f"histogram_quantile(0.5, {sizes})", "{{stage}}"),
        ),
    ]


def _timers() -> list[Panel]:
    return [
        lines(
            "Wake-ups due",
            "none",
            ("max(mirsal_timers_due)", "due"),
            ("max(mirsal_timers_leased)", "sent"),
        ),
        lines("How late the oldest is", "s", ("max(mirsal_timers_late_seconds)", "late")),
        lines(
            "Overdue runs woken again",
            "ops",
            (f"sum(rate(mirsal_runs_swept_total{_RATE}))", "swept"),
        ),
        lines(
            "Old runs removed",
            "ops",
            (f"sum(rate(mirsal_runs_removed_total{_RATE}))", "removed"),
        ),
        lines(
            "Runs that wait for a person",
            "none",
            ("max by (status) (mirsal_runs_resting)", "{{status}}"),
        ),
    ]
