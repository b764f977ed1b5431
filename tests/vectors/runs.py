"""Runs to make recipes of: the real notary, fed and timed by hand, so that each run is the same bytes every time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from sluicegate.evidence import keys, notary
from tests.evidence import made

BEAT_SECONDS = 60
START_NS = 1_767_323_045_000_000_000  # 2026-01-02T03:04:05Z
OTHER_SEED = b"x" * 32

Files = dict[str, bytes]


class Clock:
    """Time that passes by a millisecond whenever somebody looks, and dice that count."""

    def __init__(self, nonce: str) -> None:
        self.ns, self.seconds, self.thrown, self.nonce = START_NS, 0.0, 0, nonce

    def time_ns(self) -> int:
        self.ns += 1_000_000
        return self.ns

    def monotonic(self) -> float:
        return self.seconds

    def randbits(self, bits: int) -> int:
        self.thrown += 1
        return self.thrown % 2**bits

    def token_bytes(self, size: int) -> bytes:
        return self.randbits(8 * size).to_bytes(size, "big")

    def token_hex(self, size: int) -> str:
        return self.nonce * 2 * size


class Desk(made.Desk):
    """The notary without its sockets: it hears one message after the other, and beats after each but the first."""

    clock: Clock

    def __init__(self, directory: Path, heartbeat_s: int = 0, seed: bytes = made.SEED) -> None:
        self.directory, self.gate = directory, None  # type: ignore[assignment]
        self.boss = self.gate
        self.closed, self.told, self.numbers = None, [], {}
        self.fds = [
            os.open(directory / n, os.O_CREAT | os.O_RDWR | os.O_APPEND) for n in made.NAMES
        ]
        signer = keys.Signer(seed)
        nonce = self.clock.nonce * 32
        self.notary = notary._Notary(*self.fds, signer, BEAT_SECONDS, nonce)

    def ask(self, _peer: object, *messages: object) -> dict[str, object]:
        import json

        said = b""
        for message in messages:
            said, _ = self.notary.command(message)
        return dict(json.loads(said))

    def record(self, *messages: object) -> None:
        numbered = made.numbered(messages, self.numbers)  # type: ignore[arg-type]
        self.told += numbered
        for at, message in enumerate(numbered):
            self.notary.flows([message])
            if at in {1, 3}:
                self.clock.seconds += BEAT_SECONDS
                self.notary.tick(self)  # type: ignore[arg-type]

    def say(self, _told: bytes) -> None:
        """Checkpoints that nobody asked for."""

    def join(self) -> int:
        for fd in self.fds:
            os.close(fd)
        return notary.DONE


@contextmanager
def _still(nonce: str) -> Iterator[type[Desk]]:
    clock = Clock(nonce)
    dice = SimpleNamespace(token_bytes=clock.token_bytes, token_hex=clock.token_hex)
    with mock.patch.object(notary, "time", clock), mock.patch.object(notary, "secrets", dice):
        yield type("Desk", (Desk,), {"clock": clock})


def made_by(directory: Path, seed: bytes, nonce: str) -> Files:
    """A whole packet with a line of every kind, heartbeats among them."""
    directory.mkdir()
    with _still(nonce) as desk:
        return made.files(directory, made.some(), seed=seed, desk_of=desk)


def bases(directory: Path) -> dict[str, Files]:
    """`whole`; `again`, another run of the same key; `other`, the same run of another key."""
    return {
        "whole": made_by(directory / "whole", made.SEED, "1"),
        "again": made_by(directory / "again", made.SEED, "2"),
        "other": made_by(directory / "other", OTHER_SEED, "1"),
    }
