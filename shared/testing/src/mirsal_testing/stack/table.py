"""What the local stack consists of, as a table: a new service is one line here.

Data only; how the parts are started is the supervisor's.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TABLE_SETTING = "MIRSAL_STACK_TABLE"


@dataclass(frozen=True)
class Service:
    """A service of the platform.

    `python -m <module>` is one process of it; the environment variable `setting` says how many
    run. With `migrates`, `python -m <module>.migrate` brings its schema up to date before that.
    Each process serves GET /ready at `MIRSAL_HEALTH_PORT`; those of a service that `serves_api`
    share `MIRSAL_PORT` besides. `python -m <prepares>` builds what the service needs, unless it
    is there, before anything starts.
    """

    name: str
    module: str
    setting: str
    processes: int = 1
    migrates: bool = True
    serves_api: bool = False
    prepares: str | None = None


@dataclass(frozen=True)
class Simulator:
    """A stand-in for a provider, started unless the setting `replaced_by` names a real one.

    `ports` are the settings that tell it where to listen, the one whose HTTP answers GET /health
    last. `gives` are settings for the services; `{NAME}` in them is the port of that setting,
    `{STATE}` the folder that holds the stack's state.
    `defaults` are settings that the services get whichever provider they speak to.
    """

    name: str
    module: str
    replaced_by: str
    ports: tuple[str, ...]
    gives: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """All parts but the three servers. `topics` and `keys` are modules, or None for neither.

    `defaults` are settings of every process, unless the caller has others.
    """

    services: tuple[Service, ...]
    simulators: tuple[Simulator, ...]
    defaults: Mapping[str, str] = field(default_factory=dict)
    topics: str | None = "mirsal_runtime.topics"
    keys: str | None = "gateway.cli"


PLATFORM = Table(
    # Who tries webhooks on this machine has the endpoint on it too.
    defaults={
        "MIRSAL_OUTBOUND_NETWORKS": "127.0.0.0/8,::1/128",
        "MIRSAL_SEAL_LEADS": "true",
    },
    services=(
        Service("gateway", "gateway", "MIRSAL_GATEWAYS", serves_api=True),
        Service("orchestrator", "orchestrator", "MIRSAL_ORCHESTRATORS"),
        Service("email-worker", "email_worker", "MIRSAL_EMAIL_WORKERS"),
        Service("whatsapp-worker", "whatsapp_worker", "MIRSAL_WHATSAPP_WORKERS"),
        Service("sheets-worker", "sheets_worker", "MIRSAL_SHEETS_WORKERS"),
        Service("code-runner", "code_runner", "MIRSAL_CODE_RUNNERS", prepares="code_runner.build"),
        Service("webhook-worker", "webhook_worker", "MIRSAL_WEBHOOK_WORKERS"),
        # A connector that does nothing, for the benchmark.
        Service("noop-worker", "mirsal_testing.noop_worker", "MIRSAL_NOOP_WORKERS", processes=0),
    ),
    simulators=(
        Simulator(
            "smtp-simulator",
            "mirsal_testing.simulators.smtp",
            replaced_by="MIRSAL_SMTP_HOST",
            ports=("MIRSAL_SIMULATOR_SMTP_PORT", "MIRSAL_SIMULATOR_INBOX_PORT"),
            gives={
                "MIRSAL_SMTP_HOST": "127.0.0.1",
                "MIRSAL_SMTP_PORT": "{MIRSAL_SIMULATOR_SMTP_PORT}",
                "MIRSAL_SMTP_TLS": "none",
                "MIRSAL_INBOX_URL": "http://127.0.0.1:{MIRSAL_SIMULATOR_INBOX_PORT}",
            },
            defaults={"MIRSAL_SMTP_PRIVATE_HOSTS": "true"},
        ),
        Simulator(
            "whatsapp-simulator",
            "mirsal_testing.simulators.whatsapp",
            replaced_by="MIRSAL_WHATSAPP_BASE_URL",
            ports=("MIRSAL_SIMULATOR_WHATSAPP_PORT",),
            gives={
                "MIRSAL_WHATSAPP_BASE_URL": "http://127.0.0.1:{MIRSAL_SIMULATOR_WHATSAPP_PORT}",
                "MIRSAL_WHATSAPP_SIMULATOR_URL": (
                    "http://127.0.0.1:{MIRSAL_SIMULATOR_WHATSAPP_PORT}"
                ),
            },
            defaults={
                "MIRSAL_WHATSAPP_TOKEN": "simulator-token",
                "MIRSAL_WHATSAPP_PHONE_NUMBER_ID": "100000000000001",
            },
        ),
        Simulator(
            "bigquery-simulator",
            "mirsal_testing.simulators.bigquery",
            replaced_by="MIRSAL_BIGQUERY_BASE_URL",
            ports=("MIRSAL_SIMULATOR_BIGQUERY_PORT",),
            gives={
                "MIRSAL_BIGQUERY_BASE_URL": "http://127.0.0.1:{MIRSAL_SIMULATOR_BIGQUERY_PORT}",
                "MIRSAL_BIGQUERY_SIMULATOR_URL": (
                    "http://127.0.0.1:{MIRSAL_SIMULATOR_BIGQUERY_PORT}"
                ),
            },
            defaults={"MIRSAL_BIGQUERY_PROJECT": "mirsal-simulator"},
        ),
        Simulator(
            "sheets-simulator",
            "mirsal_testing.simulators.sheets",
            replaced_by="MIRSAL_SHEETS_BASE_URL",
            ports=("MIRSAL_SIMULATOR_SHEETS_PORT",),
            gives={
                "MIRSAL_SHEETS_BASE_URL": "http://127.0.0.1:{MIRSAL_SIMULATOR_SHEETS_PORT}",
                "MIRSAL_GOOGLE_TOKEN_URL": "http://127.0.0.1:{MIRSAL_SIMULATOR_SHEETS_PORT}/token",
                "MIRSAL_SHEETS_TOKEN_URL": "http://127.0.0.1:{MIRSAL_SIMULATOR_SHEETS_PORT}/token",
                "MIRSAL_SHEETS_SIMULATOR_URL": "http://127.0.0.1:{MIRSAL_SIMULATOR_SHEETS_PORT}",
                # The simulator writes it, with a key that it makes, before it is ready.
                "MIRSAL_SIMULATOR_SHEETS_CREDENTIALS_FILE": "{STATE}/run/sheets-account.json",
                "MIRSAL_GOOGLE_CREDENTIALS_FILE": "{STATE}/run/sheets-account.json",
            },
        ),
    ),
)


def find_table(environment: Mapping[str, str]) -> Table:
    """The platform's, or the one that `MIRSAL_STACK_TABLE` (`module:name`) points to."""
    place = environment.get(TABLE_SETTING)
    if not place:
        return PLATFORM
    module, _, name = place.partition(":")
    found = getattr(importlib.import_module(module), name)
    if not isinstance(found, Table):
        raise TypeError(f"{TABLE_SETTING}={place} is not a Table")
    return found
