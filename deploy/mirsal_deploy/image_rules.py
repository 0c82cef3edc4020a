"""What Dockerfiles and docker-compose.yml must be, by the code that they package.

Reads files, runs nothing.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from mirsal_deploy.places import COMPOSE, SERVICES, version_of
from mirsal_deploy.plaintext_rules import service_faults
from mirsal_deploy.settings_names import CLASSES, JOB, faults_of_environment

SIMULATORS: Final = "shared/testing"
# Which folder's code an image of ours holds.
SOURCES: Final[Mapping[str, str]] = {
    **{name: f"services/{name}" for name in SERVICES},
    "simulators": SIMULATORS,
}
# Read by the command's shell in docker-compose.yml.
SHELL_NAMES: Final = {"PROGRAM"}
_OWN: Final = re.compile(r"mirsal/([a-z-]+):(\S+)")


def dockerfile_faults(root: Path) -> list[str]:
    """What is wrong with the Dockerfiles."""
    return [
        f"{source}/Dockerfile: {fault}"
        for name, source in SOURCES.items()
        for fault in _dockerfile_faults(root, name, source)
    ]


def _dockerfile_faults(root: Path, name: str, source: str) -> Iterator[str]:
    path = root / source / "Dockerfile"
    if not path.is_file():
        yield "is missing"
        return
    text = path.read_text("utf-8")
    lines = text.splitlines()
    project = tomllib.loads((root / source / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {source, *_packages_of(project["dependencies"])}
    copied = {line.split()[1] for line in lines if line.startswith(("COPY shared/", "COPY serv"))}
    manifests = {place.removesuffix("/pyproject.toml") for place in copied if ".toml" in place}
    if manifests != wanted or copied - {f"{each}/pyproject.toml" for each in manifests} != wanted:
        yield f"copies {sorted(copied)}, but its package needs {sorted(wanted)}"
    installs = [line for line in lines if "uv sync" in line]
    if not all(
        f"--package {project['name']}" in each and " --frozen " in each for each in installs
    ):
        yield f"does not install {project['name']} as uv.lock says"
    if f'image.version="{project["version"]}"' not in text:
        yield f"does not say that it is version {project['version']}"
    if "USER 10001:10001" not in lines:
        yield "does not run as 10001"
    if name in SERVICES and f'CMD ["python", "-m", "{SERVICES[name]}"]' not in lines:
        yield f"does not run {SERVICES[name]}"
    if "settle_packages.py \\\n    && /opt/mirsal/bin/python compile_imported.py " not in text:
        yield "is another image at each build: it does not run settle_packages.py"
    if ":latest" in text:
        yield "names a latest image"


def _packages_of(dependencies: list[str]) -> Iterator[str]:
    for each in dependencies:
        if each.startswith("mirsal-"):
            yield f"shared/{each.removeprefix('mirsal-')}"


def compose_faults(root: Path) -> list[str]:
    """What is wrong with docker-compose.yml."""
    document = yaml.safe_load((root / COMPOSE).read_text("utf-8"))
    services: dict[str, dict[str, Any]] = document["services"]
    faults = [f"no service {name}" for name in SERVICES if name not in services]
    for name, service in services.items():
        faults += [
            f"{name}: {fault}"
            for fault in (
                *_hardening_faults(service),
                *_image_faults(root, service),
                *_environment_faults(name, service),
                *service_faults(service),
                *_order_faults(name, service, services),
            )
        ]
    return [f"{COMPOSE}: {fault}" for fault in faults]


def _hardening_faults(service: dict[str, Any]) -> Iterator[str]:
    if service.get("read_only") is not True:
        yield "may write to its root file system"
    if service.get("cap_drop") != ["ALL"]:
        yield "keeps capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", ()):
        yield "may gain privileges"
    if re.match(r"(0|root)?(:|$)", str(service.get("user", ""))) and "image" in service:
        yield "does not say which user it runs as, or runs as root"
    for limit in ("mem_limit", "cpus", "pids_limit"):
        if limit not in service:
            yield f"has no {limit}"
    for port in service.get("ports", ()):
        if not str(port).startswith("127.0.0.1:"):
            yield f"publishes {port} to the network"


def _image_faults(root: Path, service: dict[str, Any]) -> Iterator[str]:
    image = str(service["image"])
    tag = image.rpartition(":")[2] if ":" in image else "latest"
    if tag == "latest":
        yield f"runs {image}: say which version"
    own = _OWN.fullmatch(image)
    if own is None:
        return
    name, version = own.groups()
    if name not in SOURCES:
        yield f"runs {image}, which nothing builds"
    elif name in SERVICES and version != version_of(root, name):
        yield f"runs {image}, but the package is {version_of(root, name)}"
    build = service.get("build")
    if build is not None and build.get("dockerfile") != f"{SOURCES.get(name)}/Dockerfile":
        yield f"builds {image} of {build.get('dockerfile')}"


def _environment_faults(name: str, service: dict[str, Any]) -> Iterator[str]:
    given = set(service.get("environment", {}))
    command = " ".join(map(str, service.get("command", ())))
    # What a command exports, as `export NAME=`.
    exported = set(re.findall(r"export ([A-Z_]+)=", command))
    if name in CLASSES:
        # With an empty value telemetry is off.
        needed = given - SHELL_NAMES | (exported - {"MIRSAL_API_KEY"})
        yield from faults_of_environment("settings", needed, CLASSES[name])
    elif ".migrate" in command or "mirsal_runtime.topics" in command:
        yield from faults_of_environment("settings", given, JOB)
    if name in SERVICES:
        state = service.get("environment", {}).get("MIRSAL_STATE_DIR")
        if not any(f":{state}" in str(each) for each in service.get("volumes", ())):
            yield f"has no volume at {state}, where journal and spans outlive a killed process"
        port = service.get("environment", {}).get("MIRSAL_HEALTH_PORT")
        probe = " ".join(map(str, service.get("healthcheck", {}).get("test", ())))
        if f":{port}/ready" not in probe:
            yield f"its health check does not ask :{port}/ready"


def _order_faults(
    name: str, service: dict[str, Any], services: dict[str, dict[str, Any]]
) -> Iterator[str]:
    waits = service.get("depends_on", {})
    for other, how in waits.items():
        if other not in services:
            yield f"waits for {other}, which is not there"
        elif how["condition"] == "service_healthy" and "healthcheck" not in services[other]:
            yield f"waits for the health of {other}, which has no check"
        elif how["condition"] == "service_started":
            yield f"waits for the start of {other}, not for its readiness"
    if name in SERVICES and f"{name}-migrate" not in waits:
        yield "does not wait for its schema"
