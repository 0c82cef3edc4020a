"""The environment variables that each service reads, by its own settings classes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from code_runner.settings import CodeSettings
from email_worker.settings import SmtpSettings
from gateway.settings import GatewaySettings
from mirsal_runtime.settings import ConnectorSettings, RuntimeSettings
from mirsal_runtime.vault.settings import VaultSettings
from mirsal_testing.simulators.bigquery.settings import BigQuerySimulatorSettings
from mirsal_testing.simulators.sheets.settings import SheetsSimulatorSettings
from mirsal_testing.simulators.smtp.settings import SmtpSimulatorSettings
from mirsal_testing.simulators.whatsapp.settings import WhatsAppSimulatorSettings
from orchestrator.settings import OrchestratorSettings
from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings
from sheets_worker.settings import BigQuerySettings, GoogleSettings, ProcessSettings, SheetsSettings
from webhook_worker.settings import WebhookSettings
from whatsapp_worker.settings import WhatsAppSettings

CLASSES: Final[Mapping[str, Sequence[type[BaseSettings]]]] = {
    "gateway": (GatewaySettings,),
    "orchestrator": (OrchestratorSettings, VaultSettings),
    "email-worker": (ConnectorSettings, SmtpSettings, VaultSettings),
    "whatsapp-worker": (ConnectorSettings, WhatsAppSettings, VaultSettings),
    "sheets-worker": (
        ProcessSettings,
        GoogleSettings,
        SheetsSettings,
        BigQuerySettings,
        VaultSettings,
    ),
    "code-runner": (ConnectorSettings, CodeSettings, VaultSettings),
    "webhook-worker": (WebhookSettings,),
    "smtp-simulator": (SmtpSimulatorSettings,),
    "whatsapp-simulator": (WhatsAppSimulatorSettings,),
    "sheets-simulator": (SheetsSimulatorSettings,),
    "bigquery-simulator": (BigQuerySimulatorSettings,),
}
JOB: Final[Sequence[type[BaseSettings]]] = (RuntimeSettings,)
TRACES: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
PSEUDONYMS: Final = frozenset({"MIRSAL_TELEMETRY_KEY", "MIRSAL_TELEMETRY_KEY_FILE"})


def names_of(classes: Sequence[type[BaseSettings]]) -> set[str]:
    """All variables that the classes read."""
    return {name for each in classes for name, _ in _variables(each)}


def required_of(classes: Sequence[type[BaseSettings]]) -> set[str]:
    """Those without which the process does not start."""
    return {name for each in classes for name, field in _variables(each) if field.is_required()}


def faults_of_environment(
    place: str, names: set[str], classes: Sequence[type[BaseSettings]]
) -> list[str]:
    """Variables that nobody reads, and those that are needed and not there."""
    unread = sorted(names - names_of(classes))
    lacking = sorted(required_of(classes) - names)
    is_nameless = TRACES in names and not names & PSEUDONYMS
    return [
        *((f"{place}: records traces without a key that hides leads",) if is_nameless else ()),
        *(f"{place}: nobody reads {name}" for name in unread),
        *(f"{place}: needs {name}" for name in lacking),
    ]


def _variables(settings: type[BaseSettings]) -> Iterator[tuple[str, FieldInfo]]:
    prefix = settings.model_config.get("env_prefix", "")
    for name, field in settings.model_fields.items():
        match field.validation_alias:
            case str(alias):
                yield alias, field
            case AliasChoices(choices=choices):
                for choice in choices:
                    if isinstance(choice, str):
                        yield choice, field
            case _:
                yield f"{prefix}{name}".upper(), field
