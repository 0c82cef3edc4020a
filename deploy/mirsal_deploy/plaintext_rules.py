"""Where plain text may be spoken: for development, and never in production.

Judged by the runtime's own rules, on the values that stand in files. URLs in secrets are judged by
the processes themselves, at their start. Reads no files.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mirsal_runtime.plaintext import (
    ALLOW_SETTING,
    http_fault,
    is_local,
    kafka_fault,
    postgres_fault,
    redis_fault,
)

from mirsal_deploy.pod_rules import pod_of
from mirsal_deploy.rendering import K8sObject, name_of

DEVELOPMENT: Final = "dev"
_DEFAULT: Final = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")
_PROVIDER: Final = re.compile(r"MIRSAL_[A-Z]+_(BASE|TOKEN)_URL")


def environment_faults(given: Mapping[str, str]) -> list[str]:
    """For which of these variables a process that has them would not start."""
    if given.get(ALLOW_SETTING) == "true":
        return []
    authority = "MIRSAL_KAFKA_CA_FILE" in given
    local = "127.0.0.1"
    smtp = given.get("MIRSAL_SMTP_HOST", local)
    found = [
        kafka_fault(given.get("KAFKA_BOOTSTRAP_SERVERS", local), has_authority=authority),
        postgres_fault(given.get("DATABASE_URL", ""), {}),
        redis_fault(given.get("REDIS_URL", "")),
        *(http_fault(name, value) for name, value in given.items() if _PROVIDER.fullmatch(name)),
        "MIRSAL_SMTP_TLS is none"
        if given.get("MIRSAL_SMTP_TLS") == "none" and not is_local(smtp)
        else None,
    ]
    return [f"does not start: {fault}" for fault in found if fault is not None]


def service_faults(service: Mapping[str, Any]) -> list[str]:
    """The same, of a service of docker-compose.yml, with the defaults that the file names."""
    if not str(service["image"]).startswith("mirsal/"):
        return []
    given = service.get("environment", {})
    return environment_faults(
        {name: _DEFAULT.sub(r"\1", str(value)) for name, value in given.items()}
    )


def overlay_faults(overlay: str, objects: list[K8sObject]) -> list[str]:
    """Pods of production that may speak in plain text or would not start; others that may not."""
    return [
        f"{name_of(each)}: {fault}"
        for each in objects
        for container in (pod_of(each) or {"containers": ()})["containers"]
        for fault in _container_faults(overlay, container)
    ]


def _container_faults(overlay: str, container: Mapping[str, Any]) -> Iterator[str]:
    entries = {entry["name"]: entry for entry in container.get("env", ())}
    if overlay == DEVELOPMENT:
        if entries.get(ALLOW_SETTING, {}).get("value") != "true":
            yield f"is for development, and has no {ALLOW_SETTING}"
        return
    if ALLOW_SETTING in entries:
        yield f"has {ALLOW_SETTING}: that is for development"
    yield from environment_faults(
        {name: entry["value"] for name, entry in entries.items() if "value" in entry}
        | {ALLOW_SETTING: "false"}
    )
