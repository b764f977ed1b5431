from __future__ import annotations

import pytest

from sluicegate import jcs


def test_members_are_sorted_and_nothing_is_padded() -> None:
    assert (
        jcs.encode({"b": 1, "a": [True, None, "\n\x1f€"]})
        == '{"a":[true,null,"\\n\\u001f€"],"b":1}'.encode()
    )


@pytest.mark.parametrize("value", [1.5, 2**53, {"é": 1}, {1: 2}, {"a": {"b": [object()]}}])
def test_what_has_no_exact_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"RFC 8785|ASCII|canonical"):
        jcs.encode(value)  # type: ignore[arg-type]
