import select

from sluicegate.gate.lookup import CACHE_NS, Lookup


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
