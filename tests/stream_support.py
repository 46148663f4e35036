"""Servers and pipes that send a video at the pace of a clock."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import BinaryIO

_BLOCK = 1316  # of a usual MPEG-TS datagram: seven packets


def _send(data: bytes, seconds: float, write: BinaryIO | socket.SocketIO) -> None:
    began = time.monotonic()
    try:
        for start in range(0, len(data), _BLOCK):
            time.sleep(max(0.0, began + seconds * start / len(data) - time.monotonic()))
            write.write(data[start : start + _BLOCK])
    except OSError:
        pass  # whoever reads has ended


@contextmanager
def tcp_server(connections: Sequence[bytes], seconds: float = 0.0) -> Iterator[str]:
    """The address of a server that sends each connection its bytes in so many seconds, and then is gone."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server:
                for data in connections:
                    connection, _ = server.accept()
                    with connection, connection.makefile("wb", buffering=0) as file:
                        _send(data, seconds, file)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def silent_server() -> Iterator[str]:
    """The address of a server that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def http_server(path: Path, *, says_length: bool = True, most_bytes: int | None = None) -> Iterator[str]:
    """The address of a file on a web server.

    Args:
        path: The file.
        says_length: As a server of files does; one of live video does not.
        most_bytes: After so many bytes, the connection breaks.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != f"/{path.name}":
                self.send_error(404)
                return
            data = path.read_bytes()
            self.send_response(200)
            if says_length:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:most_bytes])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{path.name}"
        server.shutdown()


@contextmanager
def piped(path: Path, seconds: float = 0.0) -> Iterator[BinaryIO]:
    """The reading end of a pipe through which a file comes in so many seconds."""
    reading, writing = os.pipe()

    def feed() -> None:
        with os.fdopen(writing, "wb", buffering=0) as file:
            _send(path.read_bytes(), seconds, file)

    thread = Thread(target=feed, daemon=True)
    thread.start()
    with os.fdopen(reading, "rb") as file:
        yield file
    thread.join()
