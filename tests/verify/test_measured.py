"""boundary.json's members, and what follows from the probe's outcomes."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from sluicegate import posture
from sluicegate.boundary import counters, rules
from sluicegate.evidence import equation
from sluicegate.gate import desk
from sluicegate.verify import measured
from sluicegate.verify.strict import VerificationError
from tests.evidence import made


def whole(*, closed: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {"open": copy.deepcopy(made.OPENED)}
    if closed:
        found["close"] = copy.deepcopy(made.closing([]))
    return found


def holed() -> dict[str, Any]:
    """What a supervisor writes that was told to go on with a hole."""
    found = whole()
    opened = found["open"]
    outcomes = opened["probe"]["outcomes"] | {"write root": "open"}
    taken = frozenset(opened["probe"]["captured"])
    opened["probe"] |= {
        "outcomes": outcomes,
        "holes": list(posture.holes(outcomes, taken)),
        "results": posture.results(outcomes, taken),
    }
    opened["holes_ignored"] = True
    opened["posture"] |= posture.members(outcomes, taken, docker=False)
    return found


@pytest.mark.parametrize("closed", [True, False])
def test_what_a_run_writes_is_accepted(closed: bool) -> None:
    measured.checked(whole(closed=closed), closed=closed)


def test_a_run_with_holes_that_were_ignored_says_so() -> None:
    found = holed()
    assert found["open"]["posture"]["unsupported_paths"] == ["write root"]
    measured.checked(found, closed=True)


@pytest.mark.parametrize("secrets", [True, False])
def test_frames_are_scanned_where_the_policies_have_secrets(secrets: bool) -> None:
    found = whole()
    for said in ("off", "explicit_ws_proxy_path_required", "always_on"):
        found["open"]["posture"]["websocket_frame_scanning"] = said
        if (said != "always_on") and (said != "off") == secrets:
            measured.checked(found, closed=True, secrets=secrets)
            continue
        with pytest.raises(VerificationError, match="posture is not what was probed"):
            measured.checked(found, closed=True, secrets=secrets)


def test_an_authority_may_be_there() -> None:
    found = whole()
    found["open"]["authority"] = {"sha256": "0" * 64, "names": ["a.example"]}
    measured.checked(found, closed=True)


@pytest.mark.parametrize("part", ["open", "close"])
def test_each_member_is_needed_and_no_other(part: str) -> None:
    for name in whole()[part]:
        found = whole()
        del found[part][name]
        with pytest.raises(VerificationError, match=rf"{part} lacks \['{name}'\]"):
            measured.checked(found, closed=True)
    found = whole()
    found[part]["more"] = 1
    with pytest.raises(VerificationError, match=rf"{part} has the unknown members \['more'\]"):
        measured.checked(found, closed=True)


@pytest.mark.parametrize("name", sorted(made.OUTCOMES))
def test_no_outcome_can_be_changed_alone(name: str) -> None:
    """But for how many sockets were tried, of which nothing follows, and one refusal for another."""
    found = whole()
    outcomes = found["open"]["probe"]["outcomes"]
    outcomes[name] = "EPERM" if outcomes[name] == "open" else "open"
    if name == "host sockets tried":
        outcomes[name] = "1 of 2"
    if name == "host sockets tried" or name.startswith("tcp "):
        measured.checked(found, closed=True)
        return
    with pytest.raises(VerificationError, match="is not what was probed"):
        measured.checked(found, closed=True)


@pytest.mark.parametrize("name", sorted(made.OPENED["posture"]))  # type: ignore[call-overload]
def test_no_posture_can_be_changed_alone(name: str) -> None:
    if name == "runner_arch":
        return  # where it was measured, which nothing here says again
    for value in ("allowed", "unknown", 0, ["write root"]):
        found = whole()
        found["open"]["posture"][name] = value
        with pytest.raises(VerificationError, match="posture is not what was probed"):
            measured.checked(found, closed=True)


def test_every_value_of_another_kind_is_refused_in_words() -> None:
    """No shape of the file ends in another error than the verifier's."""
    refused = 0
    for path in _paths(whole()):
        for value in (None, True, -1, "", [], {}, [1], {"a": 1}):
            found = whole()
            holder: Any = found
            for step in path[:-1]:
                holder = holder[step]
            holder[path[-1]] = value
            said = _said(found)
            assert said.startswith("boundary.json: ") or not said
            refused += bool(said)
    assert refused > 1000


def _said(found: dict[str, Any]) -> str:
    try:
        measured.checked(found, closed=True)
    except VerificationError as error:
        return str(error)
    return ""


def _paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    out = []
    for key, item in items:
        out.append((*before, key))
        if isinstance(item, dict | list):
            out += _paths(item, (*before, key))
    return out


def test_it_is_json() -> None:
    assert json.loads(json.dumps(whole())) == whole()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("probe", "outcomes", "host sockets tried"), "2 of 1", "host sockets tried: 2 of 1"),
        (("probe", "outcomes", "host sockets tried"), "all", "host sockets tried: all"),
        (("probe", "captured"), ["log", "tcp 203.0.113.1 80"], "captured what no probe sends"),
        (("posture", "runner_os"), "Darwin", "posture is not what was probed"),
    ],
)
def test_what_no_probe_of_ours_says(path: tuple[str, ...], value: object, said: str) -> None:
    found = whole()
    holder: Any = found["open"]
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    with pytest.raises(VerificationError, match=said):
        measured.checked(found, closed=True)


@pytest.mark.parametrize(
    ("end", "part"), [("open", "counters"), ("close", "counters"), ("close", "gate")]
)
def test_nobody_counts_what_has_no_name(end: str, part: str) -> None:
    found = whole()
    found[end][part] = found[end][part] | {"fine": 0}
    with pytest.raises(VerificationError, match=f"{part} has the unknown members"):
        measured.checked(found, closed=True)


def test_all_that_is_counted_has_its_name() -> None:
    named = set(re.findall(r"counter (\w+) \{", rules.ruleset()))
    weighed = {f"{name}.bytes" for name in counters._WEIGHED}
    shown = {f"{group}.{name}" for group, names in counters._SNMP.items() for name in names}
    lost = {name for name in equation.COUNTERS if name.endswith(".lost")}
    assert named
    assert named | weighed | shown | lost == measured.COUNTERS
    assert set(desk.COUNTS) < measured.GATE
