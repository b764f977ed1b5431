"""The corpus of packets that must be refused: each is, with the named check, by the verifier in Python."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from sluicegate.verify.packet import UNPROVEN, UNTRUSTED, VALID
from tests.evidence import made
from tests.peers.second import Case, first, why
from tests.vectors import recipes, runs
from tests.vectors.recipes import Recipe
from tests.vectors.runs import Files

RECIPES = recipes.recipes()
CHECKS = recipes.checks()


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    return runs.bases(tmp_path_factory.mktemp("bases"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.id)
def test_refused_by_the_named_check(
    bases: dict[str, Files], recipe: Recipe, tmp_path: Path
) -> None:
    found = first(Case(recipe.id, recipes.cooked(recipe, bases), recipe.pins), tmp_path)
    assert (found["outcome"], why(found)) == (recipe.outcome, why(found))
    assert re.search(CHECKS[recipe.check]["python"], why(found)), why(found)


def test_untouched_they_are_accepted(bases: dict[str, Files], tmp_path: Path) -> None:
    pins = {"whole": made.PUBLIC, "again": made.PUBLIC, "other": recipes.PUBLIC["other"]}
    for name, pin in pins.items():
        assert first(Case(name, bases[name], (pin,)), tmp_path)["outcome"] == VALID
    assert len({files["evidence.jsonl"] for files in bases.values()}) == len(bases)


def test_what_an_attacker_repairs_is_whole_again(bases: dict[str, Files]) -> None:
    for verb in recipes.REPAIRS:
        cook = recipes.Cook(dict(bases["whole"]), bases)
        recipes.VERBS[verb](cook, {"do": verb})
        assert cook.files == bases["whole"], verb


def test_the_same_bytes_every_time(bases: dict[str, Files], tmp_path: Path) -> None:
    assert runs.bases(tmp_path) == bases


def test_the_corpus_is_what_it_says(bases: dict[str, Files]) -> None:
    assert len(RECIPES) >= 120
    assert max(Counter(recipe.id for recipe in RECIPES).values()) == 1
    assert {recipe.check for recipe in RECIPES} == CHECKS.keys()
    verbs = {edit["do"] for recipe in RECIPES for edit in recipe.edits}
    assert verbs == recipes.VERBS.keys()
    cooked = Counter(
        (*sorted(recipes.cooked(recipe, bases).items()), *recipe.pins) for recipe in RECIPES
    )
    assert max(cooked.values()) == 1  # no packet twice
    # Only a clean cut, another key and an open account leave something that holds in part.
    for recipe in RECIPES:
        if recipe.outcome != 1:
            wanted = {"no end": UNPROVEN}.get(recipe.check, UNTRUSTED)
            assert recipe.check in {"no end", "key pinned", "counted again"}, recipe.id
            assert recipe.outcome == wanted, recipe.id


def test_written_out_for_others(
    bases: dict[str, Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "recipes", lambda: RECIPES[:3])
    recipes.main(tmp_path)
    assert {path.name for path in (tmp_path / "whole").iterdir()} == bases["whole"].keys()
    index = (tmp_path / "index.json").read_text()
    assert all((tmp_path / recipe.directory / "evidence.jsonl").exists() for recipe in RECIPES[:3])
    assert all(f'"{recipe.directory}"' in index for recipe in RECIPES[:3])
