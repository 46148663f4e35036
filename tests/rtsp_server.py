"""A camera: it sends a video of H.264 over RTSP, in the TCP connection that asks for it (RFC 2326, 3550 and 6184)."""

from __future__ import annotations

import base64
import socketserver
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import av

_MOST_BYTES = 1400  # of a packet in a usual network
_FRAGMENT = 28  # the type FU-A: a part of a unit
_SESSION = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"


def _payloads(frame: bytes) -> Iterator[bytes]:
    """The units of a frame; a large one in fragments."""
    for unit in frame.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]:
        if len(unit) <= _MOST_BYTES:
            yield unit
            continue
        parts = [unit[start : start + _MOST_BYTES] for start in range(1, len(unit), _MOST_BYTES)]
        for number, part in enumerate(parts):
            place = 0x80 * (number == 0) | 0x40 * (number == len(parts) - 1)
            yield bytes([unit[0] & 0xE0 | _FRAGMENT, place | unit[0] & 0x1F]) + part


class _Camera(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        while request := self._request():
            method, headers = request
            number = f"CSeq: {headers['cseq']}\r\n"
            if self.server.password and headers.get("authorization") != f"Basic {self.server.password}":
                self._answer("401 Unauthorized", f'{number}WWW-Authenticate: Basic realm="camera"\r\n')
            elif method == "DESCRIBE":
                self._answer("200 OK", f"{number}Content-Type: application/sdp\r\n", _SESSION)
            elif method == "SETUP" and "interleaved" not in headers["transport"]:
                self._answer("461 Unsupported Transport", number)
            elif method == "SETUP":
                self._answer("200 OK", f"{number}Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n")
            else:
                self._answer("200 OK", f"{number}Session: 1\r\n")
            if method == "PLAY":
                self._play()
                self.server.connections -= 1
                if not self.server.connections:
                    self.server.shutdown()
                return

    def _request(self) -> tuple[str, dict[str, str]] | None:
        line = self.rfile.readline().decode()
        pairs = (text.decode().split(":", 1) for text in iter(self.rfile.readline, b"\r\n") if text) if line else ()
        return (line.split()[0], {name.lower(): value.strip() for name, value in pairs}) if line else None

    def _answer(self, status: str, headers: str, body: str = "") -> None:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.wfile.write(f"RTSP/1.0 {status}\r\n{headers}{length}\r\n{body}".encode())

    def _play(self) -> None:
        began, sequence = time.monotonic(), 0
        with av.open(str(self.server.path)) as file:
            for count, frame in enumerate(packet for packet in file.demux(video=0) if packet.size):
                assert frame.pts is not None
                assert frame.time_base is not None
                time.sleep(max(0.0, began + count / self.server.rate - time.monotonic()))
                payloads = list(_payloads(bytes(frame)))
                for place, payload in enumerate(payloads):
                    kind = 96 | 0x80 * (place == len(payloads) - 1)
                    stamp = round(frame.pts * frame.time_base * 90000) % 2**32
                    packet = struct.pack("!BBHII", 0x80, kind, sequence % 2**16, stamp, 1) + payload
                    self.wfile.write(struct.pack("!cBH", b"$", 0, len(packet)) + packet)
                    sequence += 1


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    path: Path
    rate: float
    password: str
    connections: int

    def serve(self) -> None:
        self.serve_forever(0.05)
        self.server_close()

    def handle_error(self, *_: object) -> None:
        pass  # whoever reads has ended


@contextmanager
def rtsp_server(path: Path, rate: float = 25.0, connections: int = 1, login: str = "") -> Iterator[str]:
    """The address of a camera that sends so many connections a whole MPEG-TS of H.264 each, and then is gone.

    Args:
        path: The file.
        rate: Frames in a second.
        connections: How often it sends it.
        login: ``name:password``; without it, everybody may look.
    """
    with _Server(("127.0.0.1", 0), _Camera) as server:
        server.path, server.rate, server.connections = path, rate, connections
        server.password = base64.b64encode(login.encode()).decode()
        Thread(target=server.serve, daemon=True).start()
        yield f"rtsp://{login}{'@' if login else ''}127.0.0.1:{server.server_address[1]}/stream1"
        server.shutdown()
