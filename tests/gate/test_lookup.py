import select
import socket

import pytest

from sluicegate.gate.lookup import CACHE_NS, Lookup, system


def test_one_question_serves_all_who_wait_and_the_cache_ends() -> None:
    asked, got = list[str](), list[tuple[str, ...]]()

    def resolve(name: str) -> tuple[str, ...]:
        asked.append(name)
        return ("192.0.2.1",)

    lookup = Lookup(resolve)
    lookup.ask("a.test", 0, got.append)
    lookup.ask("a.test", 0, got.append)
    assert select.select([lookup.fd], [], [], 5)[0]
    lookup.collect(0)
    lookup.ask("a.test", CACHE_NS - 1, got.append)
    assert (asked, got) == (["a.test"], [("192.0.2.1",)] * 3)
    lookup.ask("a.test", CACHE_NS, got.append)
    assert select.select([lookup.fd], [], [], 5)[0]
    assert asked == ["a.test"] * 2


def test_an_address_has_one_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The C library writes what has IPv4 inside with dots."""
    given = ["192.0.2.1", "::ffff:192.0.2.1", "::192.0.2.1", "fe80::1%eth0", "192.0.2.1"]
    found = [(0, 0, 0, "", (text, 0)) for text in given]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    wanted = ("192.0.2.1", "::ffff:c000:201", "::c000:201", "fe80::1%eth0")
    assert system("a.test") == wanted
