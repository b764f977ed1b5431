from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.policy import grammar
from sluicegate.policy.model import Policy, PolicyError, Rule

WHOLE = """\
version: 1
mode: observe
allow:
  - host: github.com
    ports: [22, 443]
  - ip: 10.1.2.0/24
    ports: [5432]
deny:
  - host: gist.github.com
limits: {connections: 2000}
agent: {env: [HF_HOME, HF_HOME], bind: [~/.cache/pip/, /opt/x], outputs: [done], writable: [.git/]}
"""


def refused(text: str) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        grammar.parse(text, "p.yaml")
    return caught.value


def test_a_whole_policy() -> None:
    assert grammar.parse(WHOLE, "p.yaml") == Policy(
        source="p.yaml",
        observe=True,
        allow=(
            Rule("allow[0] p.yaml:4", "github.com", ports=(22, 443)),
            Rule("allow[1] p.yaml:6", network="10.1.2.0/24", ports=(5432,)),
        ),
        deny=(Rule("deny[0] p.yaml:9", "gist.github.com", ports=()),),
        connections=2000,
        env=("HF_HOME",),
        bind=("~/.cache/pip", "/opt/x"),
        outputs=("done",),
        writable=(".git",),
    )


@pytest.mark.parametrize("text", ["", "allow:", "allow: []", "allow:\ndeny:\n", "mode: enforce"])
def test_an_empty_or_absent_allow_allows_nothing(text: str) -> None:
    assert grammar.parse(f"version: 1\n{text}\n", "p") == Policy("p")


@pytest.mark.parametrize(
    ("text", "place", "said", "hint"),
    [
        ("allow: []", (1, 1), "version is missing", "begin with `version: 1`"),
        ("version: 2", (1, 10), "version is 2", "version: 1"),
        ("version: '1'", (1, 10), 'version is "1"', "version: 1"),
        ("version: 1.0", (1, 10), "version is 1.0, which YAML reads as a number", "version: 1"),
        ("version: 0x1", (1, 10), "version is 0x1", "version: 1"),
        ("version: true", (1, 10), "version is true", "version: 1"),
        ("- a", (1, 1), "the policy wants a mapping and got a list", "keys: version, mode"),
        ("version: 1\nalow: []", (2, 1), 'the policy has no key "alow"', "did you mean allow?"),
        ("version: 1\nALLOW: []", (2, 1), 'no key "ALLOW"', "did you mean allow?"),
        ("version: 1\nzzz: []", (2, 1), 'no key "zzz"', "one of: version, mode, allow"),
        ("version: 1\n<<: {a: b}", (2, 1), 'no key "<<"', "one of"),
        ("version: 1\nmode: observ", (2, 7), 'mode "observ" is not known', "mean observe?"),
        ("version: 1\nmode: off", (2, 7), "mode wants text and got off", "mode: enforce"),
        ("version: 1\nallow: {host: a}", (2, 8), "allow wants a list", "allow: [{host:"),
        ("version: 1\nallow: ''", (2, 8), "allow wants a list", "allow: [{host:"),
        ("version: 1\nallow: [a.example]", (2, 9), "allow[0] wants a mapping", "- host: a.example"),
        ("version: 1\nallow: [{hots: a}]", (2, 10), 'allow[0] has no key "hots"', "mean host?"),
        ("version: 1\ndeny:\n  - host: '*'", (3, 11), "deny[0]: bare wildcard", "already"),
        ("version: 1\nlimits: 5", (2, 9), "limits wants a mapping", "keys: connections"),
        (
            "version: 1\nagent:",
            (2, 7),
            "agent wants a mapping and got nothing",
            "keys: env, bind, outputs, writable",
        ),
    ],
)
def test_errors_have_place_and_remedy(
    text: str, place: tuple[int, int], said: str, hint: str
) -> None:
    error = refused(text)
    assert (error.source, error.line, error.column) == ("p.yaml", *place)
    assert said in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    "text",
    [
        "scan: x",
        "allow: [{host: a.example, scan: all}]",
    ],
)
def test_keys_of_later_versions_are_not_ignored(text: str) -> None:
    error = refused(f"version: 1\n{text}\n")
    assert error.message.endswith("is not yet supported")
    assert "remove the key" in error.hint
    assert error.line == 2


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("0", "wants an integer and got 0"),
        ("2_000", "wants an integer and got 2_000"),
        ("-1", "wants an integer"),
        ("true", "wants an integer and got true"),
        ("'5'", 'wants an integer and got "5"'),
        ("100001", "more than 100000"),
        ("", "wants an integer and got nothing"),
        ("10MiB", 'wants an integer and got "10MiB"'),
    ],
)
def test_connections(value: str, said: str) -> None:
    assert said in refused(f"version: 1\nlimits: {{connections: {value}}}").message


def test_limits_record_and_inspect() -> None:
    limits = "upload: 10MiB, upload_per_host: 500KB, requests_per_minute: 60, names_per_wildcard: 8"
    policy = grammar.parse(
        f"version: 1\nlimits: {{{limits}}}\nrecord: digests\ninspect: all\n", "p"
    )
    assert policy == Policy(
        "p",
        upload=10_485_760,
        upload_per_host=500_000,
        requests_per_minute=60,
        names_per_wildcard=8,
        digests=True,
        inspect="all",
    )
    assert grammar.parse("version: 1\ninspect: auto\nlimits: {}", "p") == Policy("p")


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("limits: {upload: 10mb}", 'limits.upload has the unit "mb"', "upload: 10MB"),
        ("limits: {upload_per_host: }", "limits.upload_per_host wants a size", "10MiB"),
        ("limits: {requests_per_minute: 0}", "requests_per_minute wants an integer", "600"),
        ("limits: {requests_per_minute: 1000001}", "more than 1000000", "1000000"),
        ("limits: {names_per_wildcard: many}", "names_per_wildcard wants an integer", "8"),
        ("limits: {names_per_wildcard: 100001}", "more than 100000", "100000"),
        ("limits: {uploads: 1}", 'limits has no key "uploads"', "did you mean upload?"),
        ("record: all", 'record "all" is not known', "digests"),
        ("record: true", "record wants text and got true", "record: digests"),
        ("inspect: some", 'inspect "some" is not known', "one of: auto, all, none"),
        ("inspect: no", "inspect wants text and got no", "inspect: auto"),
        ("inspect: true", "inspect wants text and got true", "inspect: auto"),
    ],
)
def test_limits_record_and_inspect_that_are_refused(text: str, said: str, hint: str) -> None:
    error = refused(f"version: 1\n{text}")
    assert said in error.message
    assert hint in error.hint
    assert error.line == 2


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        ("allow:\n  - host: b.example\n  - {host: a.example, methods: [GET]}", "on methods"),
        ("allow:\n  - host: b.example\n  - {host: a.example, paths: [/a]}", "on paths"),
        ("deny:\n  - host: b.example\n  - {host: a.example, query: {a: b}}", "on query"),
        ("deny:\n  - host: b.example\n  - {ip: 10.0.0.1, headers: {a: b}}", "on headers"),
        ("allow:\n  - host: b.example\n  - {host: a.example, inspect: true}", "inspect: true"),
    ],
)
def test_inspect_none_and_a_rule_that_needs_it(rules: str, what: str) -> None:
    error = refused(f"version: 1\n{rules}\ninspect: none")
    assert error.line == 4
    assert f"[1] has {what}" in error.message or f"[1] has a condition {what}" in error.message
    assert "inspect: auto" in error.hint


def test_inspect_none_with_rules_for_clear_http() -> None:
    rules = (
        "allow: [{host: a.example, ports: [80], methods: [GET]}, {host: b.example, inspect: false}]"
    )
    assert grammar.parse(f"version: 1\n{rules}\ninspect: none", "p").inspect == "none"


@pytest.mark.parametrize(
    ("value", "said", "hint"),
    [
        ("env: HF_HOME", "agent.env wants a list", "env: [HF_HOME]"),
        ("env: [A=secret]", 'takes names, not values: "A"', "--env NAME=VALUE"),
        ("env: [1A]", "is not a variable's name", "env:"),
        ("env: [no]", "which YAML reads as a boolean", "env:"),
        ("bind: [x]", "does not begin with / or ~/", "bind:"),
        ("bind: [../x]", "does not begin with / or ~/", "bind:"),
        ("bind: [/a/../b]", "has an empty segment, . or ..", "bind:"),
        ("bind: [~/./b]", "has an empty segment, . or ..", "bind:"),
        ("bind: [/]", "all of the file system", "name the directory"),
        ("bind: ['~']", "all of the home", "name the directory"),
        ("bind: [~]", "wants text", "bind:"),
        ('bind: ["/a\\0b"]', "does not begin", "bind:"),
        ("outputs: result", "agent.outputs wants a list", "outputs: [result]"),
        ("outputs: ['a b']", "is not an output's name", "outputs: [result]"),
        (f"outputs: [{', '.join(f'o{n}' for n in range(65))}]", "65 names, more than 64", "keep"),
        ("writable: [/etc]", "is not a path within the workspace", "writable:"),
        ("writable: [~/x]", "is not a path within the workspace", "writable:"),
        ("writable: [.git/../x]", "has an empty segment, . or ..", "writable:"),
        ("writable: [.]", "has an empty segment, . or ..", "writable:"),
        ('writable: ["a\\0b"]', "is not a path within the workspace", "writable:"),
        ("ennv: []", 'agent has no key "ennv"', "did you mean env?"),
    ],
)
def test_agent(value: str, said: str, hint: str) -> None:
    error = refused(f"version: 1\nagent: {{{value}}}")
    assert said in error.message
    assert hint in error.hint
    assert "secret" not in f"{error} {error.hint}"


WORDS = st.sampled_from(
    [
        *("version", "mode", "allow", "deny", "limits", "agent", "host", "ip", "ports", "methods"),
        *("paths", "1", "[", "]", "{", "}", ":", "-", ",", "*", "a.b", "/", "\n", "\n  ", "'", '"'),
    ]
)


@given(st.lists(WORDS, max_size=30))
def test_a_policy_or_a_policy_error(words: list[str]) -> None:
    with contextlib.suppress(PolicyError):
        assert isinstance(grammar.parse("version: 1\n" + " ".join(words), "p"), Policy)


GUIDE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(- .+?)` \| (.+?) \| (.+?) \|$", GUIDE, re.MULTILINE)


def test_the_example_of_the_guide_is_a_policy() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    policy = grammar.parse(example, "p")
    assert (len(policy.allow), len(policy.secrets)) == (6, 1)


@pytest.mark.parametrize(("rule", "said", "hint"), ROWS)
def test_every_error_of_the_guide(rule: str, said: str, hint: str) -> None:
    error = refused(f"version: 1\nallow:\n  {rule}\n")
    assert said in error.message
    assert hint in error.hint


def test_the_guide_has_its_table() -> None:
    assert len(ROWS) == 25
