"""How fast known values are looked for, against Python's `re`: one expression by one, and all of them as one."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import statistics
import time
from collections.abc import Callable
from functools import partial

from sluicegate.scan.known import sought
from sluicegate.scan.stream import Patterns

PIECE = 16_384  # bytes: one TLS record
FAST_BYTES, SLOW_BYTES = 64 << 20, 1 << 18  # a tenth of a second or so each
VALUES = (1, 5, 20)


def report(rounds: int) -> None:
    print(
        f"\nscan: MB/s on one core, in pieces of {PIECE} bytes; `re` over the same, without borders"
    )
    dice = random.Random(1)
    for count in VALUES:
        values = {str(at): base64.b64encode(dice.randbytes(30)) for at in range(count)}
        begun = time.perf_counter()
        patterns = Patterns(values)
        ready = (time.perf_counter() - begun) * 1000
        parts = [p for n, v in values.items() for one in sought(n, v) for p in one.parts]
        singly = [re.compile(part) for part in parts]
        jointly = re.compile(b"|".join(b"(?:%s)" % part for part in parts))
        print(f"  {count} value(s), {len(parts)} expressions, ready in {ready:.0f} ms")
        for name, text in texts().items():
            ways: dict[str, Callable[[], float]] = {
                "scan": partial(scanned, patterns, text),
                "one by one": partial(searched, singly, text),
                "all as one": partial(searched, [jointly], text),
            }
            rates = {
                way: statistics.median(rate() for _ in range(rounds)) for way, rate in ways.items()
            }
            line = "  ".join(f"{way} {rate:7.1f}" for way, rate in rates.items())
            print(f"    {name:<7} {line}  ratio {rates['scan'] / rates['one by one']:6.0f}")


def texts() -> dict[str, bytes]:
    said = {"role": "user", "content": 'the fox said "hello" to /usr/bin/env\n and %20 went\\' * 3}
    body = json.dumps({"messages": [said] * 40}).encode()
    return {
        "random": os.urandom(1 << 20),
        "json": (body * ((1 << 20) // len(body) + 1))[: 1 << 20],
        "base64": base64.encodebytes(os.urandom(3 << 18)),
    }


def scanned(patterns: Patterns, text: bytes) -> float:
    pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
    stream, count = patterns.stream(), FAST_BYTES // len(text)
    begun = time.perf_counter()
    for _ in range(count):
        for piece in pieces:
            if stream.feed(piece):
                raise AssertionError("a finding in a text without values")
    return count * len(text) / (time.perf_counter() - begun) / 1e6


def searched(expressions: list[re.Pattern[bytes]], text: bytes) -> float:
    text = text[:SLOW_BYTES]
    begun = time.perf_counter()
    for one in expressions:
        one.search(text)
    return len(text) / (time.perf_counter() - begun) / 1e6
