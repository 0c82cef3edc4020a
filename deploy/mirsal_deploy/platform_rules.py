"""What the objects must be together: everything guarded, scaled within bounds and connected.

Pure: objects in, faults out.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mirsal_deploy.pod_rules import pod_of, service_of
from mirsal_deploy.rendering import K8sObject, name_of

ENFORCE: Final = "pod-security.kubernetes.io/enforce"
# Names, Kafka, PostgreSQL: what the runner of customers' code may reach.
RUNNER_PORTS: Final = {53, 9093, 5432}
# Cloud metadata lies in the first; the rest are networks of one's own.
FORBIDDEN_NETWORKS: Final = {
    *("169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    *("100.64.0.0/10", "127.0.0.0/8"),
}
ALL_ADDRESSES: Final = ("0.0.0.0/0", "::/0")


def platform_faults(objects: list[K8sObject], topics: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the objects of one overlay."""
    return [
        *_namespace_faults(objects),
        *_guard_faults(objects),
        *_network_faults(objects),
        *_scaling_faults(objects, topics),
        *_connection_faults(objects),
        *_secret_faults(objects),
    ]


def folder_faults(overlay: list[K8sObject], folders: list[K8sObject]) -> list[str]:
    """What production has otherwise than the folders that teams apply alone."""
    left = {_identity(each): each for each in overlay}
    faults = [
        f"{name_of(each)}: is not in production as in its folder"
        for each in folders
        if left.pop(_identity(each), None) != each
    ]
    return faults + [f"{name_of(each)}: is in no folder" for each in left.values()]


def _identity(each: K8sObject) -> tuple[str, ...]:
    meta = each["metadata"]
    return (each["apiVersion"], each["kind"], meta.get("namespace", ""), meta["name"])


def _of(objects: list[K8sObject], *kinds: str) -> list[K8sObject]:
    return [each for each in objects if each["kind"] in kinds]


def _selects(selector: Mapping[str, Any], workload: K8sObject) -> bool:
    labels = workload["spec"]["template"]["metadata"]["labels"]
    return bool(selector) and selector.items() <= labels.items()


def _namespace_faults(objects: list[K8sObject]) -> Iterator[str]:
    spaces = {each["metadata"]["name"]: each for each in _of(objects, "Namespace")}
    for each in spaces.values():
        if each["metadata"].get("labels", {}).get(ENFORCE) != "restricted":
            yield f"{name_of(each)}: does not enforce Pod Security restricted"
    for each in objects:
        if each["kind"] != "Namespace" and each["metadata"].get("namespace") not in spaces:
            yield f"{name_of(each)}: lies in {each['metadata'].get('namespace')}"
    closed = [
        each
        for each in _of(objects, "NetworkPolicy")
        if each["spec"]["podSelector"] == {} and not each["spec"].keys() & {"ingress", "egress"}
    ]
    if not any(set(each["spec"]["policyTypes"]) == {"Ingress", "Egress"} for each in closed):
        yield "nothing denies all traffic by default, both ways"


def _guard_faults(objects: list[K8sObject]) -> Iterator[str]:
    accounts = {each["metadata"]["name"]: each for each in _of(objects, "ServiceAccount")}
    for each in accounts.values():
        if each.get("automountServiceAccountToken") is not False:
            yield f"{name_of(each)}: gives its token to pods"
    budgets, policies = _of(objects, "PodDisruptionBudget"), _of(objects, "NetworkPolicy")
    for each in _of(objects, "Deployment", "StatefulSet", "Job"):
        pod = pod_of(each) or {}
        if pod.get("serviceAccountName") not in accounts:
            yield f"{name_of(each)}: has no service account of its own"
        own = [
            policy
            for policy in policies
            if _selects(policy["spec"]["podSelector"].get("matchLabels", {}), each)
        ]
        if not any({"Ingress", "Egress"} <= set(policy["spec"]["policyTypes"]) for policy in own):
            yield f"{name_of(each)}: no NetworkPolicy bounds it both ways"
        if each["kind"] == "Job":
            continue
        if not any(_selects(each_["spec"]["selector"]["matchLabels"], each) for each_ in budgets):
            yield f"{name_of(each)}: has no PodDisruptionBudget"
        if len(pod.get("topologySpreadConstraints", ())) < 2:
            yield f"{name_of(each)}: is not spread over nodes and zones"


def _network_faults(objects: list[K8sObject]) -> Iterator[str]:
    for policy in _of(objects, "NetworkPolicy"):
        for rule in policy["spec"].get("egress", ()):
            if "to" not in rule or "ports" not in rule:
                yield f"{name_of(policy)}: lets out to anywhere"
            for peer in rule.get("to", ()):
                block = peer.get("ipBlock", {})
                lacking = FORBIDDEN_NETWORKS - set(block.get("except", ()))
                if block.get("cidr") in ALL_ADDRESSES and lacking:
                    yield f"{name_of(policy)}: lets out to metadata or private addresses"
                if block and service_of(policy) == "code-runner":
                    yield f"{name_of(policy)}: customers' code could reach {block['cidr']}"
            ports = {port["port"] for port in rule.get("ports", ())}
            if service_of(policy) == "code-runner" and not ports <= RUNNER_PORTS:
                yield f"{name_of(policy)}: customers' code could reach ports {sorted(ports)}"
        for rule in policy["spec"].get("ingress", ()):
            if "from" not in rule or "ports" not in rule:
                yield f"{name_of(policy)}: lets anybody in"


def _scaling_faults(objects: list[K8sObject], topics: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    by_name = {topic["name"]: topic for topic in topics}
    scalers = _of(objects, "ScaledObject", "HorizontalPodAutoscaler")
    targets = {
        (e["spec"]["scaleTargetRef"]["kind"], e["spec"]["scaleTargetRef"]["name"]) for e in scalers
    }
    for each in _of(objects, "Deployment", "StatefulSet"):
        if (each["kind"], each["metadata"]["name"]) not in targets:
            yield f"{name_of(each)}: nothing scales it"
        if "replicas" in each["spec"]:
            yield f"{name_of(each)}: `replicas` would undo what scales it"
    for each in _of(objects, "ScaledObject"):
        service = each["metadata"]["name"]
        read = set()
        for trigger in each["spec"]["triggers"]:
            topic = by_name.get(trigger["metadata"]["topic"])
            group = trigger["metadata"]["consumerGroup"]
            if topic is None or group != service or group not in topic["consumers"]:
                yield f"{name_of(each)}: {group} does not read {trigger['metadata']['topic']}"
                continue
            read.add(topic["name"])
            if each["spec"]["maxReplicaCount"] > topic["partitions"]:
                yield f"{name_of(each)}: more processes than {topic['name']} has partitions"
        reads = {topic["name"] for topic in topics if service in topic["consumers"]}
        if read != reads:
            yield f"{name_of(each)}: does not look at {', '.join(sorted(reads - read))}"
        if service == "orchestrator" and each["spec"]["minReplicaCount"] < 1:
            yield f"{name_of(each)}: nobody would wake what is due"


def _connection_faults(objects: list[K8sObject]) -> Iterator[str]:
    workloads = _of(objects, "Deployment", "StatefulSet")
    services = {each["metadata"]["name"]: each for each in _of(objects, "Service")}
    for each in services.values():
        yield from _target_faults(each, workloads)
    for each in _of(objects, "ServiceMonitor"):
        known = _ports_of(services.get(each["metadata"]["name"]))
        for endpoint in each["spec"]["endpoints"]:
            if endpoint["port"] not in known:
                yield f"{name_of(each)}: no port {endpoint['port']} to scrape"
    for each in _of(objects, "HTTPRoute"):
        for backend in (back for rule in each["spec"]["rules"] for back in rule["backendRefs"]):
            if backend["port"] not in _ports_of(services.get(backend["name"])).values():
                yield f"{name_of(each)}: {backend['name']} has no port {backend['port']}"
    for each in _of(objects, "StatefulSet"):
        if each["spec"].get("serviceName") not in services:
            yield f"{name_of(each)}: its pods have no names"


def _target_faults(service: K8sObject, workloads: list[K8sObject]) -> Iterator[str]:
    chosen = [work for work in workloads if _selects(service["spec"]["selector"], work)]
    if len(chosen) != 1:
        yield f"{name_of(service)}: selects {len(chosen)} workloads"
        return
    ports = {
        port["name"]: port["containerPort"]
        for container in (pod_of(chosen[0]) or {})["containers"]
        for port in container["ports"]
    }
    for port in service["spec"]["ports"]:
        if ports.get(port["targetPort"]) != port["port"]:
            yield f"{name_of(service)}: port {port['port']} leads nowhere"


def _ports_of(service: K8sObject | None) -> dict[str, int]:
    return {
        port["name"]: port["port"] for port in (service or {"spec": {"ports": ()}})["spec"]["ports"]
    }


def _secret_faults(objects: list[K8sObject]) -> Iterator[str]:
    for each in _of(objects, "Secret"):
        yield f"{name_of(each)}: secrets are referred to, never written here"
