"""Each rule on Kubernetes' objects finds what breaks it."""

from collections.abc import Callable
from typing import Any

import pytest
from mirsal_deploy.places import ROOT, SERVICES, read_topics, version_of
from mirsal_deploy.plaintext_rules import overlay_faults
from mirsal_deploy.platform_rules import platform_faults
from mirsal_deploy.pod_rules import pod_faults
from mirsal_deploy.rendering import K8sObject, render
from mirsal_deploy.tools import Tools

Objects = list[K8sObject]
Change = Callable[[Objects], object]


def one(objects: Objects, kind: str, name: str) -> Any:
    """The object of a kind and name."""
    (found,) = (o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)
    return found


def pod_spec(objects: Objects, kind: str, name: str) -> Any:
    """The pod of a workload."""
    return one(objects, kind, name)["spec"]["template"]["spec"]


def pod(objects: Objects) -> Any:
    """The e-mail worker's pod."""
    return pod_spec(objects, "StatefulSet", "email-worker")


def container(objects: Objects) -> Any:
    """Its container."""
    return pod(objects)["containers"][0]


def gateway(objects: Objects) -> Any:
    """The gateway's container."""
    return one(objects, "Deployment", "gateway")["spec"]["template"]["spec"]["containers"][0]


def variable(holder: Any, name: str) -> Any:
    """One variable of a container's environment."""
    return next(entry for entry in holder["env"] if entry["name"] == name)


def drop(objects: Objects, kind: str, name: str) -> None:
    """Take an object away."""
    objects.remove(one(objects, kind, name))


def move_from_kind(objects: Objects) -> None:
    """Make the worker a Deployment, whose pods change their names."""
    one(objects, "StatefulSet", "email-worker")["kind"] = "Deployment"


def runner_egress(objects: Objects) -> Any:
    """The egress rules of the runner of customers' code."""
    return one(objects, "NetworkPolicy", "code-runner")["spec"]["egress"]


def mail_egress(objects: Objects) -> Any:
    """The e-mail worker's rule on what is outside."""
    rules = one(objects, "NetworkPolicy", "email-worker")["spec"]["egress"]
    return next(rule for rule in rules if "ipBlock" in rule["to"][0])


def trigger(objects: Objects, name: str) -> Any:
    """The first trigger of a scaler."""
    return one(objects, "ScaledObject", name)["spec"]["triggers"][0]["metadata"]


def job_of(service: str) -> str:
    """The name of its migration's Job."""
    return f"{service}-migrate-{version_of(ROOT, service).replace('.', '-')}"


MAIL = version_of(ROOT, "email-worker")
POD_BREAKS: list[tuple[str, Change]] = [
    ("runs as user 0", lambda o: pod(o)["securityContext"].update(runAsUser=0)),
    ("runs as user", lambda o: pod(o)["securityContext"].pop("runAsNonRoot")),
    ("seccomp", lambda o: pod(o)["securityContext"].pop("seccompProfile")),
    ("token", lambda o: pod(o).pop("automountServiceAccountToken")),
    ("host's", lambda o: pod(o).update(hostNetwork=True)),
    ("may escalate", lambda o: container(o)["securityContext"].pop("readOnlyRootFilesystem")),
    ("capabilities", lambda o: container(o)["securityContext"].pop("capabilities")),
    ("no limits", lambda o: container(o)["resources"]["limits"].pop("memory")),
    (f"mirsal/email-worker:{MAIL}", lambda o: container(o).update(image="mirsal/email-worker")),
    ("not mirsal/email-worker", lambda o: container(o).update(image="mirsal/gateway:99")),
    ("nobody reads", lambda o: container(o)["env"].append({"name": "MIRSAL_NONE", "value": "1"})),
    (
        "needs MIRSAL_ID_SECRET",
        lambda o: gateway(o)["env"].remove(variable(gateway(o), "MIRSAL_ID_SECRET")),
    ),
    (
        "hides leads",
        lambda o: gateway(o)["env"].remove(variable(gateway(o), "MIRSAL_TELEMETRY_KEY")),
    ),
    ("is a value", lambda o: variable(container(o), "DATABASE_URL").update(value="postgresql://x")),
    ("mounted", lambda o: variable(container(o), "MIRSAL_KAFKA_CA_FILE").update(value="/x/ca.crt")),
    (
        "readinessProbe asks /health",
        lambda o: container(o)["readinessProbe"]["httpGet"].update(path="/health"),
    ),
    (
        "livenessProbe asks /ready",
        lambda o: container(o)["livenessProbe"]["httpGet"].update(path="/ready"),
    ),
    ("asks the port 80", lambda o: container(o)["livenessProbe"]["httpGet"].update(port=80)),
    ("port health is", lambda o: variable(container(o), "MIRSAL_HEALTH_PORT").update(value="8082")),
    ("port http is", lambda o: variable(gateway(o), "MIRSAL_PORT").update(value="9000")),
    ("is killed after", lambda o: pod(o).update(terminationGracePeriodSeconds=25)),
    ("is killed after", lambda o: gateway(o)["lifecycle"]["preStop"]["sleep"].update(seconds=30)),
    (
        "not the pod's name",
        lambda o: variable(container(o), "MIRSAL_INSTANCE").update(valueFrom={}),
    ),
    ("without a lasting name", move_from_kind),
    ("outlives", lambda o: variable(container(o), "MIRSAL_STATE_DIR").update(value="/var")),
    (
        "a Job cannot be changed",
        lambda o: one(o, "Job", job_of("gateway"))["metadata"].update(name="gateway-migrate"),
    ),
]

PLATFORM_BREAKS: list[tuple[str, Change]] = [
    ("Pod Security", lambda o: one(o, "Namespace", "mirsal")["metadata"].update(labels={})),
    (
        "lies in default",
        lambda o: one(o, "Service", "gateway")["metadata"].update(namespace="default"),
    ),
    ("denies all traffic", lambda o: drop(o, "NetworkPolicy", "default-deny")),
    ("no NetworkPolicy bounds it", lambda o: drop(o, "NetworkPolicy", "email-worker")),
    (
        f"Job {job_of('email-worker')}: no NetworkPolicy",
        lambda o: drop(o, "NetworkPolicy", "email-worker-migrate"),
    ),
    ("no PodDisruptionBudget", lambda o: drop(o, "PodDisruptionBudget", "email-worker")),
    ("no service account", lambda o: drop(o, "ServiceAccount", "email-worker")),
    (
        "gives its token",
        lambda o: one(o, "ServiceAccount", "gateway").pop("automountServiceAccountToken"),
    ),
    ("not spread", lambda o: pod(o).pop("topologySpreadConstraints")),
    ("lets out to anywhere", lambda o: mail_egress(o).pop("to")),
    ("metadata", lambda o: mail_egress(o)["to"][0]["ipBlock"]["except"].remove("169.254.0.0/16")),
    (
        "customers' code could reach 0.0.0.0/0",
        lambda o: runner_egress(o)[0].update(to=[{"ipBlock": {"cidr": "0.0.0.0/0"}}]),
    ),
    ("could reach ports", lambda o: runner_egress(o)[0].update(ports=[{"port": 443}])),
    (
        "lets anybody in",
        lambda o: one(o, "NetworkPolicy", "gateway")["spec"]["ingress"][0].pop("from"),
    ),
    ("nothing scales it", lambda o: drop(o, "HorizontalPodAutoscaler", "gateway")),
    ("would undo", lambda o: one(o, "Deployment", "gateway")["spec"].update(replicas=3)),
    ("does not read", lambda o: trigger(o, "email-worker").update(topic="node.statuses.v1")),
    ("does not read", lambda o: trigger(o, "email-worker").update(consumerGroup="gateway")),
    (
        "does not look at",
        lambda o: one(o, "ScaledObject", "orchestrator")["spec"]["triggers"].pop(),
    ),
    (
        "more processes than",
        lambda o: one(o, "ScaledObject", "email-worker")["spec"].update(maxReplicaCount=9),
    ),
    (
        "nobody would wake",
        lambda o: one(o, "ScaledObject", "orchestrator")["spec"].update(minReplicaCount=0),
    ),
    ("leads nowhere", lambda o: one(o, "Service", "gateway")["spec"]["ports"][0].update(port=80)),
    (
        "selects 0 workloads",
        lambda o: one(o, "Service", "gateway")["spec"]["selector"].update(x="y"),
    ),
    (
        "to scrape",
        lambda o: one(o, "ServiceMonitor", "gateway")["spec"]["endpoints"][0].update(port="web"),
    ),
    (
        "gateway has no port 80",
        lambda o: one(o, "HTTPRoute", "gateway")["spec"]["rules"][0]["backendRefs"][0].update(
            port=80
        ),
    ),
    (
        "no names",
        lambda o: one(o, "StatefulSet", "email-worker")["spec"].update(serviceName="other"),
    ),
    (
        "never written here",
        lambda o: o.append({"kind": "Secret", "metadata": {"name": "x", "namespace": "mirsal"}}),
    ),
]

PLAINTEXT = "MIRSAL_ALLOW_PLAINTEXT"
PLAINTEXT_BREAKS: list[tuple[str, Change]] = [
    ("for development", lambda o: container(o)["env"].append({"name": PLAINTEXT, "value": "no"})),
    (
        "Job gateway",
        lambda o: pod_spec(o, "Job", job_of("gateway"))["containers"][0]["env"].append(
            {"name": PLAINTEXT, "value": "true"}
        ),
    ),
    (
        "KAFKA_BOOTSTRAP_SERVERS names",
        lambda o: container(o)["env"].remove(variable(container(o), "MIRSAL_KAFKA_CA_FILE")),
    ),
    (
        "DATABASE_URL names",
        lambda o: container(o)["env"].append(
            {"name": "DATABASE_URL", "value": "postgresql://db/m?sslmode=require"}
        ),
    ),
    (
        "REDIS_URL names",
        lambda o: container(o)["env"].append({"name": "REDIS_URL", "value": "redis://valkey/0"}),
    ),
    (
        "MIRSAL_WHATSAPP_BASE_URL names",
        lambda o: container(o)["env"].append(
            {"name": "MIRSAL_WHATSAPP_BASE_URL", "value": "http://proxy"}
        ),
    ),
    (
        "MIRSAL_SMTP_TLS is none",
        lambda o: container(o)["env"].extend(
            [
                {"name": "MIRSAL_SMTP_TLS", "value": "none"},
                {"name": "MIRSAL_SMTP_HOST", "value": "mail.example"},
            ]
        ),
    ),
]


def find_pod_faults(objects: Objects) -> list[str]:
    """What the rules on pods say."""
    return pod_faults(ROOT, objects, {name: version_of(ROOT, name) for name in SERVICES})


def test_production_is_good(objects: Objects) -> None:
    assert find_pod_faults(objects) == []
    assert platform_faults(objects, read_topics(ROOT)) == []
    assert overlay_faults("prod", objects) == []


@pytest.mark.parametrize(("says", "change"), POD_BREAKS)
def test_a_broken_pod_is_found(objects: Objects, says: str, change: Change) -> None:
    change(objects)
    faults = find_pod_faults(objects)
    assert any(says in fault for fault in faults), faults


@pytest.mark.parametrize(("says", "change"), PLATFORM_BREAKS)
def test_a_broken_platform_is_found(objects: Objects, says: str, change: Change) -> None:
    change(objects)
    faults = platform_faults(objects, read_topics(ROOT))
    assert any(says in fault for fault in faults), faults


@pytest.mark.parametrize(("says", "change"), PLAINTEXT_BREAKS)
def test_plain_text_in_production_is_found(objects: Objects, says: str, change: Change) -> None:
    change(objects)
    faults = overlay_faults("prod", objects)
    assert any(says in fault for fault in faults), faults


def test_development_says_that_it_may_speak_in_plain_text(tools: Tools) -> None:
    objects = render(ROOT, "overlays/dev", tools).objects
    assert overlay_faults("dev", objects) == []
    env = container(objects)["env"]
    env.remove(variable(container(objects), PLAINTEXT))
    assert overlay_faults("dev", objects) == [
        f"StatefulSet email-worker: is for development, and has no {PLAINTEXT}"
    ]
