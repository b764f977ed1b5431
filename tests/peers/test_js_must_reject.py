"""The corpus of packets that must be refused: each is, with the named check, by the verifier in JavaScript."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sluicegate.verify.packet import VALID
from tests.evidence import made
from tests.peers.second import Case, second, why
from tests.vectors import recipes, runs

RECIPES = recipes.recipes()
CHECKS = recipes.checks()
Reports = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """What it says of every packet, in one process."""
    bases = runs.bases(tmp_path_factory.mktemp("bases"))
    cases = [Case(one.id, recipes.cooked(one, bases), one.pins) for one in RECIPES]
    cases += [Case(name, bases[name], (made.PUBLIC,)) for name in ("whole", "again")]
    cases.append(Case("other", bases["other"], (recipes.PUBLIC["other"],)))
    found = second(cases, tmp_path_factory.mktemp("cases"))
    return {case.name: report for case, report in zip(cases, found, strict=True)}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.id)
def test_refused_by_the_named_check(reports: Reports, recipe: recipes.Recipe) -> None:
    found, words = reports[recipe.id], CHECKS[recipe.check]["javascript"]
    assert (found["outcome"], why(found)) == (recipe.outcome, why(found))
    assert re.search(words, why(found)), why(found)


@pytest.mark.parametrize("name", ["whole", "again", "other"])
def test_untouched_they_are_accepted(reports: Reports, name: str) -> None:
    assert reports[name]["outcome"] == VALID
