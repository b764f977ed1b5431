"""Known values in streams: every encoding, every split, nothing else."""

from __future__ import annotations

import base64
import gc
import json
import random
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.scan.known import MIN_VALUE_BYTES
from sluicegate.scan.stream import Finding, Patterns, Stream

KEY = b'sk-ant-api03-Zq8/x+Yw_7"Lm2'
TOKEN = b"ghp_k3JfQ9sXw0LmZ7bTyVu2RdNc8GhPaE5iKo1C"
LONG = bytes(random.Random(4).randbytes(1500))
VALUES = {"key": KEY, "token": TOKEN, "long": LONG}
PATTERNS = Patterns(VALUES)

ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "plain": ("plain", bytes),
    "reversed": ("reversed", lambda value: value[::-1]),
    "hex": ("hex", lambda value: value.hex().encode()),
    "upper hex": ("hex", lambda value: value.hex().upper().encode()),
    "base64": ("base64", base64.b64encode),
    "mime": ("base64", base64.encodebytes),
    "crlf": ("base64", lambda value: base64.encodebytes(value).replace(b"\n", b"\r\n")),
    "after one": ("base64", lambda value: base64.b64encode(b"u" + value)),
    "after two": ("base64", lambda value: base64.b64encode(b"u:" + value + b":p")),
    "url-safe": ("base64", lambda value: base64.urlsafe_b64encode(value).rstrip(b"=")),
    "percent": ("escaped", lambda value: b"".join(b"%%%02x" % byte for byte in value)),
    "upper percent": ("escaped", lambda value: b"".join(b"%%%02X" % byte for byte in value)),
    "percent twice": ("escaped", lambda value: b"".join(b"%%25%02X" % byte for byte in value)),
    "few percents": ("escaped", lambda value: quote(value + b" ").encode()),
}
CASES = [(name, how) for name in VALUES for how in ENCODERS]


def fed(stream: Stream, pieces: Iterable[bytes]) -> list[Finding]:
    found = [one for piece in pieces for one in stream.feed(piece)]
    return found + stream.finish()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize(("name", "how"), CASES)
@pytest.mark.parametrize("size", [1, 2, 7, 64, 100_000])
def test_every_encoding_in_pieces_of_any_size(name: str, how: str, size: int) -> None:
    encoding, encode = ENCODERS[how]
    written = encode(VALUES[name])
    found = fed(PATTERNS.stream(), cut(b"<<" + written + b">>", size))
    if how == "few percents" and quote(VALUES[name]) == VALUES[name].decode("latin-1"):
        encoding = "plain"  # a token of letters needs no escape
    assert [(one.name, one.encoding) for one in found] == [(name, encoding)]
    assert 0 < found[0].offset <= len(written) + 2


def test_an_offset_is_where_the_value_ends() -> None:
    stream = PATTERNS.stream()
    assert stream.feed(b"x" * 1000 + TOKEN[:5]) == []
    assert stream.feed(TOKEN[5:] + b"y") == [Finding("token", "plain", 1000 + len(TOKEN))]


def test_each_name_in_each_encoding_is_said_once() -> None:
    stream = PATTERNS.stream()
    both = (KEY + b" " + base64.b64encode(KEY) + b" ") * 3
    found = [(one.name, one.encoding) for one in stream.feed(both)]
    assert found == [("key", "plain"), ("key", "base64")]
    assert fed(stream, [both] * 100) == []


def test_streams_know_nothing_of_each_other() -> None:
    one, other = PATTERNS.stream(), PATTERNS.stream()
    assert one.feed(TOKEN[:20]) == other.feed(TOKEN[20:]) == []
    assert [found.name for found in one.feed(TOKEN[20:])] == ["token"]
    assert other.feed(TOKEN[:20]) == []


def test_a_value_of_two_names_is_found_under_both() -> None:
    found = Patterns({"a": KEY, "b": KEY}).stream().feed(KEY)
    assert {one.name for one in found} == {"a", "b"}


def test_half_of_a_long_value_is_not_the_value() -> None:
    assert PATTERNS.stream().feed(LONG[:750]) == []
    assert PATTERNS.stream().feed(base64.b64encode(LONG[750:])) == []


def test_short_values_are_named_and_not_looked_for() -> None:
    patterns = Patterns({"short": b"a" * (MIN_VALUE_BYTES - 1), "token": TOKEN, "empty": b""})
    assert patterns.short == ("short", "empty")
    assert [one.name for one in patterns.stream().feed(b"a" * 100 + TOKEN)] == ["token"]


def test_nothing_to_look_for() -> None:
    stream = Patterns({}).stream()
    assert stream.feed(KEY) == stream.feed(b"") == stream.finish() == []


def test_a_finished_stream_takes_no_more() -> None:
    stream = PATTERNS.stream()
    stream.feed(TOKEN[:20])
    assert stream.finish() == stream.finish() == []
    with pytest.raises(RuntimeError, match="finished"):
        stream.feed(TOKEN[20:])


def test_streams_outlive_their_patterns_and_need_no_end() -> None:
    stream = Patterns({"token": TOKEN}).stream()
    gc.collect()
    for _ in range(1000):
        PATTERNS.stream().feed(TOKEN[:10])
    assert [one.name for one in stream.feed(TOKEN)] == ["token"]


def test_what_a_stream_keeps_does_not_grow() -> None:
    stream = PATTERNS.stream()
    for _ in range(200):
        stream.feed((KEY + b" " + TOKEN[:-1]) * 100)
    assert not stream._hits
    assert len(stream._seen) <= 4  # plain and escaped of the key, at most parts of the token


@given(st.binary(max_size=5000), st.integers(1, 5000))
def test_random_bytes_are_no_finding(data: bytes, size: int) -> None:
    assert fed(PATTERNS.stream(), cut(data, size)) == []


@given(st.text(alphabet='abcdef0123456789%\\u"/+- \n\r=', max_size=2000))
def test_text_like_escapes_is_no_finding(text: str) -> None:
    assert fed(PATTERNS.stream(), [text.encode()]) == []


def oracle(value: bytes, text: bytes) -> bool:
    """Everything decoded in whole, and searched."""
    texts = [text, text[::-1], unquote_to_bytes(text), unquote_to_bytes(text.replace(b"+", b" "))]
    texts.append(unquote_to_bytes(unquote_to_bytes(text)))
    for run in re.findall(rb'"(?:[^"\\]|\\.)*"', text, re.DOTALL):
        try:
            texts.append(json.loads(run).encode("utf-8", "surrogatepass"))
        except (ValueError, UnicodeDecodeError):
            continue
    for run in re.findall(rb"[0-9a-fA-F]+", text):
        texts += [bytes.fromhex(run[at : len(run) - (len(run) - at) % 2].decode()) for at in (0, 1)]
    joined = re.sub(rb"[\r\n]", b"", text).translate(bytes.maketrans(b"-_", b"+/"))
    for run in re.findall(rb"[A-Za-z0-9+/]+", joined):
        for at in range(4):
            piece = run[at:]
            texts.append(base64.b64decode(piece[: len(piece) // 4 * 4]))
            texts.append(base64.b64decode(piece[:-1] + b"A" * (-len(piece[:-1]) % 4)))
            texts.append(base64.b64decode(piece + b"A" * (-len(piece) % 4)))
    return any(value in one for one in texts)


@st.composite
def written(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A value, and a text with it in some encoding, perhaps spoilt in one byte."""
    printable = st.text(
        st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=8, max_size=60
    )
    value = draw(printable).encode()
    ways = [encode for _, encode in ENCODERS.values()]
    ways.append(lambda value: json.dumps(value.decode()).encode())
    ways.append(lambda value: json.dumps(value.decode(), ensure_ascii=False).encode())
    coin = st.booleans()
    ways.append(
        lambda value: b"".join(
            b"%%%02X" % b if draw(coin) or b in b"%+" else b"%c" % b for b in value
        )
    )
    text = bytearray(
        draw(st.binary(max_size=30)) + b" " + draw(st.sampled_from(ways))(value) + b" "
    )
    if draw(st.booleans()):
        text[draw(st.integers(0, len(text) - 1))] = draw(st.integers(0, 255))
    return value, bytes(text + draw(st.binary(max_size=30)))


@settings(deadline=None, max_examples=50)
@given(written(), st.integers(1, 40))
def test_whatever_decodes_to_a_value_is_found(case: tuple[bytes, bytes], size: int) -> None:
    value, text = case
    patterns = Patterns({"value": value})
    found = fed(patterns.stream(), cut(text, size))
    assert found == fed(patterns.stream(), [text])
    if oracle(value, text):
        assert found


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.binary(min_size=8, max_size=90), min_size=2, max_size=4, unique=True),
    st.randoms(use_true_random=False),
)
def test_values_side_by_side_hide_none(values: list[bytes], dice: random.Random) -> None:
    patterns = Patterns({str(at): value for at, value in enumerate(values)})
    for at, value in enumerate(values):
        for encoding, encode in ENCODERS.values():
            text = dice.randbytes(dice.randrange(20)) + b"." + encode(value) + b"."
            found = fed(patterns.stream(), cut(text, dice.randrange(1, 30)))
            assert str(at) in {one.name for one in found}, encoding
