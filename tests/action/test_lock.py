"""The action installs what the tests run with: the same versions, all that a run needs, each by its hashes."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata

from tests.world import ROOT

LOCK = ROOT / "action/requirements.lock"


def name(text: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s;<>=!~\[(]", text)[0]).lower()


def locked() -> dict[str, tuple[str, list[str]]]:
    found: dict[str, tuple[str, list[str]]] = {}
    for block in re.split(r"^(?=[A-Za-z0-9])", LOCK.read_text(), flags=re.MULTILINE)[1:]:
        head, *rest = block.replace("\\\n", "\n").split("\n")
        package, _, version = head.strip().partition("==")
        hashes = [line.strip() for line in rest if line.strip()]
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), package
        found[name(package)] = version, hashes
    return found


def needed() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["run"]]
    found: set[str] = set()
    while wanted:
        package = name(wanted.pop())
        if package not in found:
            found.add(package)
            wanted += [one for one in metadata.requires(package) or () if "extra ==" not in one]
    return found - {"typing-extensions"}  # of Pythons before 3.11 alone


def test_it_has_all_that_a_run_needs_and_nothing_else() -> None:
    assert locked().keys() == needed()


def test_the_versions_are_those_of_the_tests() -> None:
    lines = (ROOT / "requirements.lock").read_text().split()
    ours = {name(line): line.partition("==")[2] for line in lines}
    assert {package: version for package, (version, _) in locked().items()} == {
        package: ours[package] for package in locked()
    }


def test_each_file_has_a_hash_and_no_place_of_its_own() -> None:
    for package, (_, hashes) in locked().items():
        assert hashes, package
        assert len(hashes) == len(set(hashes))
    assert "://" not in LOCK.read_text()
    assert "index-url" not in re.sub(r"^#.*$", "", LOCK.read_text(), flags=re.MULTILINE)
