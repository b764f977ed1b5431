from __future__ import annotations

import base64

import pytest

from sluicegate.evidence import keys

# RFC 8032 section 7.1, test 1.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def test_the_pair_of_the_standard() -> None:
    sign, public = keys.signer(SEED)
    assert public == PUBLIC
    assert sign(b"").hex().startswith("e5564300c360ac72")
    assert keys.verifies(bytes.fromhex(PUBLIC), sign(b"m"), b"m")
    assert not keys.verifies(bytes.fromhex(PUBLIC), sign(b"m"), b"n")
    assert not keys.verifies(b"short", sign(b"m"), b"m")
    assert not keys.verifies(bytes.fromhex(PUBLIC), b"", b"m")


def test_texts_come_back() -> None:
    assert keys.read_private(keys.write_private(SEED)) == SEED
    raw = bytes.fromhex(PUBLIC)
    for text in (keys.write_public(raw), PUBLIC, PUBLIC.upper(), f" {PUBLIC}\n"):
        assert keys.read_public(text) == raw


@pytest.mark.parametrize(
    "text",
    [
        "",
        PUBLIC[:-2],
        keys.PUBLIC,
        f"{keys.PUBLIC}\n!!!\n",
        f"{keys.PUBLIC}\n{base64.b64encode(b'short').decode()}\n",
        keys.write_private(SEED),
        keys.write_public(bytes.fromhex(PUBLIC)) + "more\n",
    ],
)
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(keys.KeyTextError):
        keys.read_public(text)


def test_halves_that_do_not_belong_together() -> None:
    other = bytes.fromhex(keys.signer(b"o" * 32)[1])
    text = f"{keys.PRIVATE}\n{base64.b64encode(SEED + other).decode()}\n"
    with pytest.raises(keys.KeyTextError, match="belong"):
        keys.read_private(text)
