"""Each check of `make validate-deploy` finds what is wrong with a broken copy."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from mirsal_deploy import alert_checks
from mirsal_deploy.image_rules import compose_faults, dockerfile_faults
from mirsal_deploy.places import ROOT, version_of
from mirsal_deploy.tools import Tools
from mirsal_deploy.validate import CHECKS, Deployment

DOCKERFILE = "services/email-worker/Dockerfile"
COMPOSE = "docker-compose.yml"
K8S = "deploy/k8s"
WATCH = "deploy/observability"
MAIL, DOOR = version_of(ROOT, "email-worker"), version_of(ROOT, "gateway")
STUCK = "docs/runbooks/RunsStuck.md"


class Break(NamedTuple):
    """A text that stands in a file, what stands there instead, and what the check then says."""

    check: str
    file: str
    old: str
    new: str
    says: str


BREAKS = [
    Break("Dockerfiles", DOCKERFILE, "WORKDIR /src", "WORKDIR src", "DL3000"),
    Break("docker-compose.yml", COMPOSE, "read_only: true", "read_onli: true", "read_onli"),
    Break("kustomize", f"{K8S}/gateway/kustomization.yaml", "- route.yaml", "- rout.yaml", "rout"),
    Break(
        "kustomize",
        f"{K8S}/overlays/prod/kustomization.yaml",
        "resources:",
        "namePrefix: x-\nresources:",
        "not in production as in its folder",
    ),
    Break("schemas", f"{K8S}/gateway/workload.yaml", "minReadySec", "minReadzSec", "minReadz"),
    Break("schemas", f"{K8S}/gateway/route.yaml", "timeouts", "timeout", "HTTPRoute gateway"),
    Break("schemas", f"{K8S}/email-worker/scaling.yaml", "pollingI", "polingI", "ScaledObject"),
    Break("schemas", f"{K8S}/email-worker/service.yaml", "interval: 15s", "interval: 15", "15"),
    Break("pods", f"{K8S}/email-worker/workload.yaml", "MIRSAL_SMTP_HOST", "MIRSAL_X", "nobody"),
    Break(
        "pods",
        f"{K8S}/overlays/prod/kustomization.yaml",
        "resources:",
        "components: [../../components/dev]\nresources:",
        "that is for development",
    ),
    Break("platform", f"{K8S}/email-worker/scaling.yaml", "Count: 8", "Count: 9", "partitions"),
    Break(
        "platform",
        "shared/contracts/topics/node.commands.email.v1.yaml",
        "partitions: 8",
        "partitions: 4",
        "ScaledObject email-worker: more processes",
    ),
    Break(
        "Kafka's objects",
        "shared/contracts/topics/node.statuses.v1.yaml",
        "code-runner, ",
        "",
        "code-runner/kafka.yaml",
    ),
    Break(
        "good practice",
        f"{K8S}/email-worker/workload.yaml",
        ", ephemeral-storage: 512Mi",
        "",
        "phemeral",
    ),
    Break("Prometheus", "deploy/compose/prometheus.yml", "job_name", "job_nam", "job_nam"),
    Break("alert rules", f"{WATCH}/rules/symptoms.yaml", "for: 3m", "for: 3 min", "not a valid"),
    Break("alert tests", f"{WATCH}/alerts.yaml", "seconds) > 120", "seconds) > 1200", "RunsStuck"),
    Break("alert routes", f"{WATCH}/alertmanager.yml", "group_wait", "group_wai", "group_wai"),
    Break(
        "alert routes",
        f"{WATCH}/alertmanager.yml",
        """- receiver: tickets
      matchers: [severity="ticket"]""",
        """- receiver: tickets
      matchers: [severity="slow"]""",
        "severity=ticket: does not reach tickets",
    ),
    Break("runbooks", STUCK, "## Do", "## Done", "has no '## Do"),
    Break("dashboards", f"{WATCH}/dashboards/servers.json", "max by", "maxx by", "maxx"),
]

# Found without any tool.
FILE_BREAKS = [
    Break("Dockerfiles", DOCKERFILE, "COPY shared/runtime shared/runtime\n", "", "copies"),
    Break("Dockerfiles", DOCKERFILE, "USER 10001:10001", "USER root", "does not run as 10001"),
    Break("Dockerfiles", DOCKERFILE, '"email_worker"]', '"gateway"]', "does not run email_worker"),
    Break("Dockerfiles", DOCKERFILE, f'version="{MAIL}"', 'version="99"', f"version {MAIL}"),
    Break("Dockerfiles", DOCKERFILE, "uv sync --frozen", "uv sync", "uv.lock"),
    Break("Dockerfiles", DOCKERFILE, "python settle_pack", "python x", "another image at each"),
    Break("docker-compose.yml", COMPOSE, "read_only: true", "read_only: false", "may write"),
    Break("docker-compose.yml", COMPOSE, "cap_drop: [ALL]", "cap_drop: [KILL]", "capabilities"),
    Break("docker-compose.yml", COMPOSE, "valkey:9.1.2", "valkey:latest", "say which version"),
    Break("docker-compose.yml", COMPOSE, f"gateway:{DOOR}", "gateway:99", "gateway:99"),
    Break("docker-compose.yml", COMPOSE, "MIRSAL_SMTP_HOST:", "MIRSAL_SMPT_HOST:", "needs MIRSAL_"),
    Break("docker-compose.yml", COMPOSE, "export MIRSAL_ID_SECRET", "export X", "needs MIRSAL_ID"),
    Break("docker-compose.yml", COMPOSE, "8081/ready", "8082/ready", "does not ask :8081/ready"),
    Break("docker-compose.yml", COMPOSE, '"127.0.0.1:8000:8000"', '"8000:8000"', "publishes"),
    Break("docker-compose.yml", COMPOSE, "MIRSAL_TELEMETRY_KEY_FILE:", "HOME:", "hides leads"),
    Break(
        "docker-compose.yml",
        COMPOSE,
        "  MIRSAL_ALLOW_PLAINTEXT:",
        "  MIRSAL_LOG_LEVEL:",
        "orchestrator: does not start: KAFKA_BOOTSTRAP_SERVERS",
    ),
    Break(
        "docker-compose.yml",
        COMPOSE,
        ', MIRSAL_ALLOW_PLAINTEXT: "true"}',
        "}",
        "email-worker-migrate: does not start: DATABASE_URL",
    ),
    Break("docker-compose.yml", COMPOSE, "gateway-state:/var/lib/mirsal", "x:/y", "has no volume"),
    Break(
        "docker-compose.yml",
        COMPOSE,
        "      email-worker-migrate: {condition: service_completed_successfully}\n",
        "",
        "email-worker: does not wait for its schema",
    ),
]
WATCH_BREAKS = [
    Break("mounts", COMPOSE, "{source: slo-rules,", "{source: slo-rule,", "slos.yaml"),
    Break("mounts", COMPOSE, "{source: dashboard-lead,", "{source: dashboard-led,", "lead.json"),
    Break("queries", f"{WATCH}/alerts.yaml", "(mirsal_runs_stuck", "(mirsal_stuck", "no service"),
    Break("queries", f"{WATCH}/alerts.yaml", '{status="paused"}', '{state="paused"}', "for state"),
    Break("queries", f"{WATCH}/alerts.yaml", "by (topic, reason)", "by (topic, code)", "by code"),
    Break(
        "queries", f"{WATCH}/alerts.yaml", "sum(rate(mirsal_req", "sum(deriv(mirsal_req", "deriv"
    ),
    Break(
        "queries",
        f"{WATCH}/alerts.yaml",
        "max(mirsal_runs_stuck",
        "rate(mirsal_runs_stuck",
        "RunsS",
    ),
    Break("queries", f"{WATCH}/alerts.yaml", '"box_died"', '"box_gone"', "outcome box_gone"),
    Break("queries", f"{WATCH}/slos.yaml", "transient|expired", "trans|expired", "outcome trans"),
    Break("queries", f"{WATCH}/slos.yaml", 'le="0.25"', 'le="0.2"', "the bucket 0.2"),
    Break("queries", f"{WATCH}/slos.yaml", 'le="5.0"', 'le="5"', "the bucket 5"),
    Break(
        "cases", f"{WATCH}/tests/symptoms.yaml", "t: PausedWaits", "t: Paused", "PausedWaits ticket"
    ),
    Break("cases", f"{WATCH}/tests/symptoms.yaml", "t: PausedWaits", "t: Paused", "of no alert"),
    Break(
        "cases", f"{WATCH}/tests/slos.yaml", "  silent: [{at: 1d1h, series: *quick}]", "", "silent"
    ),
    Break("cases", f"{WATCH}/alerts.yaml", "$labels.topic }} needs", "$labels.x }} needs", "of x"),
    Break(
        "generated", f"{WATCH}/slos.yaml", "objective: 99.9", "objective: 99.8", "rules/slos.yaml"
    ),
    Break("generated", f"{K8S}/base/alerts.yaml", "severity: page", "severity: p", "base/alerts"),
    Break(
        "generated", f"{WATCH}/dashboards/lead.json", '"schemaVersion"', '"schemaV"', "lead.json"
    ),
    Break("runbooks", STUCK, "mirsal_timers_due", "mirsal_timers_dew", "no service exports"),
    Break("runbooks", STUCK, "runs_overdue", "runs_overdew", "which no code says"),
    Break("runbooks", STUCK, "/run/<run>/cancel", "/runs/<run>/end", "which is not there"),
    Break("runbooks", "docs/RELEASING.md", "sts/orch", "deploy/orch", "there is none"),
    Break("runbooks", "docs/runbooks/QueueNotRead.md", "MIRSAL_DEAD", "MIRSAL_DED", "nobody reads"),
    Break("runbooks", "docs/runbooks/ProviderBudgetSpent.md", "../SHEETS", "../SHEET", "leads to"),
    Break(
        "runbooks",
        f"{WATCH}/alerts.yaml",
        "alert: LoopLags",
        "alert: Loops",
        "LoopLags.md: is of no",
    ),
    Break(
        "runbooks", f"{WATCH}/alerts.yaml", "alert: LoopLags", "alert: Loops", "Loops: has no page"
    ),
]
FILE_RULES: Mapping[str, Callable[[Path], list[str]]] = {
    "Dockerfiles": dockerfile_faults,
    "docker-compose.yml": compose_faults,
    "mounts": lambda root: list(alert_checks.mount_faults(root)),
    "queries": alert_checks.query_faults_of_rules,
    "cases": alert_checks.unlike_cases,
    "generated": alert_checks.stale_files,
    "runbooks": alert_checks.page_faults,
}


def name_of(broken: Break) -> str:
    """The test's name."""
    return f"{broken.check}: {broken.new or broken.old}"


def break_copy(broken: Break, tree: Path) -> None:
    """Have the text in the copy as the break says."""
    file = tree / broken.file
    text = file.read_text("utf-8")
    assert broken.old in text
    file.write_text(text.replace(broken.old, broken.new), "utf-8")


@pytest.mark.parametrize("rule", FILE_RULES)
def test_whole_files_are_good(rule: str, tree: Path) -> None:
    assert FILE_RULES[rule](tree) == []


@pytest.mark.parametrize("broken", [*FILE_BREAKS, *WATCH_BREAKS], ids=name_of)
def test_a_broken_file_is_found(broken: Break, tree: Path) -> None:
    break_copy(broken, tree)
    faults = FILE_RULES[broken.check](tree)
    assert any(broken.says in fault for fault in faults), faults


def test_every_check_is_broken_by_some_copy() -> None:
    assert {each.check for each in BREAKS} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_a_whole_copy_is_good(check: str, tree: Path, tools: Tools) -> None:
    assert CHECKS[check](Deployment(tree, tools)) == []


@pytest.mark.parametrize("broken", BREAKS, ids=name_of)
def test_a_broken_copy_is_found(broken: Break, tree: Path, tools: Tools) -> None:
    break_copy(broken, tree)
    faults = CHECKS[broken.check](Deployment(tree, tools))
    assert any(broken.says in fault for fault in faults), faults
