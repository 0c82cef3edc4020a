"""How Kafka is reached: where, and whether by TLS with a certificate of our own. No client here."""

import ssl
from typing import TypedDict

from mirsal_runtime.settings import RuntimeSettings


class KafkaConnection(TypedDict):
    """The arguments that every client of aiokafka takes."""

    bootstrap_servers: str
    security_protocol: str
    ssl_context: ssl.SSLContext | None


def kafka_connection(settings: RuntimeSettings) -> KafkaConnection:
    """Plain text where no authority is named; else TLS 1.2 or later, the broker's name checked.

    The files are read each time, so that a client made anew takes up a renewed certificate.
    Raises `OSError` when one cannot be read; its subclass `ssl.SSLError` when it is none.
    """
    if settings.kafka_ca_file is None:
        return KafkaConnection(
            bootstrap_servers=settings.kafka_bootstrap_servers,
            security_protocol="PLAINTEXT",
            ssl_context=None,
        )
    context = ssl.create_default_context(cafile=settings.kafka_ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.kafka_certificate_file is not None:
        context.load_cert_chain(settings.kafka_certificate_file, settings.kafka_key_file)
    return KafkaConnection(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        security_protocol="SSL",
        ssl_context=context,
    )
