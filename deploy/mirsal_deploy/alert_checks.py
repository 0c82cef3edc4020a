"""What `make validate-deploy` finds wrong with alerts, their tests and routes, and dashboards."""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml

from mirsal_deploy import alert_rules
from mirsal_deploy.alert_tests import read_cases, unsaid, untested, write_tests
from mirsal_deploy.dashboards import generated
from mirsal_deploy.metric_catalogue import Series, read_catalogue
from mirsal_deploy.places import COMPOSE, OBSERVABILITY
from mirsal_deploy.query_rules import query_faults, without_variables
from mirsal_deploy.tools import Outcome, Tools

ALERTMANAGER: Final = OBSERVABILITY / "alertmanager.yml"
RECEIVERS: Final = {"page": "pager", "ticket": "tickets"}
HEADINGS: Final = ("## What it means", "## Look at", "## Do")


def rule_faults(root: Path, tools: Tools) -> list[str]:
    """The rule files are those of SLOs and alerts, and ask for what the services export."""
    stale = alert_rules.find_stale(root)
    faults = [f"out of date: {path}; run mirsal_deploy.alert_rules" for path in stale]
    files = [str(path) for path in (alert_rules.SLO_RULES, alert_rules.SYMPTOM_RULES)]
    told = tools.run("promtool", "check", "rules", "--lint=all", *files, folder=root)
    faults += _complaints(told)
    catalogue = full_catalogue(root)
    for group in alert_rules.all_groups(root):
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            faults += [f"{name}: {fault}" for fault in query_faults(rule["expr"], catalogue)]
    return faults


def case_faults(root: Path, tools: Tools) -> list[str]:
    """Each alert is seen firing and silent, by promtool."""
    groups, cases = alert_rules.all_groups(root), read_cases(root)
    faults = [*untested(groups, cases), *unsaid(groups, cases)]
    with TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        files = write_tests(groups, cases, Path(folder))
        ran = pool.map(
            lambda path: tools.run("promtool", "test", "rules", str(path), folder=root), files
        )
        return faults + [fault for told in ran for fault in _complaints(told)]


def route_faults(root: Path, tools: Tools) -> list[str]:
    """Alertmanager's file is one, and each alert reaches who must act."""
    told = tools.run("amtool", "check-config", str(ALERTMANAGER), folder=root)
    if told.code != 0:
        return _complaints(told)
    text = (root / OBSERVABILITY / "routes.yaml").read_text("utf-8")
    wanted = [(each["labels"], each["receiver"]) for each in yaml.safe_load(text)]
    wanted += [
        ({"alertname": rule["alert"], **rule["labels"]}, RECEIVERS[rule["labels"]["severity"]])
        for rule in _alerts(root)
    ]
    names = {rule["alert"] for rule in _alerts(root)}
    with ThreadPoolExecutor(4) as pool:
        tried = pool.map(lambda each: _route_faults(root, tools, *each), wanted)
        faults = [fault for found in tried for fault in found]
    return faults + [
        f"inhibits by {name}, which is no alert" for name in sorted(_inhibited(root) - names)
    ]


def runbook_faults(root: Path) -> list[str]:
    """Each alert has a page that says what to do, and no page is of no alert."""
    names = {rule["alert"] for rule in _alerts(root)}
    pages = {path.stem: path for path in (root / alert_rules.RUNBOOKS).glob("[A-Z]*.md")}
    faults = [f"{name}: has no page in {alert_rules.RUNBOOKS}" for name in names - pages.keys()]
    faults += [f"{name}.md: is of no alert" for name in pages.keys() - names - {"README"}]
    catalogue = full_catalogue(root)
    for name in sorted(names & pages.keys()):
        text = pages[name].read_text("utf-8")
        faults += [f"{name}.md: has no {head!r}" for head in HEADINGS if head not in text]
        spoken = set(re.findall(r"\b(?:mirsal|automation)_[a-z_]+\b", text))
        families = {re.sub(r"_(bucket|count|sum)$", "", series) for series in catalogue}
        modules = {"mirsal_runtime", "mirsal_deploy", "mirsal_testing"}
        unknown = spoken - families - catalogue.keys() - modules
        faults += [f"{name}.md: speaks of {each}, which nobody exports" for each in sorted(unknown)]
    return faults


def dashboard_faults(root: Path, tools: Tools) -> list[str]:
    """The dashboards are those of the code, and every query can be answered."""
    stale = generated.find_stale(root)
    faults = [f"out of date: {path}; run mirsal_deploy.dashboards" for path in stale]
    catalogue = full_catalogue(root)
    rules: list[dict[str, str]] = []
    for path, query in generated.read_queries(root):
        plain = without_variables(query)
        faults += [f"{path.name}: {fault}" for fault in query_faults(plain, catalogue)]
        rules.append({"record": f"query:{len(rules)}", "expr": plain})
    with TemporaryDirectory() as folder:
        file = Path(folder) / "queries.yaml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), "utf-8")
        return faults + _complaints(tools.run("promtool", "check", "rules", str(file), folder=root))


def mount_faults(root: Path) -> Iterator[str]:
    """Each file of rules and each dashboard is mounted where Prometheus and Grafana look."""
    document = yaml.safe_load((root / COMPOSE).read_text("utf-8"))
    files = {Path(each["file"]): name for name, each in document["configs"].items()}
    wanted = {
        "prometheus": [alert_rules.SLO_RULES, alert_rules.SYMPTOM_RULES],
        "alertmanager": [ALERTMANAGER],
        "grafana": [path.relative_to(root) for path in (root / generated.FOLDER).glob("*.json")],
    }
    for service, paths in wanted.items():
        mounted = {each["source"] for each in document["services"][service].get("configs", ())}
        for path in paths:
            if files.get(path) not in mounted:
                yield f"{service}: does not have {path}"


def full_catalogue(root: Path) -> Mapping[str, Series]:
    """What the services export, and what the rules record of it."""
    records = {
        rule["record"]: Series(frozenset(rule["labels"]), grows=False)
        for group in alert_rules.all_groups(root)
        for rule in group["rules"]
        if "record" in rule
    }
    return {**read_catalogue(), **records}


def _route_faults(
    root: Path, tools: Tools, labels: Mapping[str, str], receiver: str
) -> Iterator[str]:
    words = [f"{name}={value}" for name, value in labels.items()]
    options = (f"--config.file={ALERTMANAGER}", f"--verify.receivers={receiver}")
    told = tools.run("amtool", "config", "routes", "test", *options, *words, folder=root)
    if told.code != 0:
        yield f"{' '.join(words)}: does not reach {receiver}: {told.complaint}"


def _inhibited(root: Path) -> set[str]:
    document = yaml.safe_load((root / ALERTMANAGER).read_text("utf-8"))
    matchers = [
        matcher
        for rule in document["inhibit_rules"]
        for side in ("source_matchers", "target_matchers")
        for matcher in rule[side]
    ]
    values = [re.findall(r'alertname=~?"([^"]+)"', matcher) for matcher in matchers]
    return {name for found in values for value in found for name in value.split("|")}


def _alerts(root: Path) -> list[dict[str, Any]]:
    groups = alert_rules.all_groups(root)
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def _complaints(told: Outcome) -> list[str]:
    return [] if told.code == 0 else [line for line in told.complaint.splitlines() if line.strip()]
