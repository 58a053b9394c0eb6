"""Clients that ask an HTTP server without a pause; run as a process of its own.

`python benchmarks/_serve_client.py PORT PATH CLIENTS SECONDS BODY_FILE CONTENT_TYPE` prints JSON:
answers per second, median and 99th percentile in milliseconds, and how many were no 200.
Each client is one kept connection that sends its next request on the answer to the last.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

WARM_S = 0.25  # of asking before it counts


class Client(asyncio.Protocol):
    """Knows as much of HTTP as an answer with a content-length needs."""

    def __init__(self, request: bytes, seconds: list[float], start: float, until: float):
        self.request, self.seconds, self.start, self.until = request, seconds, start, until
        self.rest = b""
        self.failed = 0

    def connection_made(self, transport):
        self.transport = transport
        self.send()

    def send(self):
        self.sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data):
        self.rest += data
        end = self.rest.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.rest[:end].lower()
        at = head.find(b"content-length:")
        assert at >= 0, head
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self.rest) < end + 4 + length:
            return
        now = time.perf_counter()
        if head[9:12] != b"200":
            self.failed += 1
        elif now > self.start:
            self.seconds.append(now - self.sent)
        self.rest = b""
        if now < self.until:
            self.send()
        else:
            self.transport.close()


async def measure(port, path, clients, seconds, body, content_type):
    """What `clients` connections see within `seconds`."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    took: list[float] = []
    started = time.perf_counter() + WARM_S
    made = []
    for _ in range(clients):
        _, client = await loop.create_connection(
            lambda: Client(head.encode() + body, took, started, started + seconds),
            "127.0.0.1",
            port,
        )
        made.append(client)
    while time.perf_counter() < started + seconds or not all(
        c.transport.is_closing() for c in made
    ):
        await asyncio.sleep(0.02)
        if time.perf_counter() > started + seconds + 30:
            break
    wall = time.perf_counter() - started
    took.sort()
    return {
        "per_second": len(took) / wall,
        "p50_ms": 1000 * took[len(took) // 2] if took else None,
        "p99_ms": 1000 * took[int(len(took) * 0.99)] if took else None,
        "failed": sum(c.failed for c in made),
    }


if __name__ == "__main__":
    port, path, clients, seconds, file, content_type = sys.argv[1:]
    body = Path(file).read_bytes()
    main = measure(int(port), path, int(clients), float(seconds), body, content_type)
    try:
        import uvloop
    except ImportError:
        print(json.dumps(asyncio.run(main)))
    else:
        print(json.dumps(uvloop.run(main)))
