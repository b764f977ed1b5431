from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

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


def test_a_signer_forgets() -> None:
    sign = keys.Signer(bytearray(SEED))
    assert sign(b"m") == keys.Signer(SEED)(b"m")
    sign.forget()
    sign.forget()
    with pytest.raises(RuntimeError, match="forgotten"):
        sign(b"m")


def test_a_key_nobody_gave() -> None:
    one, other = keys.Signer(None), keys.Signer(None)
    assert one.public != other.public
    assert keys.verifies(bytes.fromhex(one.public), one(b"m"), b"m")


def test_a_seed_of_another_length() -> None:
    with pytest.raises(ValueError, match="32 bytes, got 31"):
        keys.Signer(SEED[1:])


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("\n", "first line must be"),
        (PUBLIC, "first line must be"),
        (keys.write_public(bytes.fromhex(PUBLIC)), "first line must be"),
        (keys.PRIVATE, "first line must be"),
        (f"{keys.PRIVATE}\n", "64 bytes"),
        (f"{keys.PRIVATE}\n{base64.b64encode(SEED).decode()}\n", "64 bytes"),
        (keys.write_private(SEED) + "more\n", "64 bytes"),
        (keys.write_private(SEED).replace("\n", "\n\n", 1), "64 bytes"),
        (keys.write_private(SEED).replace("==", "\u00e9="), "64 bytes"),
        # RFC 4648 section 3.5: the same bytes in other digits.
        (keys.write_private(SEED).replace("Gg==", "Gh=="), "not canonical"),
    ],
)
def test_what_is_no_private_key(text: str, said: str) -> None:
    with pytest.raises(keys.KeyTextError, match=said):
        keys.read_private(text)


def test_a_secret_of_a_ci_arrives_with_other_ends() -> None:
    text = keys.write_private(SEED)
    for other in (text.strip(), text + "\n", text.replace("\n", "\r\n"), f"\n {text}"):
        assert keys.read_private(other) == SEED
        assert keys.read_private(memoryview(other.encode())) == SEED


def test_every_digit_of_base64_is_read_as_the_library_reads_it() -> None:
    for number in range(256):
        seed = bytes((number + n * 7) % 256 for n in range(32))
        assert keys.read_private(keys.write_private(seed)) == seed


def test_what_is_wiped() -> None:
    secret, read_only = bytearray(b"secret"), b"secret"
    keys.wipe(memoryview(secret)[1:3])
    assert secret == b"s\0\0ret"
    keys.wipe(secret)
    assert secret == bytes(6)
    keys.wipe(read_only)
    keys.wipe(memoryview(read_only))
    assert read_only == b"secret"


SALT, NONCE, CHEAP = bytes(range(16)), bytes(range(12)), keys.MIN_SCRYPT_N
LOCKED = keys.write_encrypted(SEED, b"open sesame", SALT, NONCE, CHEAP)


def test_the_encrypted_text_is_as_documented() -> None:
    """Read again by nothing but the format's description and other code for scrypt."""
    head, kdf, cipher, body = LOCKED.splitlines()
    assert head == "sluicegate-ed25519-encrypted-v1"
    assert kdf == f"scrypt n=16384 r=8 p=1 salt={base64.b64encode(SALT).decode()}"
    assert cipher == f"aes-256-gcm nonce={base64.b64encode(NONCE).decode()} public={PUBLIC}"
    key = hashlib.scrypt(b"open sesame", salt=SALT, n=16384, r=8, p=1, dklen=32, maxmem=1 << 25)
    bound = f"{head}\n{kdf}\n{cipher}\n".encode()
    assert AESGCM(key).decrypt(NONCE, base64.b64decode(body), bound) == SEED


def test_an_encrypted_key_opens_with_its_passphrase_alone() -> None:
    for word in (b"open sesame", bytearray(b"open sesame"), memoryview(b"open sesame")):
        assert keys.read_private(LOCKED, word) == SEED
    assert keys.read_private(memoryview(LOCKED.strip().encode()), b"open sesame") == SEED
    for word in (b"open sesam", b"open sesame ", b"OPEN SESAME"):
        with pytest.raises(keys.KeyTextError, match="passphrase is wrong"):
            keys.read_private(LOCKED, word)
    with pytest.raises(keys.KeyTextError, match="no passphrase was given") as caught:
        keys.read_private(LOCKED)
    assert "--passphrase-fd" in caught.value.hint
    with pytest.raises(keys.KeyTextError, match="not encrypted"):
        keys.read_private(keys.write_private(SEED), b"open sesame")


def test_the_cost_of_what_is_written_is_in_the_text() -> None:
    assert " n=131072 r=8 p=1 " in keys.write_encrypted(SEED, b"p", SALT, NONCE)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("n=16384", "n=32768", "passphrase is wrong"),
        (PUBLIC, PUBLIC.replace("d", "e"), "passphrase is wrong"),
        ("salt=AAEC", "salt=AAED", "passphrase is wrong"),
        ("nonce=AAEC", "nonce=AAED", "passphrase is wrong"),
        # A hostile file must cost neither memory nor time, nor lower the guard.
        ("n=16384", "n=8192", "its lines"),
        ("n=16384", "n=524288", "not a power of two"),
        ("n=16384", "n=16385", "not a power of two"),
        ("n=16384", "n=999999", "not a power of two"),
        ("n=16384", f"n=1{'0' * 5000}", "its lines"),
        ("n=16384", "n=016384", "its lines"),
        ("n=16384", "n=+16384", "its lines"),
        ("n=16384", "n=\u0661\u0662\u0663\u0664\u0665", "its lines"),
        ("r=8", "r=8192", "its lines"),
        ("p=1 ", "p=64 ", "its lines"),
        # Other writings of the same.
        ("Dw==", "Dx==", "not canonical"),
        (PUBLIC, PUBLIC.upper(), "its lines"),
        ("scrypt n", "scrypt  n", "its lines"),
        ("\nscrypt", "\r\nscrypt", "its lines"),
        ("\naes", " aes", "its lines"),
        ("-v1", "-v2", "first line must be"),
        (keys.ENCRYPTED, f" {keys.ENCRYPTED}", "first line must be"),
        ("Dw==\n", "Dw==\n\n", "its lines"),
    ],
)
def test_encrypted_texts_that_are_refused(old: str, new: str, said: str) -> None:
    changed = LOCKED.replace(old, new)
    assert changed != LOCKED
    with pytest.raises(keys.KeyTextError, match=said):
        keys.read_private(changed, b"open sesame")


def test_every_flipped_bit_of_what_is_encrypted_shows() -> None:
    head, body = LOCKED.rstrip().rsplit("\n", 1)
    raw = bytearray(base64.b64decode(body))
    for at in (0, 31, 32, 47):
        raw[at] ^= 1
        with pytest.raises(keys.KeyTextError, match="passphrase is wrong"):
            keys.read_private(f"{head}\n{base64.b64encode(raw).decode()}\n", b"open sesame")
        raw[at] ^= 1
    for text in (head, f"{head}\n{body[:-4]}\n", f"{LOCKED}more\n"):
        with pytest.raises(keys.KeyTextError, match="its lines"):
            keys.read_private(text, b"open sesame")


def test_a_public_key_that_is_not_the_seeds_is_refused_although_it_is_authentic() -> None:
    key = hashlib.scrypt(b"p", salt=SALT, n=CHEAP, r=8, p=1, dklen=32, maxmem=1 << 25)
    head = LOCKED.rsplit("\n", 2)[0].replace(PUBLIC, "0" * 64) + "\n"
    body = base64.b64encode(AESGCM(key).encrypt(NONCE, SEED, head.encode())).decode()
    with pytest.raises(keys.KeyTextError, match="belong"):
        keys.read_private(f"{head}{body}\n", b"p")


def test_a_key_that_can_sign_anything_is_no_key() -> None:
    # The neutral element and another point of small order: S = 0, R = A verifies whatever the message is.
    for small in (
        "01" + "00" * 31,
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ):
        assert not keys.verifies(bytes.fromhex(small), bytes.fromhex(small) + bytes(32), b"m")
        assert not keys.verifies(bytes.fromhex(small), bytes([1]) + bytes(63), b"m")
