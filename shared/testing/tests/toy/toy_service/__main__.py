"""Answers 200 to every GET until SIGTERM; as a service it first writes down its environment."""

import json
import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing."""


class SharedPortServer(HTTPServer):
    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


def prepare_service(instance: str) -> list[int]:
    """The ports to serve; ends the process if this is the one that is told to fail."""
    if os.environ.get("TOY_FAILS") == instance:
        sys.exit("this toy is [broken]")
    written = Path(os.environ["MIRSAL_STATE_DIR"], f"{instance}.json")
    written.write_text(json.dumps(dict(os.environ)), encoding="utf-8")
    ports = [int(os.environ["MIRSAL_HEALTH_PORT"])]
    return [*ports, int(os.environ["MIRSAL_PORT"])] if instance.startswith("gateway") else ports


signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
name = os.environ.get("MIRSAL_INSTANCE")
for port in prepare_service(name) if name else [int(os.environ["TOY_INBOX_PORT"])]:
    server = SharedPortServer(("127.0.0.1", port), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
signal.sigwait({signal.SIGTERM})
