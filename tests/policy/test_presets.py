from __future__ import annotations

import pytest

from sluicegate.policy import explain, grammar, normal
from sluicegate.policy.model import Policy, PolicyError, Rule
from sluicegate.policy.presets import PresetError, Row, is_repo, made, numbered

ROWS = (
    Row("a.example", "s", paths=("/x/**",)),
    Row("a.example", "elsewhere", paths=("/x/**",)),
    Row("*.b.example", "s", (80, 443), ()),
    Row("10.1.2.3", "s", (3141,)),
    Row("a.example", "s", methods=("POST",), query=(("q", "v"),)),
)
RULES = (
    Rule("", "a.example", ports=(443,), methods=("GET", "HEAD"), paths=("/x/**",), preset="p"),
    Rule("", "b.example", True, ports=(80, 443), preset="p"),
    Rule("", network="10.1.2.3/32", ports=(3141,), methods=("GET", "HEAD"), preset="p"),
    Rule("", "a.example", ports=(443,), methods=("POST",), query=(("q", "v"),), preset="p"),
)
PLAIN = """
  - {host: a.example, ports: [443], methods: [GET, HEAD], paths: ["/x/**"]}
  - {host: "*.b.example", ports: [80, 443]}
  - {ip: 10.1.2.3, ports: [3141], methods: [GET, HEAD]}
  - {host: a.example, ports: [443], methods: [POST], query: {q: v}}
"""


def expand(name: str, repos: tuple[str, ...]) -> tuple[Row, ...]:
    if name == "none":
        raise PresetError("preset none is not known", "one of: p")
    return tuple(Row(f"{repo.replace('/', '.')}.example", "s") for repo in repos) or ROWS


def parse(allow: str, rest: str = "", more: tuple[Rule, ...] = ()) -> Policy:
    return grammar.parse(f"version: 1\nallow:{allow}\n{rest}", "p.yaml", expand, more)


def test_rows_are_rules_none_twice() -> None:
    assert made(ROWS, "", "p") == RULES


def test_a_line_stands_for_all_its_rules_each_with_a_name_that_leads_to_it() -> None:
    found = parse("\n  - host: first.example\n  - preset: p\n  - host: last.example\n").allow
    assert [rule.label for rule in found] == [
        "allow[0] p.yaml:3",
        *(f"allow[{index}] p.yaml:4" for index in (1, 2, 3, 4)),
        "allow[5] p.yaml:5",
    ]
    assert [rule.preset for rule in found] == ["", "p", "p", "p", "p", ""]


def test_the_normal_form_has_the_rules_and_no_name_of_a_preset() -> None:
    given, plain = parse("\n  - preset: p\n"), parse(PLAIN)
    assert normal.policy_text((given,)) == normal.policy_text((plain,))
    assert b"preset" not in normal.policy_text((given,))
    assert [
        rule.preset for policy in normal.read(normal.policy_text((given,))) for rule in policy.allow
    ] == [""] * 4


def test_rules_of_options_follow_those_of_the_file() -> None:
    found = parse("\n  - host: first.example\n", more=made(ROWS[:1], "--preset p", "p")).allow
    assert [rule.label for rule in found] == ["allow[0] p.yaml:3", "allow[1] --preset p"]
    assert numbered(found[:1], "allow", 7)[0].label == "allow[7] allow[0] p.yaml:3"


def test_repositories_are_handed_on() -> None:
    found = parse("\n  - preset: p\n    repos: [a/b, a/b.git, c/d]\n").allow
    assert [rule.host for rule in found] == ["a.b.example", "c.d.example"]


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        ("{preset: none}", "allow[0]: preset none is not known", "one of: p"),
        ("{preset: 3}", "preset wants text and got 3", 'put quotes around it: "3"'),
        ("{preset: p, ports: [80]}", "ports beside preset", "sluicegate presets NAME"),
        ("{preset: p, host: a.example}", "host beside preset", "remove host"),
        ("{preset: p, repos: []}", "repos is empty", "[OWNER/REPO]"),
        ("{preset: p, repos: a/b}", "repos wants a list", "repos: [a/b]"),
        ("{preset: p, repos: [a]}", '"a" is not OWNER/REPO', "repos: [OWNER/REPO]"),
        ("{preset: p, repos: [a/..]}", "is not OWNER/REPO", "repos:"),
        ("{preset: p, repos: ['a/*']}", "is not OWNER/REPO", "repos:"),
        ("{preset: p, repos: [../b]}", "is not OWNER/REPO", "repos:"),
        ("{preset: p, reps: [a/b]}", 'has no key "reps"', "did you mean repos?"),
        ("{host: a.example, repos: [a/b]}", 'has no key "repos"', ""),
        (
            f"{{preset: p, repos: [{', '.join(f'a/b{n}' for n in range(65))}]}}",
            "65 entries, more than 64",
            "leave repos out",
        ),
    ],
)
def test_lines_that_are_wrong(line: str, said: str, hint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(f"\n  - {line}\n")
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.line == 3


def test_a_preset_in_deny_is_an_error() -> None:
    with pytest.raises(PolicyError, match="preset in deny"):
        parse(" []", "deny:\n  - preset: p\n")


def test_without_somebody_who_knows_presets_they_are_errors() -> None:
    with pytest.raises(PolicyError, match="presets are not read here"):
        grammar.parse("version: 1\nallow:\n  - preset: p\n", "p.yaml")


def test_inspect_none_beside_a_preset_says_which_line() -> None:
    with pytest.raises(
        PolicyError, match="inspect: none, and allow\\[1\\] has a condition on methods"
    ) as caught:
        parse("\n  - host: x.example\n  - preset: p\n", "inspect: none\n")
    assert caught.value.line == 4
    with pytest.raises(PolicyError, match="inspect: none, and allow\\[0\\]") as caught:
        parse(" []", "inspect: none\n", made(ROWS[:1], "--preset p", "p"))
    assert caught.value.line == 3


def test_explain_says_which_preset_a_rule_is_of() -> None:
    policy = parse("\n  - preset: p\n")
    text, allowed = explain.explain((policy,), "https://a.example/x/y")
    assert allowed
    assert "p.yaml: allows by allow[0] p.yaml:3, preset p\n" in text


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("o/r", True),
        ("O-1/r.x_y", True),
        ("o/.github", True),
        ("o", False),
        ("o/r/x", False),
        ("o/..", False),
        ("./r", False),
        ("o/r\n", False),
    ],
)
def test_what_a_repository_is_called(text: str, good: bool) -> None:
    assert is_repo(text) is good
