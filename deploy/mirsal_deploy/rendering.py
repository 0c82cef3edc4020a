"""What kustomize makes of each folder that somebody applies."""

from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from mirsal_deploy.places import K8S, SERVICES
from mirsal_deploy.tools import Tools

K8sObject = dict[str, Any]
OVERLAYS: Final = ("dev", "prod")
# Of kinds that the two overlays must not need.
OPTIONAL: Final = ("components/keda-authentication",)


class Rendered(NamedTuple):
    """A folder's objects, or why there are none."""

    folder: str
    text: str
    objects: list[K8sObject]
    fault: str | None


def applied_folders() -> list[str]:
    """The folders below deploy/k8s that are applied by themselves."""
    return ["base", *SERVICES, *(f"overlays/{name}" for name in OVERLAYS), *OPTIONAL]


def render(root: Path, folder: str, tools: Tools) -> Rendered:
    """`kustomize build` of one folder below deploy/k8s."""
    outcome = tools.run("kustomize", "build", str(K8S / folder), folder=root)
    if outcome.code != 0:
        return Rendered(folder, "", [], outcome.complaint)
    try:
        objects = list(yaml.safe_load_all(outcome.output))
    except yaml.YAMLError as error:
        return Rendered(folder, outcome.output, [], str(error))
    return Rendered(folder, outcome.output, objects, outcome.errors.strip() or None)


def name_of(each: K8sObject) -> str:
    """`Deployment gateway`."""
    return f"{each.get('kind')} {each.get('metadata', {}).get('name')}"
