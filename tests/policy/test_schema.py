"""What the grammar takes the schema takes, and what is wrong in its structure both refuse."""

from __future__ import annotations

import copy
import json
import re

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sluicegate.policy import grammar, presets, schema
from sluicegate.policy.model import PolicyError

SCHEMA = json.loads(json.dumps(schema.schema()))
CHECK = jsonschema.Draft202012Validator(SCHEMA)
ROWS = (presets.Row("rows.example.com", "somewhere"),)


def expand(name: str, _repos: tuple[str, ...]) -> tuple[presets.Row, ...]:
    return ROWS if name == "some" else ()


def parses(document: object) -> bool:
    try:
        grammar.parse(yaml.safe_dump(document), "p.yaml", expand)
    except PolicyError:
        return False
    return True


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("table", schema.covered())
def test_every_key_of_the_grammar_has_words(table: str) -> None:
    keys, known = schema.covered()[table]
    assert keys == known


def test_patterns_are_those_of_other_languages_too() -> None:
    for pattern in re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', json.dumps(SCHEMA)):
        assert "(?P" not in pattern
        assert "\\\\Z" not in pattern


HOSTS = st.sampled_from(
    ["a.example.com", "*.example.com", "EXAMPLE.org.", "bücher.example", "x_y.example"]
)
METHODS = st.lists(st.sampled_from(["GET", "POST", "M-SEARCH", "NO"]), min_size=1, max_size=2)
CONDITIONS = st.dictionaries(
    st.sampled_from(["page", "x-mode"]), st.sampled_from(["a", "*", ["a", "b*"]]), min_size=1
)
REQUEST = {
    "methods": METHODS,
    "paths": st.lists(st.sampled_from(["/", "/a/**", "/b/*", "/ü"]), min_size=1, max_size=2),
    "query": CONDITIONS,
    "headers": CONDITIONS,
}
PORTS = st.lists(st.sampled_from([1, 80, 443, 65535]), min_size=1, max_size=2)
NETWORKS = st.sampled_from(["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"])
HOST_RULE = st.fixed_dictionaries({"host": HOSTS}, optional={"ports": PORTS, **REQUEST})
IP_RULE = st.fixed_dictionaries({"ip": NETWORKS}, optional={"ports": PORTS, **REQUEST})
PRESET = st.fixed_dictionaries(
    {"preset": st.just("some")}, optional={"repos": st.just(["owner/repo"])}
)
OPENED = st.fixed_dictionaries({"host": HOSTS, "inspect": st.booleans()})
SECRET = st.one_of(
    st.just({"env": "KEY", "hosts": ["a.example.com"], "bearer": True}),
    st.just(
        {"fd": "key", "as": "KEY_B", "hosts": ["a.example.com"], "basic": "git", "methods": ["GET"]}
    ),
    st.just({"file": "~/key", "as": "KEY_C", "hosts": ["a.example.com"], "header": "x-key"}),
    st.just({"env": "KEY_D", "hosts": ["a.example.com"], "query": "key"}),
    st.just({"env": "KEY_E", "hosts": ["a.example.com"], "basic": True}),
    st.just({"env": "KEY_F", "hosts": ["a.example.com"], "sigv4": True}),
)
SIZE = st.sampled_from([1, 500, "500", "10MiB", "3KB", "1TB"])
POLICIES = st.fixed_dictionaries(
    {"version": st.just(1)},
    optional={
        "mode": st.sampled_from(["enforce", "observe"]),
        "allow": st.none() | st.lists(HOST_RULE | IP_RULE | PRESET | OPENED, max_size=3),
        "deny": st.none() | st.lists(HOST_RULE | IP_RULE, max_size=2),
        "inspect": st.sampled_from(["auto", "all", "none"]),
        "record": st.just("digests"),
        "limits": st.dictionaries(st.sampled_from(["upload", "upload_per_host"]), SIZE)
        | st.dictionaries(st.sampled_from(list(grammar.COUNTS)), st.integers(1, 1000)),
        "secrets": st.none() | st.lists(SECRET, max_size=2),
        "agent": st.fixed_dictionaries(
            {},
            optional={
                "env": st.lists(st.sampled_from(["A", "B_1"]), max_size=2),
                "bind": st.lists(st.sampled_from(["~/.cache", "/srv/x"]), max_size=2),
                "outputs": st.just(["result"]),
                "writable": st.just([".github/workflows"]),
            },
        ),
    },
)


@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(POLICIES)
def test_what_the_grammar_takes_the_schema_takes(document: dict[str, object]) -> None:
    if parses(document):
        CHECK.validate(document)
    assume(parses(document))


WHOLE = {
    "version": 1,
    "mode": "enforce",
    "allow": [
        {
            "host": "a.example.com",
            "ports": [443],
            "methods": ["GET"],
            "paths": ["/a"],
            "query": {"q": "a"},
        },
        {"ip": "10.0.0.0/8"},
        {"preset": "some", "repos": ["a/b"]},
        {"host": "b.example.com", "inspect": True},
    ],
    "deny": [{"host": "c.example.com", "headers": {"x-mode": ["a", "b"]}}],
    "inspect": "auto",
    "limits": {"connections": 5, "upload": "10MiB"},
    "record": "digests",
    "secrets": [{"env": "KEY", "hosts": ["a.example.com"], "bearer": True}],
    "agent": {"env": ["A"], "bind": ["~/.cache"], "outputs": ["x"], "writable": ["y"]},
}


def places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    found = [path] if path else []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        found += places(item, (*path, key))
    return found


WRONG = [{"odd": 1}, 3.5, "", [["odd"]], -1, 70_000_000_000_000_000]


@pytest.mark.parametrize("path", places(WHOLE), ids=lambda path: ".".join(map(str, path)))
def test_values_of_another_kind_are_refused_by_both(path: tuple[object, ...]) -> None:
    assert parses(WHOLE)
    CHECK.validate(WHOLE)
    for wrong in WRONG:
        document = copy.deepcopy(WHOLE)
        *holders, last = path
        at: object = document
        for key in holders:
            at = at[key]  # type: ignore[index]
        # A glob and a preset's name are any text, and what a glob is about has any name.
        free = last in {"preset", "query", "headers"} or "query" in path or "headers" in path
        if free and not isinstance(wrong, float | int):
            continue
        at[last] = wrong  # type: ignore[index]
        assert not parses(document), (path, wrong)
        assert not CHECK.is_valid(document), (path, wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"odd": 1},
        {"version": 2},
        {"allow": [{"host": "a.example.com", "ip": "10.0.0.1"}]},
        {"allow": [{"ports": [80]}]},
        {"allow": [{"preset": "some", "host": "a.example.com"}]},
        {"deny": [{"preset": "some"}]},
        {"deny": [{"host": "a.example.com", "inspect": True}]},
        {"allow": [{"ip": "10.0.0.1", "inspect": True}]},
        {"allow": [{"host": "https://a.example.com/"}]},
        {"allow": [{"host": "*"}]},
        {"allow": [{"host": "a.example.com", "methods": ["get"]}]},
        {"allow": [{"host": "a.example.com", "methods": ["CONNECT"]}]},
        {"allow": [{"host": "a.example.com", "methods": []}]},
        {"secrets": [{"env": "KEY", "hosts": ["a.example.com"]}]},
        {"secrets": [{"fd": "key", "hosts": ["a.example.com"], "bearer": True}]},
        {"secrets": [{"env": "KEY", "file": "/x", "hosts": ["a.example.com"], "bearer": True}]},
        {"secrets": [{"env": "KEY", "bearer": True}]},
        {"secrets": [{"env": "KEY", "hosts": ["a.example.com"], "sigv4": False}]},
        {"agent": {"env": ["A=1"]}},
        {"limits": {"upload": "5 MB"}},
        {"scan": True},
    ],
)
def test_what_is_wrong_in_its_structure_both_refuse(change: dict[str, object]) -> None:
    document = {**WHOLE, **change}
    assert not parses(document)
    assert not CHECK.is_valid(document)
