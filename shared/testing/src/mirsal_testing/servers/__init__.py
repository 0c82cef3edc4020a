"""Real Kafka, PostgreSQL and Valkey for tests and the local stack, without Docker.

The handles and how one is chosen; nothing here knows Mirsal's services.
"""

from mirsal_testing.servers.choice import Servers, choose_servers
from mirsal_testing.servers.embedded import EmbeddedServer
from mirsal_testing.servers.external import ExternalServer
from mirsal_testing.servers.kafka import KafkaServer
from mirsal_testing.servers.postgres import PostgresServer
from mirsal_testing.servers.server import Server, ServerError
from mirsal_testing.servers.valkey import ValkeyServer

__all__ = [
    "EmbeddedServer",
    "ExternalServer",
    "KafkaServer",
    "PostgresServer",
    "Server",
    "ServerError",
    "Servers",
    "ValkeyServer",
    "choose_servers",
]
