"""`python -m mirsal_deploy.dry_run`: applies all manifests to a real API server, without effect.

Each overlay and each folder by server-side dry-run, strictly, with the definitions of deploy/crds.
Namespaces are made first, so that their Pod Security holds; each workload's pod is tried by itself,
since that is what Pod Security refuses. A warning counts as a fault.
"""

import copy
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
import yaml

from mirsal_deploy.api_server import build, running
from mirsal_deploy.places import ROOT, SERVICES
from mirsal_deploy.pod_rules import pod_of
from mirsal_deploy.rendering import OVERLAYS, K8sObject, name_of, render
from mirsal_deploy.tools import ToolMissing, Tools, fetch, tools_folder

APPLY: Final = {"Content-Type": "application/apply-patch+yaml"}
WAYS: Final = {"fieldManager": "mirsal-dry-run", "fieldValidation": "Strict", "force": "true"}
KNOWN_SECONDS: Final = 60.0


class ApiServer:
    """An API server, and the paths of the kinds that it knows."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}

    def try_all(self, objects: Iterable[K8sObject]) -> Iterator[str]:
        """What the server says against the objects, which are only tried."""
        for each in objects:
            yield from self.apply(each, is_tried=True)
            pod = _pod_of(each)
            if pod is not None:
                yield from self.apply(pod, is_tried=True)

    def apply(self, each: K8sObject, *, is_tried: bool) -> Iterator[str]:
        """Apply an object, or only try to; the server's refusal and warnings."""
        path = self._path_of(each)
        if path is None:
            yield f"{name_of(each)}: the server knows no {each['kind']} of {each['apiVersion']}"
            return
        ways = {**WAYS, "dryRun": "All"} if is_tried else WAYS
        answer = self._client.patch(path, params=ways, headers=APPLY, content=yaml.safe_dump(each))
        if answer.is_error:
            yield f"{name_of(each)}: {answer.status_code} {answer.json().get('message')}"
        for warning in answer.headers.get_list("warning"):
            yield f"{name_of(each)}: warns: {warning}"

    def wait_for(self, definitions: Sequence[K8sObject]) -> None:
        """Until the server serves the kinds of these definitions. Raises `ToolMissing`."""
        deadline = time.monotonic() + KNOWN_SECONDS
        wanted = {
            (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
            for spec in (each["spec"] for each in definitions)
            for version in spec["versions"]
            if version["served"]
        }
        while not all(self._find(*each) for each in wanted):
            if time.monotonic() > deadline:
                raise ToolMissing("the API server does not serve what the definitions say")
            time.sleep(0.5)

    def _path_of(self, each: K8sObject) -> str | None:
        found = self._find(each["apiVersion"], each["kind"])
        if found is None:
            return None
        plural, is_namespaced = found
        meta = each["metadata"]
        root = f"/api/{each['apiVersion']}"
        if "/" in each["apiVersion"]:
            root = f"/apis/{each['apiVersion']}"
        space = f"/namespaces/{meta['namespace']}" if is_namespaced else ""
        return f"{root}{space}/{plural}/{meta['name']}"

    def _find(self, version: str, kind: str) -> tuple[str, bool] | None:
        if (version, kind) not in self._kinds:
            root = f"/apis/{version}" if "/" in version else f"/api/{version}"
            answer = self._client.get(root)
            if answer.is_error:
                return None
            for each in answer.json()["resources"]:
                if "/" not in each["name"]:
                    place = (version, each["kind"])
                    self._kinds[place] = (each["name"], each["namespaced"])
        return self._kinds.get((version, kind))


def _pod_of(each: K8sObject) -> K8sObject | None:
    """The pod that a workload would make."""
    spec = pod_of(each)
    if spec is None:
        return None
    template = each["spec"]["template"]
    meta = {
        "name": f"{each['metadata']['name']}-pod",
        "namespace": each["metadata"]["namespace"],
        "labels": template["metadata"].get("labels", {}),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def read_definitions() -> list[K8sObject]:
    """The definitions of the custom resources."""
    return [
        each
        for path in sorted((ROOT / "deploy/crds").glob("*.yaml"))
        for each in yaml.safe_load_all(path.read_text("utf-8"))
        if each
    ]


def find_faults(server: ApiServer, folders: dict[str, list[K8sObject]]) -> dict[str, list[str]]:
    """What the server says against each folder's objects; first it gets what they rest on."""
    definitions = read_definitions()
    first = [fault for each in definitions for fault in server.apply(each, is_tried=False)]
    server.wait_for(definitions)
    spaces = [each for found in folders.values() for each in found if each["kind"] == "Namespace"]
    first += [fault for each in spaces for fault in server.apply(each, is_tried=False)]
    return {
        "definitions and namespaces": first,
        "the server refuses what is wrong": list(_unrefused(server, folders["overlays/prod"])),
        **{name: list(server.try_all(objects)) for name, objects in folders.items()},
    }


def _unrefused(server: ApiServer, objects: Sequence[K8sObject]) -> Iterator[str]:
    """Broken objects that the server takes: then its silence on ours would prove nothing."""
    for what, broken in _broken(objects):
        if not list(server.apply(broken, is_tried=True)):
            yield f"takes a {name_of(broken)} {what}"


def _broken(objects: Sequence[K8sObject]) -> Iterator[tuple[str, K8sObject]]:
    workload = next(each for each in objects if each["kind"] == "StatefulSet")
    scaler = next(each for each in objects if each["kind"] == "ScaledObject")
    pod = _pod_of(workload)
    if pod is not None:
        pod = copy.deepcopy(pod)
        del pod["spec"]["containers"][0]["securityContext"]
        yield "that may escalate", pod
    workload, scaler = copy.deepcopy(workload), copy.deepcopy(scaler)
    workload["spec"]["minReadySecond"] = 5
    yield "with a member that is none", workload
    scaler["spec"]["maxReplicaCount"] = "8"
    yield "whose number is a text", scaler


def main() -> int:
    """Try all folders; the exit code."""
    tools = Tools(tools_folder())
    names = [*(f"overlays/{name}" for name in OVERLAYS), "base", *SERVICES]
    try:
        fetch(tools)
        programs = build(tools)
        rendered = {name: render(ROOT, name, tools) for name in names}
        folders = {name: each.objects for name, each in rendered.items()}
        with ExitStack() as stack:
            place = Path(stack.enter_context(TemporaryDirectory()))
            client = stack.enter_context(running(programs, place))
            version: dict[str, Any] = client.get("/version").json()
            found = find_faults(ApiServer(client), folders)
    except ToolMissing as error:
        sys.stderr.write(f"{error}\n")
        return 2
    broken = {name: [each.fault] for name, each in rendered.items() if each.fault}
    for name, faults in {**found, **broken}.items():
        count = len(folders.get(name, ()))
        sys.stdout.write(f"{'bad ' if faults else 'good'}  {name}  {count or ''}\n")
        sys.stdout.writelines(f"      {fault}\n" for fault in faults)
    sys.stdout.write(f"kube-apiserver {version['gitVersion']}\n")
    return 1 if any(found.values()) or broken else 0


if __name__ == "__main__":
    sys.exit(main())
