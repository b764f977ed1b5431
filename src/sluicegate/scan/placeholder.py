"""What the command gets for a secret's value, and the value put in its place, where the policy says. Pure.

Only what is exactly the placeholder is replaced: a text that merely contains it is left as it is, for the scan to find.

Sources: RFC 6750 (Bearer), RFC 7617 (Basic), WHATWG URL section 5 (query).
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import string
from collections.abc import Callable, Collection
from typing import Literal, assert_never
from urllib.parse import quote, unquote_plus

Place = Literal["header", "bearer", "basic", "query"]

# Bits that the placeholder leaves unsaid. The command may know length, prefix and the kind of each character: what is
# left must be beyond guessing, and no other text may be the placeholder by accident. 11 letters and digits have them.
MIN_FREE_BITS = 64
MAX_PREFIX = 16  # characters kept; `github_pat_` has 11, `sk-ant-api03-` 13
MAX_TRIES = 16  # draws until one is new; of 2^64 the first is

# Words, each with a number perhaps, that end in a sign: `sk-ant-api03-`, `ghp_`, `sk_live_`. Lower case alone: a
# random text begins so by a chance of one in some hundred, and then tells these few characters.
_WORDS = re.compile(r"(?:[a-z]{2,8}[0-9]{0,2}[-_])+")
# Kinds of keys whose first characters are theirs, without a sign after them that tells.
_KNOWN = ("AKIA", "ASIA", "AIza", "SG.", "ya29.", "eyJ")
_HEX_LETTERS = frozenset("abcdefABCDEF")


class SecretError(Exception):
    """A secret's value cannot be used as one: the fault of who chose or named it."""


def make(name: str, value: str, taken: Collection[str], below: Callable[[int], int]) -> str:
    """A text of the shape of `value`, and with nothing else of it: as long, its prefix, a digit for a digit.

    `below(n)` gives a random number from 0 to n - 1 that nobody can guess; `taken` are the run's other placeholders.

    Raises:
        SecretError: the value cannot stand in a header, or is too short or too plain to have a placeholder.
    """
    if not re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", value):
        raise SecretError(
            f"secret {name}: wanted printable ASCII without blanks at its ends, which a header can carry;"
            f" got another character, or nothing\nhint: is there an end of line in its source?"
        )
    kept = len(_prefix(value))
    choices = _choices(value[kept:])
    bits = sum(math.log2(len(some)) for some in choices)
    if bits < MIN_FREE_BITS:
        raise SecretError(
            f"secret {name}: wanted a value of at least {MIN_FREE_BITS} random bits after its prefix, got"
            f" {math.floor(bits)}: its placeholder would tell how to guess it\nhint: use a longer value"
        )
    for _ in range(MAX_TRIES):
        made = value[:kept] + "".join(some[below(len(some))] for some in choices)
        if made != value and made not in taken:
            return made
    raise SecretError(f"secret {name}: wanted a new placeholder, got {MAX_TRIES} that are taken")


def _prefix(value: str) -> str:
    """What is kept of the beginning: a known kind's, or the words before the last `-` or `_` within MAX_PREFIX."""
    for known in _KNOWN:
        if value.startswith(known):
            return known
    found = _WORDS.match(value[:MAX_PREFIX])
    return found[0] if found else ""


def _choices(text: str) -> list[str]:
    """For each character those it may become: of its kind, or itself alone; hex digits stay hex digits."""
    hexadecimal = _HEX_LETTERS.issuperset(char for char in text if char in string.ascii_letters)
    lower, upper = (
        ("abcdef", "ABCDEF") if hexadecimal else (string.ascii_lowercase, string.ascii_uppercase)
    )
    kinds = {
        string.digits: string.digits,
        string.ascii_lowercase: lower,
        string.ascii_uppercase: upper,
    }
    return [next((some for kind, some in kinds.items() if char in kind), char) for char in text]


def put(place: Place, key: str, text: str, placeholder: str, value: str) -> str | None:
    """`text` with `value` where `placeholder` was, or None if it is not there as a whole.

    `text` is a header field's value, or for "query" the query without its `?`. `key` is the parameter's name for
    "query"; the user's name for "basic", or "" for any; "header" and "bearer" do not need it, for the caller has
    chosen the field.
    """
    match place:
        case "header":
            return _field(text, placeholder, value)
        case "bearer":
            scheme, blanks, rest = _credentials(text)
            fits = scheme.lower() == "bearer" and rest == placeholder
            return scheme + blanks + value if fits else None
        case "basic":
            return _basic(key, text, placeholder, value)
        case "query":
            return _query(key, text, placeholder, value)
        case other:
            assert_never(other)


def _field(text: str, placeholder: str, value: str) -> str | None:
    """The whole field, or what follows one word: `Authorization: token PLACEHOLDER`."""
    if text.strip(" \t") == placeholder:
        return value
    scheme, blanks, rest = _credentials(text)
    return scheme + blanks + value if scheme and rest == placeholder else None


def _credentials(text: str) -> tuple[str, str, str]:
    """The scheme, the blanks after it, and the rest without those at its end; empty if there is no such form."""
    found = re.fullmatch(
        r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)( +)([!-~](?:[ -~]*[!-~])?)[ \t]*", text
    )
    return (found[1], found[2], found[3]) if found else ("", "", "")


def _basic(user: str, text: str, placeholder: str, value: str) -> str | None:
    """Either half of `user:password`: git and most send a token as the password, some as the user with none."""
    scheme, blanks, rest = _credentials(text)
    if scheme.lower() != "basic":
        return None
    try:
        who, colon, password = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    if not colon:
        return None
    if password == placeholder and user in ("", who):
        password = value
    elif who == placeholder and user in ("", who) and ":" not in value:
        who = value
    else:
        return None
    return scheme + blanks + base64.b64encode(f"{who}:{password}".encode()).decode()


def _query(key: str, text: str, placeholder: str, value: str) -> str | None:
    """Every parameter `key` that is the placeholder; all others stay, to the byte."""
    pieces = text.split("&")
    for at, piece in enumerate(pieces):
        name, equals, given = piece.partition("=")
        if equals and unquote_plus(name) == key and unquote_plus(given) == placeholder:
            pieces[at] = f"{name}={quote(value, safe='')}"
    done = "&".join(pieces)
    return done if done != text else None
