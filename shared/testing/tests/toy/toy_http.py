"""An HTTP server that answers 200 to every GET until SIGTERM."""

import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
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


def serve(*ports: int) -> None:
    for port in ports:
        server = SharedPortServer(("127.0.0.1", port), Answers)
        Thread(target=server.serve_forever, daemon=True).start()
    signal.sigwait({signal.SIGTERM})
    sys.exit(0)
