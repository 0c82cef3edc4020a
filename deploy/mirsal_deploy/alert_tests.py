"""The alerts' tests: from deploy/observability/tests to what promtool runs.

Each case gives series and says at which moment the alert fires, with which labels, or is silent.
promtool's own form wants every annotation again in each test; what alerts say is checked apart.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from mirsal_deploy.places import OBSERVABILITY

INTERVAL: Final = "1m"
Rules = Sequence[Mapping[str, Any]]


class Case(NamedTuple):
    """One test of one alert; `labels` are those that it fires with, None where it is silent.

    `step`: how often the rules are evaluated.
    """

    alert: str
    severity: str
    labels: Mapping[str, str] | None
    at: str
    series: Mapping[str, str]
    step: str


def read_cases(root: Path) -> list[Case]:
    """All cases that are written."""
    return [
        case
        for path in sorted((root / OBSERVABILITY / "tests").glob("*.yaml"))
        for test in yaml.safe_load(path.read_text("utf-8"))
        for case in _cases(test)
    ]


def _cases(test: Mapping[str, Any]) -> Iterator[Case]:
    for kind in ("fires", "silent"):
        for each in test.get(kind, ()):
            yield Case(
                test["alert"],
                test["severity"],
                each.get("labels", {}) if kind == "fires" else None,
                each["at"],
                each["series"],
                each.get("step", test.get("step", INTERVAL)),
            )


def untested(groups: Rules, cases: Sequence[Case]) -> Iterator[str]:
    """Alerts that no case sees firing, or no case sees silent, and cases of no alert."""
    alerts = {
        (rule["alert"], rule["labels"]["severity"])
        for group in groups
        for rule in group["rules"]
        if "alert" in rule
    }
    for wanted, what in ((True, "fires"), (False, "is silent")):
        seen = {(c.alert, c.severity) for c in cases if (c.labels is not None) is wanted}
        yield from (f"{' '.join(each)}: no test in which it {what}" for each in alerts - seen)
        yield from (f"{' '.join(each)}: a test of no alert" for each in seen - alerts)


def unsaid(groups: Rules, cases: Sequence[Case]) -> Iterator[str]:
    """Labels that an alert's words name and that it does not have when it fires."""
    fired = [case for case in cases if case.labels is not None]
    for rule in (rule for group in groups for rule in group["rules"] if "alert" in rule):
        words = " ".join(rule["annotations"].values())
        for case in fired:
            if (case.alert, case.severity) == (rule["alert"], rule["labels"]["severity"]):
                has = {*(case.labels or ()), *rule["labels"]}
                yield from (
                    f"{case.alert}: speaks of {name}, which it does not have"
                    for name in _named(words) - has
                )


def _named(words: str) -> set[str]:
    return {part.split()[0].rstrip("}") for part in words.split("$labels.")[1:]}


def write_tests(groups: Rules, cases: Sequence[Case], folder: Path) -> list[Path]:
    """Write promtool's files into a folder: each group of rules for itself, since the tests of
    one need not evaluate all others; the tests' paths."""
    made = []
    for group in groups:
        own = {rule["alert"]: rule for rule in group["rules"] if "alert" in rule}
        by_step: dict[str, list[Case]] = defaultdict(list)
        for case in cases:
            if case.alert in own:
                by_step[case.step].append(case)
        rules = folder / f"{group['name']}.rules.yaml"
        rules.write_text(yaml.safe_dump({"groups": [group]}), "utf-8")
        for step, some in by_step.items():
            path = folder / f"{group['name']}-{step}.test.yaml"
            document = {
                "rule_files": [str(rules)],
                "evaluation_interval": step,
                "tests": [_promtool_test(case) for case in some],
            }
            path.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
            made.append(path)
    return made


def _promtool_test(case: Case) -> dict[str, Any]:
    chosen = {"alertname": case.alert, "alertstate": "firing", "severity": case.severity}
    expected = []
    if case.labels is not None:
        expected = [{"labels": f"ALERTS{_braces({**chosen, **case.labels})}", "value": 1}]
    return {
        "name": f"{case.alert} {case.severity} {'is silent' if case.labels is None else 'fires'}",
        "interval": INTERVAL,
        "input_series": [{"series": name, "values": text} for name, text in case.series.items()],
        "promql_expr_test": [
            {"expr": f"ALERTS{_braces(chosen)}", "eval_time": case.at, "exp_samples": expected}
        ],
    }


def _braces(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"
