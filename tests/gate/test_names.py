from sluicegate.gate.names import Names


def test_a_name_keeps_its_address_and_the_address_its_name() -> None:
    names = Names()
    assert names.bind("a.test") == "198.18.0.1"
    assert names.bind("b.test") == "198.18.0.2"
    assert names.bind("a.test") == "198.18.0.1"
    assert names.name("198.18.0.2") == "b.test"
    assert names.name("198.18.0.3") is None


def test_a_full_pool_refuses_and_never_recycles() -> None:
    names = Names(size=1)
    assert names.bind("a.test") == "198.18.0.1"
    assert names.bind("b.test") is None
    assert names.bind("a.test") == "198.18.0.1"


def test_the_pool_ends_inside_its_range() -> None:
    names = Names()
    last = None
    for n in range(2**17 - 2):
        last = names.bind(f"{n}.test")
    assert last == "198.19.255.254"
    assert names.bind("one.more.test") is None
