"""What every pod of Mirsal must be: harmless, asked for its health, ended gently, set as it reads.

Pure: objects in, faults out.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mirsal_runtime.app import DRAIN_SECONDS, LAST_SECONDS

from mirsal_deploy.places import SERVICES
from mirsal_deploy.rendering import K8sObject, name_of
from mirsal_deploy.settings_names import CLASSES, JOB, faults_of_environment

LOWEST_USER: Final = 10001
HEALTH_SOURCE: Final = "shared/runtime/src/mirsal_runtime/health.py"
# Beside the drain: closing Kafka's and the database's connections, which may not answer.
CLOSING_SECONDS: Final = 12.0
# Members of no consumer group: their pods may have any name.
GROUPLESS: Final = ("gateway", "webhook-worker")
SECRET: Final = re.compile(
    r"PASSWORD|TOKEN|SECRET|PEPPER|_KEYS?$|^DATABASE_URL$|^REDIS_URL$|USERNAME"
)

Container = dict[str, Any]


def pod_of(each: K8sObject) -> dict[str, Any] | None:
    """The pod's spec in a workload; None in anything else."""
    if each["kind"] not in ("Deployment", "StatefulSet", "Job"):
        return None
    found: dict[str, Any] = each["spec"]["template"]["spec"]
    return found


def service_of(each: K8sObject) -> str:
    """Whose object it is, by its label; empty if nobody's."""
    return str(each["metadata"].get("labels", {}).get("app.kubernetes.io/name", ""))


def pod_faults(root: Path, objects: list[K8sObject], versions: Mapping[str, str]) -> list[str]:
    """What is wrong with the pods of `objects`; `versions` are the services' packages'."""
    served = served_paths(root)
    return [
        f"{name_of(each)}: {fault}"
        for each in objects
        if (pod := pod_of(each)) is not None
        for fault in (
            *_identity_faults(pod),
            *_image_faults(each, pod, versions),
            *_setting_faults(each, pod),
            *(() if each["kind"] == "Job" else _life_faults(pod, served)),
            *(() if each["kind"] == "Job" else _instance_faults(each, pod)),
        )
    ]


def served_paths(root: Path) -> set[str]:
    """What the health port answers, by the runtime's source."""
    text = (root / HEALTH_SOURCE).read_text("utf-8")
    return set(re.findall(r'add_get\("([^"]+)"', text))


def _identity_faults(pod: dict[str, Any]) -> Iterator[str]:
    context = pod.get("securityContext", {})
    if not context.get("runAsNonRoot") or context.get("runAsUser", 0) < LOWEST_USER:
        yield f"runs as user {context.get('runAsUser')}, not {LOWEST_USER} or higher"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if pod.get("automountServiceAccountToken") is not False:
        yield "is given a service account's token"
    if any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")):
        yield "shares the host's namespaces"
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}
        if {name: own.get(name) for name in wanted} != wanted:
            yield "may escalate or write to its root file system"
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield "keeps capabilities"
        resources = container.get("resources", {})
        for kind in ("requests", "limits"):
            if not {"cpu", "memory"} <= set(resources.get(kind, {})):
                yield f"has no {kind} of CPU and memory"


def _image_faults(
    each: K8sObject, pod: dict[str, Any], versions: Mapping[str, str]
) -> Iterator[str]:
    service = service_of(each)
    wanted = f"mirsal/{service}:{versions.get(service)}"
    for container in pod["containers"]:
        image = str(container["image"])
        if image != wanted and not image.startswith(f"mirsal/{service}@sha256:"):
            yield f"runs {image}, not {wanted} or one by digest"
    release = str(versions.get(service)).replace(".", "-")
    if each["kind"] == "Job" and each["metadata"]["name"] != f"{service}-migrate-{release}":
        yield f"is not named {service}-migrate-{release}: a Job cannot be changed"
    if each["kind"] == "Job":
        command = pod["containers"][0].get("command")
        if command != ["python", "-m", f"{SERVICES.get(service)}.migrate"]:
            yield f"runs {command}"


def _setting_faults(each: K8sObject, pod: dict[str, Any]) -> Iterator[str]:
    classes = JOB if each["kind"] == "Job" else CLASSES.get(service_of(each), ())
    for container in pod["containers"]:
        environment = {entry["name"]: entry for entry in container.get("env", [])}
        yield from faults_of_environment(container["name"], set(environment), classes)
        mounts = tuple(f"{mount['mountPath']}/" for mount in container.get("volumeMounts", ()))
        for name, entry in environment.items():
            value = entry.get("value")
            is_file = name.endswith("_FILE")
            if value is not None and SECRET.search(name) and not is_file:
                yield f"{name} is a value, not a reference"
            if value is not None and is_file and not value.startswith(mounts):
                yield f"{name} is not in a mounted folder"


def _life_faults(pod: dict[str, Any], served: set[str]) -> Iterator[str]:
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
    environment = {entry["name"]: entry.get("value") for entry in container.get("env", [])}
    wanted = {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}
    for probe, path in wanted.items():
        asks = container.get(probe, {}).get("httpGet", {})
        if asks.get("path") != path or path not in served:
            yield f"{probe} asks {asks.get('path')}, not {path}"
        if asks.get("port") != "health":
            yield f"{probe} asks the port {asks.get('port')}"
    for name, setting in (
        ("health", "MIRSAL_HEALTH_PORT"),
        ("http", "MIRSAL_PORT"),
        ("metrics", "MIRSAL_METRICS_PORT"),
    ):
        if str(ports.get(name)) != str(environment.get(setting)):
            yield f"port {name} is {ports.get(name)}, but {setting} {environment.get(setting)}"
    before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    needs = before + DRAIN_SECONDS + LAST_SECONDS + CLOSING_SECONDS
    if pod.get("terminationGracePeriodSeconds", 0) <= needs:
        yield f"is killed after {pod.get('terminationGracePeriodSeconds')} s, may need {needs:g} s"


def _instance_faults(each: K8sObject, pod: dict[str, Any]) -> Iterator[str]:
    (container,) = pod["containers"]
    environment = {entry["name"]: entry for entry in container.get("env", [])}
    source = environment.get("MIRSAL_INSTANCE", {}).get("valueFrom", {})
    if source.get("fieldRef", {}).get("fieldPath") != "metadata.name":
        yield "MIRSAL_INSTANCE is not the pod's name"
    if each["kind"] != "StatefulSet" and service_of(each) not in GROUPLESS:
        yield "is a member of a consumer group without a lasting name: make it a StatefulSet"
    state = environment.get("MIRSAL_STATE_DIR", {}).get("value")
    volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
    mounted = [
        volumes.get(mount["name"], {})
        for mount in container.get("volumeMounts", ())
        if mount["mountPath"] == state and not mount.get("readOnly")
    ]
    if not any("emptyDir" in volume for volume in mounted):
        yield "MIRSAL_STATE_DIR is not a folder that outlives the process"
