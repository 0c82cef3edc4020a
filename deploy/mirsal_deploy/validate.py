"""`python -m mirsal_deploy.validate`: judges what deploys Mirsal, without cluster or registry."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Final

from mirsal_deploy import alert_checks
from mirsal_deploy.image_rules import SOURCES, compose_faults, dockerfile_faults
from mirsal_deploy.kafka_objects import find_stale
from mirsal_deploy.places import COMPOSE, ROOT, SERVICES, read_topics, version_of
from mirsal_deploy.plaintext_rules import overlay_faults
from mirsal_deploy.platform_rules import folder_faults, platform_faults
from mirsal_deploy.pod_rules import pod_faults
from mirsal_deploy.rendering import OVERLAYS, Rendered, applied_folders, render
from mirsal_deploy.schemas import Schemas
from mirsal_deploy.tools import ToolMissing, Tools, fetch, tools_folder

# Tags are never reused, so that nothing need be pulled again; pods are spread by constraints
# instead of anti-affinity; developers have one gateway.
NOT_SCORED: Final = (
    "container-image-pull-policy",
    "deployment-has-host-podantiaffinity",
    "statefulset-has-host-podantiaffinity",
    "horizontalpodautoscaler-replicas",
)


class Deployment:
    """All that is judged, in one tree of files."""

    def __init__(self, root: Path, tools: Tools) -> None:
        self.root = root
        self.tools = tools

    @cached_property
    def folders(self) -> Mapping[str, Rendered]:
        """Each folder that is applied, as kustomize makes it."""
        return self._render(applied_folders())

    @cached_property
    def overlays(self) -> Mapping[str, Rendered]:
        """The two overlays."""
        return self._render([f"overlays/{name}" for name in OVERLAYS])

    def _render(self, folders: Sequence[str]) -> Mapping[str, Rendered]:
        with ThreadPoolExecutor(4) as pool:
            made = pool.map(lambda folder: render(self.root, folder, self.tools), folders)
            return dict(zip(folders, made, strict=True))


def check_dockerfiles(deployment: Deployment) -> list[str]:
    """hadolint, and that they package what the code is."""
    files = [
        f"{source}/Dockerfile"
        for source in SOURCES.values()
        if (deployment.root / source / "Dockerfile").is_file()
    ]
    linted = deployment.tools.run("hadolint", "--no-color", *files, folder=deployment.root)
    complaints = linted.complaint.splitlines() if linted.complaint or linted.code else []
    return [*complaints, *dockerfile_faults(deployment.root)]


def check_compose(deployment: Deployment) -> list[str]:
    """The compose file's schema, and that it starts what the code is."""
    schema = ("--builtin-schema", "vendor.compose-spec")
    told = deployment.tools.run("check-jsonschema", *schema, str(COMPOSE), folder=deployment.root)
    if told.code != 0:
        return told.complaint.splitlines()
    return compose_faults(deployment.root)


def check_kustomize(deployment: Deployment) -> list[str]:
    """Every folder builds, and production is the sum of the folders that teams apply."""
    rendered = deployment.folders
    faults = [f"{each.folder}: {each.fault}" for each in rendered.values() if each.fault]
    if faults:
        return faults
    parts = [each for name in ("base", *SERVICES) for each in rendered[name].objects]
    return folder_faults(rendered["overlays/prod"].objects, parts)


def check_schemas(deployment: Deployment) -> list[str]:
    """Kubernetes' and the custom resources' schemas, strictly."""
    schemas = Schemas(deployment.tools.kubernetes_schemas)
    return [
        f"{folder}: {fault}"
        for folder, each in deployment.overlays.items()
        for fault in schemas.faults_of(each.objects)
    ]


def check_pods(deployment: Deployment) -> list[str]:
    """Each pod is harmless, asked for its health, and set as its service reads settings."""
    versions = {name: version_of(deployment.root, name) for name in SERVICES}
    return [
        f"{folder}: {fault}"
        for folder, each in deployment.overlays.items()
        for fault in (
            *pod_faults(deployment.root, each.objects, versions),
            *overlay_faults(folder.removeprefix("overlays/"), each.objects),
        )
    ]


def check_platform(deployment: Deployment) -> list[str]:
    """The objects fit together: guards, networks, scaling within partitions, ports."""
    topics = read_topics(deployment.root)
    return [
        f"{folder}: {fault}"
        for folder, each in deployment.overlays.items()
        for fault in platform_faults(each.objects, topics)
    ]


def check_kafka_objects(deployment: Deployment) -> list[str]:
    """Topics and rights are those of the contracts."""
    stale = find_stale(deployment.root)
    return [f"out of date: {path}; run mirsal_deploy.kafka_objects" for path in stale]


def check_good_practice(deployment: Deployment) -> list[str]:
    """kube-score, with nothing said but what is left out for a reason."""
    options = [option for name in NOT_SCORED for option in ("--ignore-test", name)]
    faults = []
    for folder, each in deployment.overlays.items():
        told = deployment.tools.run(
            *("kube-score", "score", "--output-format", "ci", *options, "-"),
            folder=deployment.root,
            given=each.text,
        )
        lines = told.complaint.splitlines()
        bad = [line for line in lines if not line.startswith(("[OK]", "[SKIPPED]"))]
        faults += [f"{folder}: {line}" for line in bad]
        if not lines:
            faults.append(f"{folder}: kube-score said nothing, code {told.code}")
    return faults


def check_prometheus(deployment: Deployment) -> list[str]:
    """promtool on the compose file's Prometheus, and that it and Grafana are given our files."""
    told = deployment.tools.run(
        "promtool", "check", "config", "deploy/compose/prometheus.yml", folder=deployment.root
    )
    complaints = told.complaint.splitlines() if told.code != 0 else []
    return [*complaints, *alert_checks.mount_faults(deployment.root)]


CHECKS: Final[Mapping[str, Callable[[Deployment], list[str]]]] = {
    "Dockerfiles": check_dockerfiles,
    "docker-compose.yml": check_compose,
    "kustomize": check_kustomize,
    "schemas": check_schemas,
    "pods": check_pods,
    "platform": check_platform,
    "Kafka's objects": check_kafka_objects,
    "good practice": check_good_practice,
    "Prometheus": check_prometheus,
    "alert rules": lambda each: alert_checks.rule_faults(each.root, each.tools),
    "alert tests": lambda each: alert_checks.case_faults(each.root, each.tools),
    "alert routes": lambda each: alert_checks.route_faults(each.root, each.tools),
    "runbooks": lambda each: alert_checks.page_faults(each.root),
    "dashboards": lambda each: alert_checks.dashboard_faults(each.root, each.tools),
}


def main() -> int:
    """Fetch the tools, run all checks, say what each found; the exit code."""
    tools = Tools(tools_folder())
    try:
        fetch(tools)
        began = time.monotonic()
        deployment = Deployment(ROOT, tools)
        built = {**deployment.folders, **deployment.overlays}
        with ThreadPoolExecutor(4) as pool:
            running = {name: pool.submit(check, deployment) for name, check in CHECKS.items()}
        found = {name: each.result() for name, each in running.items()}
    except ToolMissing as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for name, faults in found.items():
        sys.stdout.write(f"{'bad ' if faults else 'good'}  {name}\n")
        for fault in faults:
            sys.stdout.write(f"      {fault}\n")
    seconds = time.monotonic() - began
    sys.stdout.write(f"{len(built)} folders, {len(CHECKS)} checks, {seconds:.1f} s\n")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
