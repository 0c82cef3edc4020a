"""A copy of what deploys the platform, to be broken, and what kustomize makes of the whole."""

import copy
import shutil
from pathlib import Path

import pytest
from mirsal_deploy.places import ROOT
from mirsal_deploy.pod_rules import HEALTH_SOURCE
from mirsal_deploy.rendering import K8sObject, render
from mirsal_deploy.tools import Tools, tools_folder

COPIED = (
    "deploy/**/*.yaml",
    "deploy/**/*.yml",
    "deploy/**/*.md",
    "deploy/observability/dashboards/*.json",
    "docker-compose.yml",
    "docs/*.md",
    "docs/openapi.json",
    "docs/runbooks/*.md",
    "services/*/Dockerfile",
    "services/*/pyproject.toml",
    "shared/*/Dockerfile",
    "shared/*/pyproject.toml",
    "shared/contracts/topics/*.yaml",
    HEALTH_SOURCE,
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The copy's root."""
    for pattern in COPIED:
        for path in ROOT.glob(pattern):
            place = tmp_path / path.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    return tmp_path


@pytest.fixture(scope="session")
def tools() -> Tools:
    """The tools, where they have been fetched."""
    found = Tools(tools_folder())
    if found.missing():
        pytest.skip(f"`make validate-deploy` fetches {', '.join(found.missing())}")
    return found


@pytest.fixture(scope="session")
def production(tools: Tools) -> list[K8sObject]:
    """The objects of the overlay, not to be changed."""
    return render(ROOT, "overlays/prod", tools).objects


@pytest.fixture
def objects(production: list[K8sObject]) -> list[K8sObject]:
    """The same, to be changed."""
    return copy.deepcopy(production)
