"""The verdict, the exit code, and the words that go with them."""

from __future__ import annotations

import pytest

from sluicegate.action.verdict import Ending, advice, exit_code, remarks, verdict


@pytest.mark.parametrize(
    ("present", "holds", "pinned", "word"),
    [
        (False, None, False, "error"),
        (False, True, True, "error"),
        (True, None, True, "error"),
        (True, False, True, "invalid"),
        (True, False, False, "invalid"),
        (True, True, True, "valid"),
        (True, True, False, "self_consistent_only"),
    ],
)
def test_verdicts(present: bool, holds: bool | None, pinned: bool, word: str) -> None:
    assert verdict(present=present, holds=holds, pinned=pinned) == word


@pytest.mark.parametrize(
    ("code", "word", "fail", "expected"),
    [
        (0, "valid", True, 0),
        (0, "self_consistent_only", True, 0),  # a sound run with an ephemeral key is no failure
        (0, "invalid", True, 1),
        (0, "error", True, 1),
        (0, "invalid", False, 0),
        (7, "valid", True, 7),
        (7, "invalid", True, 7),
        (125, "error", False, 125),
    ],
)
def test_exit_codes(code: int, word: str, fail: bool, expected: int) -> None:
    ending = Ending(code, word, "", 3, packet=True)
    assert exit_code(ending, fail_on_verifier_error=fail) == expected


@pytest.mark.parametrize(
    ("ending", "fail", "kinds", "words"),
    [
        (Ending(0, "valid", "", 5, True), True, [], ""),
        (Ending(0, "self_consistent_only", "", 5, True), True, [], ""),
        (Ending(125, "error", "", 0, False), True, ["error"], "the command was not started"),
        (
            Ending(120, "invalid", "INTACT: x", 2, True),
            True,
            ["error", "error"],
            "the packet is invalid: INTACT: x",
        ),
        (Ending(121, "valid", "", 5, True), True, ["error"], "fail-on-deny is set"),
        (Ending(3, "valid", "", 5, True), True, ["error"], "exit code 3"),
        (Ending(0, "invalid", "x", 5, True), False, ["warning"], "the packet is invalid: x"),
        (
            Ending(130, "valid", "", 5, True, stopped=True),
            True,
            ["warning"],
            "the job was cancelled",
        ),
        (
            Ending(0, "error", "", 0, False),
            True,
            ["error"],
            "the packet is error: nothing was recorded",
        ),
    ],
)
def test_remarks(ending: Ending, fail: bool, kinds: list[str], words: str) -> None:
    found = remarks(ending, fail_on_verifier_error=fail)
    assert [kind for kind, _ in found] == kinds
    assert words in "\n".join(text for _, text in found)


def test_advice_says_how_to_pin_and_how_to_keep() -> None:
    page = advice(Ending(0, "self_consistent_only", "", 5, True), "out", keyed=False)
    assert "sluicegate keygen release" in page
    assert "\n      out\n      out.html\n```\n" in page
    keyed = advice(Ending(0, "self_consistent_only", "", 5, True), "out", keyed=True)
    assert "no `signer-public-key` was given" in keyed
    assert "Pin the key" not in advice(Ending(0, "valid", "", 5, True), "out", keyed=True)
    assert "Keep the packet" not in advice(Ending(125, "error", "", 0, False), "out", keyed=False)


def test_a_directorys_name_adds_nothing_to_the_page() -> None:
    page = advice(Ending(0, "valid", "", 5, True), 'a"}\n```\n<img src=x>', keyed=True)
    assert page.count("```") == 2
    assert "<" not in page
