from __future__ import annotations

import pytest

from sluicegate.policy import document, scalars
from sluicegate.policy.document import Node


def node(text: str) -> Node:
    return document.read(f"- {text}", "p").items[0]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("1", 1), ("500", 500), ("'500'", 500), ("500KB", 500_000), ("10MiB", 10_485_760)),
        *(("2GB", 2 * 10**9), ("1GiB", 1 << 30), ("1TB", 10**12), ("1024TiB", 1 << 50)),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert scalars.size_of(node(text), "limits.upload") == size


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("10mb", 'has the unit "mb", not KB, MB', "upload: 10MB"),
        ("10M", 'has the unit "M"', "upload: 10MB"),
        ("10kib", 'has the unit "kib"', "upload: 10KiB"),
        ("10Mbit", 'wants a size and got "10Mbit"', "upload: 10MiB"),
        ("1.5MiB", 'wants a size and got "1.5MiB"', "upload: 10MiB"),
        ("10 MiB", 'wants a size and got "10 MiB"', "upload: 10MiB"),
        ("1_000", "wants a size and got 1_000", "upload: 10MiB"),
        ("010", "wants a size and got 010", "upload: 10MiB"),
        ("0x10", "wants a size and got 0x10", "upload: 10MiB"),
        ("-1", "wants a size", "upload: 10MiB"),
        ("1e6", 'wants a size and got "1e6"', "upload: 10MiB"),
        ("1.0", "1.0, which YAML reads as a number", "upload: 10MiB"),
        ("~", "wants a size", "upload: 10MiB"),
        ("[]", "wants a size and got a list", "upload: 10MiB"),
        ("0", "is 0, which not even a request fits into", "methods: [GET, HEAD]"),
        ("1025TiB", "more than 1125899906842624 bytes", "upload: 1024TiB"),
        ("9999999999999999", "more than", "upload: 1024TiB"),
    ],
)
def test_sizes_that_are_refused(text: str, said: str, hint: str) -> None:
    with pytest.raises(scalars.RuleError) as caught:
        scalars.size_of(node(text), "limits.upload")
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_counts() -> None:
    assert scalars.count_of(node("8"), "limits.x", 8, 2) == 8
    for text, said, hint in (("9", "is 9, more than 8", "x: 8"), ("0", "an integer", "x: 2")):
        with pytest.raises(scalars.RuleError) as caught:
            scalars.count_of(node(text), "limits.x", 8, 2)
        assert said in caught.value.message
        assert caught.value.hint == hint


def test_texts_and_items() -> None:
    assert scalars.text_of(node("a"), "x") == "a"
    assert [item.value for item in scalars.items_of(node("[a, b]"), "x", "[a]")] == ["a", "b"]
    for text in ("on", "[]"):
        with pytest.raises(scalars.RuleError):
            scalars.text_of(node(text), "x")
    for text in ("a", "[]"):
        with pytest.raises(scalars.RuleError):
            scalars.items_of(node(text), "x", "[a]")
