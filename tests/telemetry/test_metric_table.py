"""docs/TELEMETRY.md's table of metrics is what processes register: names, kinds, labels, owners."""

import re
from pathlib import Path
from typing import get_args

from mirsal_runtime import metrics
from mirsal_runtime.metric_names import OWNERS, MetricName

PAGE = Path(__file__).parents[2] / "docs" / "TELEMETRY.md"
ROW = re.compile(
    r"^\| `((?:automation|mirsal)_\w+)` \| (\w+) \|([\w, ]*)\|([\w, ]+)\|", re.MULTILINE
)


def test_the_table_of_metrics_is_complete_and_true() -> None:
    said = {
        name: (kind, _words(labels), _words(owners))
        for name, kind, labels, owners in ROW.findall(PAGE.read_text("utf-8"))
    }
    true = {
        name: (
            collector._type,
            frozenset(collector._labelnames),
            frozenset(OWNERS[name]),
        )
        for name, collector in metrics.COLLECTORS.items()
    }
    assert said == true


def test_every_name_has_a_metric_and_an_owner() -> None:
    assert set(get_args(MetricName)) == set(metrics.COLLECTORS) == set(OWNERS)


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())
