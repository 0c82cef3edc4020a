"""Where things lie in the repository, and which services are deployed."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
K8S: Final = Path("deploy/k8s")
COMPOSE: Final = Path("docker-compose.yml")
OBSERVABILITY: Final = Path("deploy/observability")

# The service's folder and the package that `python -m` runs.
SERVICES: Final[Mapping[str, str]] = {
    "gateway": "gateway",
    "orchestrator": "orchestrator",
    "email-worker": "email_worker",
    "whatsapp-worker": "whatsapp_worker",
    "sheets-worker": "sheets_worker",
    "code-runner": "code_runner",
    "webhook-worker": "webhook_worker",
}


def version_of(root: Path, service: str) -> str:
    """The version that the service's package states; of the simulators', for any other name."""
    folder = root / "services" / service if service in SERVICES else root / "shared/testing"
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    return str(project["project"]["version"])


def read_topics(root: Path) -> list[dict[str, Any]]:
    """The contracts' topics, by name."""
    paths = sorted((root / "shared/contracts/topics").glob("*.yaml"))
    return [yaml.safe_load(path.read_text("utf-8")) for path in paths]
