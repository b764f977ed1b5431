"""RFC 8785 (JCS) text of the values this project writes: strings, integers, booleans, None."""

from __future__ import annotations

import orjson

# RFC 8785 numbers are IEEE 754 doubles: integers beyond this are not exact (section 3.2.2.3).
MAX_SAFE_INTEGER = 2**53 - 1
_SMALL = 2**32

Json = None | bool | int | str | list["Json"] | tuple["Json", ...] | dict[str, "Json"]


def encode(value: Json) -> bytes:
    """The canonical bytes of `value`, without a newline.

    orjson writes exactly the RFC's escapes and no white space. Its key order is by UTF-8 bytes, which equals
    the RFC's UTF-16 order for ASCII keys, and floats are the one kind it writes otherwise: both are refused.

    Raises:
        ValueError: a float, an integer beyond 2^53 - 1, or a key that is not ASCII.
    """
    _check(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _check(value: object) -> None:
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise ValueError(f"integer {value} is not exact in RFC 8785")
    elif isinstance(value, dict):
        _keys(value)
        for item in value.values():
            # Most values are texts or small numbers, and a call for each would cost more than all the rest.
            kind = type(item)
            if kind is str or (kind is int and -_SMALL < item < _SMALL):
                continue
            _check(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item)
    else:
        raise ValueError(f"{type(value).__name__} has no place in our canonical form")  # noqa: TRY004


def _keys(value: dict[object, object]) -> None:
    try:
        if "".join(value).isascii():  # type: ignore[arg-type]
            return
    except TypeError:
        pass  # one is no text: told below
    for key in value:
        if not isinstance(key, str) or not key.isascii():
            raise ValueError(f"key {key!r} is not an ASCII string")
