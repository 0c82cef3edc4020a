"""Objects against the schemas of Kubernetes and of the custom resources; strangers are refused."""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema_rs import Draft202012Validator

from mirsal_deploy.places import ROOT
from mirsal_deploy.rendering import K8sObject, name_of

# The oldest that has all that is used, and the newest.
KUBERNETES: Final = ("v1.31.0", "v1.37.0")
CRDS: Final = ROOT / "deploy/crds"
_DEFINITION: Final = "/api/_definitions.json#/$defs/"

Schema = dict[str, Any]


class Schemas:
    """Finds the schema of a kind and keeps its validator."""

    def __init__(self, kubernetes: Path) -> None:
        self._kubernetes = kubernetes
        self._validators: dict[tuple[str, str, str], Draft202012Validator | None] = {}

    def faults_of(self, objects: Iterable[K8sObject]) -> list[str]:
        """What the objects have that they must not, or lack."""
        return [fault for each in objects for fault in self._faults(each)]

    def _faults(self, each: K8sObject) -> Iterator[str]:
        api, kind = str(each.get("apiVersion")), str(each.get("kind"))
        custom = custom_schema(api, kind)
        for version in KUBERNETES if custom is None else ("",):
            place = (version, api, kind)
            if place not in self._validators:
                schema = custom or _kubernetes_schema(self._kubernetes, *place)
                made = None if schema is None else Draft202012Validator(schema)
                self._validators[place] = made
            validator = self._validators[place]
            if validator is None:
                yield f"{name_of(each)}: nothing known of {kind} in {api} {version}".rstrip()
                return
            for error in validator.iter_errors(each):
                where = ".".join(map(str, error.instance_path))
                yield f"{name_of(each)}: {where}: {error.message} {version}".rstrip()


def custom_schema(api: str, kind: str) -> Schema | None:
    """The strict schema that a custom resource's definition gives for a version of the kind."""
    group, _, version = api.rpartition("/")
    for definition in _definitions():
        spec = definition["spec"]
        if (spec["group"], spec["names"]["kind"]) == (group, kind):
            for each in spec["versions"]:
                if each["name"] == version and each["served"]:
                    schema: Schema = make_strict(each["schema"]["openAPIV3Schema"])
                    # Whose own schema is Kubernetes'.
                    schema["properties"]["metadata"] = {"type": "object"}
                    return schema
    return None


def make_strict(node: Any) -> Any:
    """The schema with unknown members refused wherever it names some, as the API server does."""
    if isinstance(node, list):
        return [make_strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {
        key: {name: make_strict(each) for name, each in value.items()}
        if key == "properties"
        else make_strict(value)
        for key, value in node.items()
        if not key.startswith("x-kubernetes-") and key not in ("default", "description", "example")
    }
    if node.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    open_end = node.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in node
    if isinstance(node.get("properties"), dict) and "type" in node and not open_end:
        made["additionalProperties"] = False
    return made


@cache
def _definitions() -> Sequence[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [
        each
        for path in sorted(CRDS.glob("*.yaml"))
        for each in yaml.load_all(path.read_text("utf-8"), loader)
        if each
    ]


@cache
def _all_kubernetes(folder: Path) -> dict[str, Schema]:
    text = (folder / "_definitions.json").read_text("utf-8")
    found: dict[str, Schema] = json.loads(text)["$defs"]
    return found


def _kubernetes_schema(folder: Path, version: str, api: str, kind: str) -> Schema | None:
    """A kind's own file is `<kind>-<first word of its group>-<version>`, and refers to others."""
    group, _, name = api.rpartition("/")
    here = folder / f"{version}-local-strict"
    file = here / "-".join(filter(None, (kind.lower(), group.partition(".")[0], f"{name}.json")))
    if not file.is_file():
        return None
    schema: Schema = json.loads(file.read_text("utf-8").replace(_DEFINITION, "#/$defs/"))
    return {**schema, "$defs": _reached(_all_kubernetes(here), _references(schema))}


def _reached(everything: dict[str, Schema], names: Iterable[str]) -> dict[str, Schema]:
    """The definitions of these names and of all that they refer to."""
    found: dict[str, Schema] = {}
    left = [*names]
    while left:
        name = left.pop()
        if name not in found:
            found[name] = everything[name]
            left += _references(everything[name])
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix("#/$defs/")
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for each in node:
            yield from _references(each)
