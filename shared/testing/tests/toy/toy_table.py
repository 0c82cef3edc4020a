"""The table of a platform of throw-away programs, for tests of the stack."""

from mirsal_testing.stack.table import Service, Simulator, Table

TABLE = Table(
    services=(
        Service("gateway", "toy_service", "MIRSAL_GATEWAYS", serves_api=True),
        Service(
            "worker", "toy_service", "MIRSAL_TOY_WORKERS", processes=2, prepares="toy_service.build"
        ),
        Service(
            "unused", "toy_service", "MIRSAL_UNUSED", processes=0, prepares="toy_service.nothing"
        ),
    ),
    simulators=(
        Simulator(
            "smtp-simulator",
            "toy_service",
            replaced_by="MIRSAL_SMTP_HOST",
            ports=("TOY_SMTP_PORT", "TOY_INBOX_PORT"),
            gives={"MIRSAL_SMTP_HOST": "127.0.0.1", "MIRSAL_SMTP_PORT": "{TOY_SMTP_PORT}"},
            defaults={"MIRSAL_SMTP_TLS": "none"},
        ),
    ),
    topics="toy_job",
    keys="toy_job",
)
