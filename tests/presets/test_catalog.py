from __future__ import annotations

import re
from pathlib import Path

import pytest

from sluicegate.policy.presets import PresetError
from sluicegate.presets import catalog
from tests.presets.fake import Fake

GUIDE = (Path(__file__).parents[2] / "docs/presets.md").read_text()


def test_the_guide_has_every_preset() -> None:
    rows = re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \|", GUIDE, re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"[a-z-]+", row)) == list(
        catalog.NAMES
    )


def nobody() -> Fake:
    raise AssertionError("the machine was asked")


@pytest.mark.parametrize("name", catalog.NAMES)
def test_every_preset_has_its_words_and_an_answer(name: str) -> None:
    assert catalog.words(name)
    repos = ("o/r",) if name == "github-push" else ()
    found = catalog.found(name, repos, Fake)
    assert found.rows or found.notes


def test_a_static_one_asks_no_machine() -> None:
    assert catalog.found("openai", (), nobody).rows


@pytest.mark.parametrize(
    ("name", "repos", "said", "hint"),
    [
        ("pythn", (), 'preset "pythn" is not known', "did you mean python?"),
        ("zzz", (), "is not known", "one of: anthropic, debian"),
        ("", (), "is not known", "one of: "),
        ("python", ("o/r",), "preset python has no repositories", "remove repos"),
        (
            "python",
            (),
            "preset python is empty here: the index that pip has built in is not known",
            "PIP_INDEX_URL",
        ),
    ],
)
def test_what_is_wrong_with_a_line(name: str, repos: tuple[str, ...], said: str, hint: str) -> None:
    with pytest.raises(PresetError) as caught:
        catalog.some(name, repos, Fake)
    assert said in caught.value.message
    assert hint in caught.value.hint
