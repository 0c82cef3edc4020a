"""What one stack consists of, with its ports, URLs and secrets: decided before anything runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mirsal_testing.servers.choice import choose_servers
from mirsal_testing.servers.processes import Program
from mirsal_testing.servers.remembered import Remembered
from mirsal_testing.stack.code import first_code_of
from mirsal_testing.stack.jobs import Job
from mirsal_testing.stack.part import ServiceProcess
from mirsal_testing.stack.table import TABLE_SETTING, Service, Simulator, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirsal_testing.servers.server import Server
    from mirsal_testing.stack.folder import StateFolder

OWNER_SETTING = "MIRSAL_STACK_OWNER"
KEY_SETTING = "MIRSAL_API_KEY"
_NOT_FOR_SERVICES = (OWNER_SETTING, TABLE_SETTING)
_SECRETS = {
    "MIRSAL_ID_SECRET": "idSecret",
    "MIRSAL_API_KEY_PEPPER": "apiKeyPepper",
    "MIRSAL_TELEMETRY_KEY": "telemetryKey",
}


class Plan:
    """Reads the caller's environment once. A setting that is in it wins over the stack's own."""

    def __init__(self, folder: StateFolder, environment: Mapping[str, str], table: Table) -> None:
        self._folder = folder
        self._table = table
        self._first_code = first_code_of(folder)
        self._given = {
            name: value for name, value in environment.items() if name not in _NOT_FOR_SERVICES
        }
        self.kept = Remembered(folder.kept)
        owner = environment.get(OWNER_SETTING)
        # The pid file of the process without which the stack is to end too.
        self.owner = None if owner is None else Path(owner)
        self.servers = choose_servers(
            folder.data, environment=environment, logs=folder.logs, run=folder.run
        )
        self._health: dict[str, str] = {}
        self._outward = self._make_outward()
        self.simulators = [self._make_simulator(each) for each in self._used_simulators()]

    @property
    def api_key(self) -> str | None:
        """From the caller or an earlier start; None: one has to be made."""
        return self._given.get(KEY_SETTING) or self.kept.get("apiKey")

    @property
    def keys_module(self) -> str | None:
        return self._table.keys

    def use_api_key(self, key: str) -> None:
        if KEY_SETTING not in self._given:
            self.kept.keep("apiKey", key)

    def env_file(self) -> dict[str, str]:
        """What `.mirsal/env` says: all that a user or a test has to know."""
        key = {} if self.api_key is None else {KEY_SETTING: self.api_key}
        return {
            "MIRSAL_URL": self._outward["MIRSAL_URL"],
            **key,
            **self.servers.urls(),
            **self._outward,
            **self._health,
        }

    def names_given(self) -> set[str]:
        """Those names of `env_file` whose values are the caller's."""
        return {name for name in self.env_file() if name in self._given}

    def make_services(self) -> list[ServiceProcess]:
        """The processes of all services; called once, when the API key is known."""
        return [
            self._make_process(service, index, count)
            for service in self._table.services
            if (count := self._count(service)) > 0
            for index in range(1, count + 1)
        ]

    def migrations(self) -> list[Job]:
        return [
            self._job(
                f"{service.name}-migrate",
                (f"{service.module}.migrate",),
                (service.module, "mirsal_runtime"),
                self.servers.postgres,
            )
            for service in self._table.services
            if service.migrates and self._count(service) > 0
        ]

    def topics(self) -> list[Job]:
        if self._table.topics is None:
            return []
        packages = (self._table.topics.partition(".")[0], "mirsal_contracts")
        return [self._job("topics", (self._table.topics, "apply"), packages, self.servers.kafka)]

    def key_jobs(self) -> list[Job]:
        """Makes the API key known to the gateway; none where no key is used."""
        if self._table.keys is None or self.api_key is None:
            return []
        arguments = (self._table.keys, "keys", "ensure", "--name", "local", "--role", "owner")
        # Not an argument, which every user of this machine could read.
        environment = {**self.job_environment(), KEY_SETTING: self.api_key}
        packages = (self._table.keys.partition(".")[0], "mirsal_runtime")
        server = self.servers.postgres
        return [Job("api-key", arguments, environment, packages, server, self._first_code)]

    def job_environment(self) -> dict[str, str]:
        """What every program of the stack gets, before what is its own."""
        secrets = {
            name: self._given.get(name) or self.kept.secret(key) for name, key in _SECRETS.items()
        }
        return {
            "PYTHONUNBUFFERED": "1",
            **self._table.defaults,
            **secrets,
            **self._vault(),
            **self._given,
            **self._outward,
            **self.servers.urls(),
            "MIRSAL_STATE_DIR": str(self._folder.root),
        }

    def _vault(self) -> dict[str, str]:
        # What an earlier version of this stack has sealed is read by it ever after.
        earlier = self.kept.get("webhookKeys")
        found = {} if earlier is None else {"MIRSAL_WEBHOOK_KEYS": earlier}
        if self._given.get("MIRSAL_VAULT_KEYS"):
            return found
        return {**found, "MIRSAL_VAULT_KEYS_FILE": str(self._folder.vault_keys)}

    def _job(
        self, name: str, arguments: tuple[str, ...], packages: tuple[str, ...], server: Server
    ) -> Job:
        return Job(name, arguments, self.job_environment(), packages, server, self._first_code)

    def _count(self, service: Service) -> int:
        return int(self._given.get(service.setting) or service.processes)

    def _used_simulators(self) -> list[Simulator]:
        return [each for each in self._table.simulators if not self._given.get(each.replaced_by)]

    def _port(self, setting: str) -> int:
        return int(self._given.get(setting) or self.kept.port(setting))

    def _make_outward(self) -> dict[str, str]:
        """The settings that say where the gateway and the simulators are."""
        port = self._port("MIRSAL_PORT")
        found = {"MIRSAL_PORT": str(port)}
        for simulator in self._table.simulators:
            found |= simulator.defaults
        for simulator in self._used_simulators():
            ports = {setting: str(self._port(setting)) for setting in simulator.ports}
            found |= ports
            places = {**ports, "STATE": str(self._folder.root)}
            found |= {name: value.format(**places) for name, value in simulator.gives.items()}
        chosen = {name: self._given.get(name) or value for name, value in found.items()}
        return {**chosen, "MIRSAL_URL": f"http://127.0.0.1:{port}"}

    def _make_simulator(self, simulator: Simulator) -> ServiceProcess:
        program = Program([sys.executable, "-m", simulator.module], self.job_environment())
        port = self._port(simulator.ports[-1])
        return ServiceProcess(
            simulator.name, program, self._folder, ready_urls=(f"http://127.0.0.1:{port}/health",)
        )

    def _make_process(self, service: Service, index: int, count: int) -> ServiceProcess:
        instance = f"{service.name}-{index}"
        port = self.kept.port(f"health:{instance}")
        environment = {
            **self.job_environment(),
            "MIRSAL_INSTANCE": instance,
            "MIRSAL_HEALTH_PORT": str(port),
        }
        name = instance if count > 1 else service.name
        program = Program([sys.executable, "-m", service.module], environment)
        health = f"http://127.0.0.1:{port}"
        self._health[f"MIRSAL_{instance.upper().replace('-', '_')}_HEALTH_URL"] = health
        ready = (f"{health}/ready",)
        if not service.serves_api:
            return ServiceProcess(name, program, self._folder, ready_urls=ready, is_released=True)
        api = f"{self._outward['MIRSAL_URL']}/api/automation/health"
        return ServiceProcess(
            name,
            program,
            self._folder,
            ready_urls=(*ready, api),
            listens_on=int(self._outward["MIRSAL_PORT"]),
            is_released=True,
        )
