from __future__ import annotations

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from sluicegate import jcs

INTEGERS = st.integers(-jcs.MAX_SAFE_INTEGER, jcs.MAX_SAFE_INTEGER)
KEYS = st.text(st.characters(max_codepoint=0x7F))
# What the strict profile has: no number but integers that are exact, and no member whose name is not ASCII.
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=30,
)


@given(VALUES)
def test_our_bytes_are_those_of_another_implementation(value: jcs.Json) -> None:
    ours = jcs.encode(value)
    assert ours == rfc8785.dumps(value)  # type: ignore[arg-type]
    assert json.loads(ours) == value
    assert jcs.encode(json.loads(ours)) == ours


@given(st.one_of(VALUES, st.floats(), st.integers(), st.text(st.characters())))
def test_what_we_take_the_other_implementation_takes_too(value: object) -> None:
    try:
        ours = jcs.encode(value)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return
    assert ours == rfc8785.dumps(value)  # type: ignore[arg-type]


def test_members_are_sorted_and_nothing_is_padded() -> None:
    assert (
        jcs.encode({"b": 1, "a": [True, None, "\n\x1f€"]})
        == '{"a":[true,null,"\\n\\u001f€"],"b":1}'.encode()
    )


@pytest.mark.parametrize("value", [1.5, 2**53, {"é": 1}, {1: 2}, {"a": {"b": [object()]}}])
def test_what_has_no_exact_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"RFC 8785|ASCII|canonical"):
        jcs.encode(value)  # type: ignore[arg-type]
