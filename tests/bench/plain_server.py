# SPDX-License-Identifier: MIT
"""Plain servers that give every asker the same bytes and know nothing: Python's own ThreadingHTTPServer, and Flask's own.

A program of its own: `plain_server.py stdlib|flask LENGTH` prints its port and answers until it is killed.
"""

from __future__ import annotations

import logging
import resource
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

QUEUE = 8192
"""Connections that may wait: the defaults of 5 and 128 would lose most of a storm."""


class Server(ThreadingHTTPServer):
    request_queue_size = QUEUE
    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(self.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: writing lines would be most of the work."""


def stdlib(body: bytes) -> None:
    Handler.body = body
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def flask(body: bytes) -> None:
    from flask import Flask, Response
    from werkzeug import serving

    logging.getLogger("werkzeug").disabled = True
    serving.BaseWSGIServer.request_queue_size = QUEUE
    app = Flask("plain")

    @app.get("/terminals/config")
    def config() -> Response:
        return Response(body, content_type="text/plain; charset=utf-8")

    server = serving.make_server("127.0.0.1", 0, app, threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))
    {"stdlib": stdlib, "flask": flask}[sys.argv[1]](b"x" * int(sys.argv[2]))


if __name__ == "__main__":
    main()
