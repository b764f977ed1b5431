from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.evidence import canonical


def test_the_escapes_of_the_published_format() -> None:
    text = 'a"\\/\b\f\n\r\t\x01\x1f<>&\u2028\u2029é\x7f\x85'
    expected = (
        '"a\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u003c\\u003e\\u0026\\u2028\\u2029é\x7f\x85"'
    )
    assert canonical.encode(text) == expected.encode()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text: str) -> None:
    assert json.loads(canonical.encode({"a": text})) == {"a": text}


def test_fields_stand_in_signed_order_and_zero_values_are_dropped() -> None:
    fields: dict[str, object] = dict.fromkeys(sorted(canonical.ALWAYS), "")
    fields |= {"method": "", "layer": None, "session_contaminated": False, "redaction": {}}
    fields |= {"request_id": "r", "pattern": "p", "chain_seq": 0, "delegation_chain": None}
    found = canonical.record(fields)
    kept = list(found)
    assert kept == sorted(kept, key=canonical.RECORD.index)
    assert found.keys() == canonical.ALWAYS | {"redaction", "request_id", "pattern"}


@pytest.mark.parametrize("change", [{"unknown": 1}, {"ext": {}}])
def test_an_unknown_field(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="unknown"):
        canonical.record(dict.fromkeys(canonical.ALWAYS, "") | change)


def test_a_missing_field() -> None:
    with pytest.raises(ValueError, match="missing"):
        canonical.record(dict.fromkeys(canonical.ALWAYS - {"actor"}, ""))


def test_there_are_58_fields() -> None:
    assert len(canonical.RECORD) == len(set(canonical.RECORD)) == 58


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_767_323_045_600_000_000, "2026-01-02T03:04:05.6Z"),
        (1_767_323_046_000_000_789, "2026-01-02T03:04:06.000000789Z"),
        (1_767_323_047_000_000_000, "2026-01-02T03:04:07Z"),
    ],
)
def test_time(nanoseconds: int, text: str) -> None:
    assert canonical.timestamp(nanoseconds) == text


TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["%b", "%", "\ufffd"])


@given(TEXTS, TEXTS, st.integers(0, 2**63))
def test_a_filled_template_is_the_text_itself(kept: str, said: str, number: int) -> None:
    gaps = {"a": canonical.TEXT, "b": canonical.JSON, "c": canonical.NUMBER, kept: kept}
    filled = {"a": "plain", "b": said, "c": number, kept: kept}
    values = (b"plain", canonical.encode(said), number)
    shown = tuple(v for n, v in zip("abc", values, strict=True) if n != kept)
    assert canonical.template(gaps) % shown == canonical.encode(filled)


@given(st.text(st.sampled_from("a<>&\u2028\u2029\u2030\xe9\U0001f600")))
def test_what_go_escapes(text: str) -> None:
    plain = json.dumps(text, ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        plain = plain.replace(sign, f"\\u{ord(sign):04x}")
    assert canonical.encode(text) == plain.encode()
