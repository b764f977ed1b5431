from __future__ import annotations

from sluicegate.policy import grammar
from sluicegate.policy.presets import Row
from sluicegate.presets import catalog, propose
from sluicegate.presets.propose import Ecosystem
from sluicegate.presets.urls import Place
from tests.presets.fake import Fake

MACHINE = (Row("index.example", "/etc/x", paths=("/simple/**",)), Row("files.example", "/etc/x"))
CORP = Place("https", "corp.example", 443, "/a/b.tgz")


def lines(text: str) -> list[str]:
    """What counts of a policy's `allow`."""
    made = grammar.parse(
        text, "p", lambda name, repos: (Row(f"{name}.preset.example", " ".join(repos)),)
    )
    return [str(rule.host) for rule in made.allow]


def test_a_preset_for_each_ecosystem_with_what_it_is_here_as_comment() -> None:
    text = propose.policy((Ecosystem("python", ("requirements.txt",), {}, MACHINE),), None)
    assert "  # python: requirements.txt\n" in text
    assert "  #   index.example\n  #   files.example\n  - preset: python\n" in text
    assert lines(text) == ["python.preset.example"]


def test_hosts_of_the_repositorys_files_are_lines_of_their_own() -> None:
    text = propose.policy(
        (Ecosystem("node", ("a", "b", "c", "d", "e"), {".npmrc": (CORP,)}, MACHINE),), None
    )
    assert "# node: a, b, c, d and 1 more\n" in text
    assert "npm_config_audit=false" in text
    assert "a pull request could name any host" in text
    assert lines(text) == ["node.preset.example", "corp.example"]


def test_where_every_locked_package_is_elsewhere_the_preset_is_not_proposed() -> None:
    places = {"package-lock.json": (CORP,)}
    text = propose.policy((Ecosystem("node", ("package-lock.json",), places, MACHINE),), None)
    assert "  # - preset: node\n" in text
    assert lines(text) == ["corp.example"]


def test_what_this_machine_can_not_say_is_a_comment() -> None:
    text = propose.policy(
        (Ecosystem("rust", ("Cargo.toml",), {}, (), ("no cargo\nallow: evil",)),), None
    )
    assert "  # - preset: rust\n  # Not known here: no cargo\\nallow: evil\n" in text
    assert lines(text) == []


def test_nothing_found_allows_nothing() -> None:
    assert lines(propose.policy((), None)) == []


def test_every_line_that_is_commented_out_is_one_that_may_be_put_in() -> None:
    text = propose.policy((), "o/r")
    for start in ("- preset", "  repos", "secrets", "  - env", "    hosts", "    header"):
        text = text.replace(f"# {start}", start)
    made = grammar.parse(text, "p", lambda name, repos: catalog.some(name, repos, Fake).rows)
    assert {rule.preset for rule in made.allow} == {"github-read", "anthropic", "openai", "gemini"}
    assert "/repos/o/r" in [path for rule in made.allow for path in rule.paths]
    assert made.secrets[0].hosts == ("api.anthropic.com",)


def test_submodules_are_fetched() -> None:
    text = propose.policy((), "o/r", ("a/b", "c/d"))
    assert "  - preset: github-read\n    repos: [a/b, c/d]\n" in text
    assert lines(text) == ["github-read.preset.example"]
