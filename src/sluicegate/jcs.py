"""RFC 8785 (JCS) text of the values this project writes: strings, integers, booleans, None."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

# RFC 8785 numbers are IEEE 754 doubles: integers beyond this are not exact (section 3.2.2.3).
MAX_SAFE_INTEGER = 2**53 - 1
_SCALARS = frozenset([str, int, bool, type(None)])

Json = None | bool | int | str | list["Json"] | tuple["Json", ...] | dict[str, "Json"]


def encode(value: Json) -> bytes:
    """The canonical bytes of `value`, without a newline.

    orjson writes exactly the RFC's escapes and no white space. Its key order is by UTF-8 bytes, which equals
    the RFC's UTF-16 order for ASCII keys, and floats are the one kind it writes otherwise: both are refused.

    Raises:
        ValueError: a float, an integer beyond 2^53 - 1, a key that is not ASCII, or half of a surrogate pair.
    """
    _check(value)
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"not exact in RFC 8785: {error}") from error


def _check(value: object) -> None:
    """Raises ValueError at what orjson would write, but not as the RFC does."""
    items: Iterable[object] = ()
    if isinstance(value, dict):
        _keys(value)
        items = value.values()
    elif isinstance(value, list | tuple):
        items = value
    elif not isinstance(value, str | int | None):
        raise ValueError(f"{type(value).__name__} has no place in our canonical form")  # noqa: TRY004
    # Most are texts or numbers, and a call for each would cost more than all the rest.
    for item in [item for item in items if type(item) not in _SCALARS]:
        _check(item)


def _keys(value: dict[object, object]) -> None:
    try:
        if "".join(value).isascii():  # type: ignore[arg-type]
            return
    except TypeError:
        pass  # one is no text: told below
    for key in value:
        if not isinstance(key, str) or not key.isascii():
            raise ValueError(f"key {key!r} is not an ASCII string")
