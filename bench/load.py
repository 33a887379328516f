"""A load generator on raw sockets: `concurrency` connections that each post, wait for the answer, and post again."""

import asyncio
import json
import time
from dataclasses import dataclass
from itertools import count

_numbers = count()


@dataclass(frozen=True, slots=True)
class Load:
    """What one run measured. Latencies in milliseconds; `refused` are answers other than 201."""

    seconds: float
    sent: int
    refused: int
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.sent / self.seconds


def run(port: int, *, concurrency: int, seconds: float) -> Load:
    """Post for that long to the service on that port of loopback."""
    return asyncio.run(_run(port, concurrency=concurrency, seconds=seconds))


async def _run(port: int, *, concurrency: int, seconds: float) -> Load:
    started = time.perf_counter()
    stop_at = started + seconds
    results = await asyncio.gather(*(_post_until(port, stop_at) for _ in range(concurrency)))
    elapsed = time.perf_counter() - started
    latencies = sorted(latency for accepted, _ in results for latency in accepted)
    if not latencies:
        raise RuntimeError("the service accepted nothing")
    return Load(
        seconds=elapsed,
        sent=len(latencies),
        refused=sum(refused for _, refused in results),
        p50_ms=latencies[len(latencies) // 2] * 1000,
        p99_ms=latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)] * 1000,
    )


async def _post_until(port: int, stop_at: float) -> tuple[list[float], int]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latencies: list[float] = []
    refused = 0
    while (now := time.perf_counter()) < stop_at:
        writer.write(_post(next(_numbers)))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        if head.startswith(b"HTTP/1.1 201"):
            latencies.append(time.perf_counter() - now)
        else:
            refused += 1
    writer.close()
    return latencies, refused


def _post(number: int) -> bytes:
    """A request of about 750 bytes that becomes a mail of about 3 KB, from a sender of its own."""
    body = json.dumps(
        {
            "Email": f"visitor-{time.time_ns()}-{number}@example.com",
            "Username": "Anna Example",
            "Message": "Hello! Do you have a table for two on Friday evening?\n" * 9,
            "Template": "Minimal",
            "CustomFields": {"Company": "Example Ltd", "Phone": "+49 30 123456"},
        }
    ).encode()
    head = (
        f"POST /api/v1/emails HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    return head.encode() + b"\r\n\r\n" + body
