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
from mirsal_deploy.runbook_rules import runbook_faults
from mirsal_deploy.tools import Outcome, Tools

ALERTMANAGER: Final = OBSERVABILITY / "alertmanager.yml"
RECEIVERS: Final = {"page": "pager", "ticket": "tickets"}


def stale_files(root: Path) -> list[str]:
    """Generated files that are not as their sources make them."""
    rules = [f"{path}; run mirsal_deploy.alert_rules" for path in alert_rules.find_stale(root)]
    boards = [f"{path}; run mirsal_deploy.dashboards" for path in generated.find_stale(root)]
    return [f"out of date: {each}" for each in (*rules, *boards)]


def query_faults_of_rules(root: Path) -> list[str]:
    """Rules that ask for what no service exports."""
    catalogue = full_catalogue(root)
    return [
        f"{rule.get('alert') or rule['record']}: {fault}"
        for group in alert_rules.all_groups(root)
        for rule in group["rules"]
        for fault in query_faults(rule["expr"], catalogue)
    ]


def unlike_cases(root: Path) -> list[str]:
    """Alerts without a case, and words that name what an alert does not have."""
    groups, cases = alert_rules.all_groups(root), read_cases(root)
    return [*untested(groups, cases), *unsaid(groups, cases)]


def rule_faults(root: Path, tools: Tools) -> list[str]:
    """The generated files are up to date, and rules ask for what the services export."""
    files = [str(path) for path in (alert_rules.SLO_RULES, alert_rules.SYMPTOM_RULES)]
    told = tools.run("promtool", "check", "rules", "--lint=all", *files, folder=root)
    return [*stale_files(root), *_complaints(told), *query_faults_of_rules(root)]


def case_faults(root: Path, tools: Tools) -> list[str]:
    """Each alert is seen firing and silent, by promtool."""
    faults = unlike_cases(root)
    if faults:
        return faults
    groups, cases = alert_rules.all_groups(root), read_cases(root)
    with TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        files = write_tests(groups, cases, Path(folder))
        ran = pool.map(
            lambda path: tools.run("promtool", "test", "rules", str(path), folder=root), files
        )
        return [fault for told in ran for fault in _complaints(told)]


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


def page_faults(root: Path) -> list[str]:
    """Each alert has a page that says what to do."""
    names = {rule["alert"] for rule in _alerts(root)}
    return list(runbook_faults(root, names, full_catalogue(root)))


def dashboard_faults(root: Path, tools: Tools) -> list[str]:
    """Every query of every dashboard is well formed and can be answered."""
    faults = []
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
