"""SHELL. Where the values of a policy's secrets come from: read in the gate and nowhere else.

The supervisor only looks whether the command would have one all the same. What it was started with, its own
environment has: that can not be undone, and nobody inside can see it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.cli import keysource, places, secretfd
from sluicegate.cli.opening import Plan, SetupError
from sluicegate.cli.options import OptionError
from sluicegate.evidence import keys
from sluicegate.policy.model import Secret
from sluicegate.policy.together import together

if TYPE_CHECKING:
    from sluicegate.gate.vault import Held

MAX_VALUE_BYTES = 4096  # a header of more is refused by servers (8 KiB with all others)
# Of what the environment keeps from the command. The gate prepares so many in a tenth of what a few secrets take it.
MAX_WITHHELD = 64
MIN_WITHHELD_BYTES = 16  # a shorter one is a word as often as not
MIN_DIFFERENT = 8  # characters: `0000000000000000` is in many files
# Characters: a shorter value has no placeholder, and stands in other texts by accident.
MIN_APART = 8
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|_PAT$")
_SECRET_VALUE = re.compile(rb"[!-~]+")
# A variable that is called a secret's may name the host that has it, which is there to be asked for.
_HOST = re.compile(rb"(?:[a-z0-9-]+\.)+[a-z]{2,}(?::[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the gate reads: `withheld` are names in its environment, `descriptors` those that the caller opened."""

    secrets: tuple[Secret, ...]
    withheld: tuple[str, ...]
    descriptors: Mapping[str, int]
    home: str


def wanted(plan: Plan, key: keysource.Source) -> Wanted | None:
    """What `plan` has the gate read; None: its policies have no secrets.

    Raises:
        SetupError: the command would have a value, or there is nothing to read it from.
    """
    secrets = together(plan.policies).secrets
    if unused := sorted(
        key.secrets.keys() - {w for s in secrets for k, w in (s.source,) if k == "fd"}
    ):
        hint = f"policy: secrets: - fd: {unused[0]}"
        raise SetupError(f"--secret-fd {unused[0]}: no secret of the policy has that name", hint)
    if not secrets:
        return None
    command = plan.spec.command
    _named_once(secrets, plan.options.env)
    for secret in secrets:
        kind, where = secret.source
        if kind == "fd" and where not in key.secrets:
            hint = f'for example --secret-fd {where}=3 3< <(printf %s "$SECRET")'
            raise SetupError(f"secret {secret.name}: no descriptor is given for {where}", hint)
        if kind == "env":
            _apart(secret, os.environ.get(where, ""), dict(command.env), command.argv)
    return Wanted(secrets, plan.withheld, dict(key.secrets), plan.spec.home)


def _named_once(secrets: tuple[Secret, ...], given: tuple[str, ...]) -> None:
    names = [secret.name for secret in secrets]
    for name in names:
        if names.count(name) > 1:
            raise SetupError(
                f"two secrets are the command's {name}", "give one of them as: another"
            )
        if any(text.partition("=")[0] == name for text in given):
            raise SetupError(f"--env {name} and a secret of that name", "leave out --env")


def _apart(secret: Secret, value: str, env: Mapping[str, str], argv: Iterable[str]) -> None:
    """Nothing, if the command has the value from nowhere else; the gate says of a short one that it is none."""
    if len(value) < MIN_APART:
        return
    for name, text in env.items():
        if value in text and name != secret.name:
            message = f"the value of secret {secret.name} is in the command's {name} as well"
            raise SetupError(message, f"unset {name}, or keep it from the command")
    if any(value in word for word in argv):
        message = f"the value of secret {secret.name} is in the command's arguments"
        raise SetupError(message, f"have the command read ${secret.name}")


def files(secrets: tuple[Secret, ...], home: str) -> tuple[str, ...]:
    """The files that values come from: the command must not see them."""
    return tuple(
        places.expanded(where, home)
        for kind, where in (secret.source for secret in secrets)
        if kind == "file"
    )


def collect(asked: Wanted, environ: Mapping[str, str]) -> tuple[Held, ...]:
    """Each secret with its value and the placeholder that is made for it. For the gate, before anything hostile comes.

    Raises:
        SetupError: a value that is missing, or can not be held back.
    """
    import secrets as dice

    from sluicegate.gate.vault import Held
    from sluicegate.scan.placeholder import SecretError, make

    held = list[Held]()
    for secret in asked.secrets:
        value = _value(secret, asked, environ)
        try:
            taken = {one.placeholder for one in held}
            placeholder = make(secret.name, value, taken, dice.randbelow)
        except SecretError as error:
            message, _, hint = str(error).partition("\nhint: ")
            raise SetupError(message, hint) from error
        held.append(Held(secret, placeholder, value))
    return tuple(held)


def looked_for(
    asked: Wanted, environ: Mapping[str, str], held: tuple[Held, ...]
) -> dict[str, bytes]:
    """By name those of the withheld values that are looked for: the first few that look like secrets."""
    own = {one.value for one in held}
    found = {
        name: environ[name].encode("utf-8", "surrogateescape")
        for name in asked.withheld
        if _SECRET_NAME.search(name.upper()) and environ.get(name, "") not in own
    }
    good = [name for name, value in sorted(found.items()) if _plausible(value)]
    return {name: found[name] for name in good[:MAX_WITHHELD]}


def _plausible(value: bytes) -> bool:
    """Whether it is a text that nothing has by accident: neither a path, nor a host, nor a word, nor a switch."""
    long = MIN_WITHHELD_BYTES <= len(value) <= MAX_VALUE_BYTES
    path = value.startswith((b"/", b"~", b"."))
    return (
        long
        and not path
        and not _HOST.fullmatch(value)
        and len({*value}) >= MIN_DIFFERENT
        and bool(_SECRET_VALUE.fullmatch(value))
    )


def _value(secret: Secret, asked: Wanted, environ: Mapping[str, str]) -> str:
    kind, where = secret.source
    if kind == "env":
        if where not in environ:
            hint = f"set it for sluicegate: {where}=... sluicegate run ..."
            raise SetupError(f"secret {secret.name}: the variable {where} is not set", hint)
        return environ[where]
    called = f"secret {secret.name}: its {'file' if kind == 'file' else 'descriptor'}"
    try:
        if kind == "file":
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
            number = os.open(places.expanded(where, asked.home), flags)
        else:
            number = asked.descriptors[where]
        data = secretfd.read(number, MAX_VALUE_BYTES)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise SetupError(
            f"{called} can not be read: {why}", "check the path in the policy"
        ) from error
    except OptionError as error:
        raise SetupError(
            f"{called} has more than {MAX_VALUE_BYTES} bytes", "one value is wanted"
        ) from error
    try:
        return bytes(data).decode("ascii", "replace").removesuffix("\n").removesuffix("\r")
    finally:
        keys.wipe(data)
