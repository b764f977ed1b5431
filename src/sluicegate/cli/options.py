"""The options of `sluicegate run`. getopt: argparse costs a tenth of the whole start."""

from __future__ import annotations

import getopt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TIERS = ("auto", "netns-root", "netns-rootless")
USAGE = """\
usage: sluicegate run [OPTIONS] -- COMMAND [ARGS]

  --policy FILE          what is allowed; repeatable, every file must allow
                         (default: sluicegate.yaml in the working directory, else nothing is allowed)
  --preset NAME          add a preset to what the policy allows, as `- preset: NAME` would; repeatable;
                         NAME=OWNER/REPO for one with repositories; `sluicegate presets` lists them
  --packet DIR           where the evidence goes; must not exist, or be empty (sluicegate-packet)
  --key FILE             signing key of `sluicegate keygen` (default: one made for this run)
  --key-fd N             the text of such a key from descriptor N, so that it touches no disk:
                         sluicegate run --key-fd 3 3< <(printf %s "$SECRET") -- COMMAND
  --secret-fd NAME=N     a secret of the policy (fd: NAME) from descriptor N; repeatable
  --passphrase-fd N      an encrypted key's passphrase, one line (--key FILE asks at a terminal)
  --agent-identity ID    who the command is, for the record
  --ask                  ask at the terminal about destinations that no rule names
  --observe              let through what would be denied, marked so in each receipt
  --workdir DIR          the command's working directory, writable inside (the current one)
  --env NAME[=VALUE]     pass a variable into the boundary; repeatable
  --bind PATH            a further writable path; repeatable
  --read-only FILE       a file that the command must not change, wherever it lies; repeatable
  --tier TIER            auto, netns-root or netns-rootless (auto)
  --fail-on-deny         exit 121 when anything was denied
  --timeout SECONDS      end the command after this time, exit 124
  --checkpoint-file FILE a new file that gets each signed checkpoint of the record while it grows
  --checkpoint-seconds N how often, on stderr and there (30)
  --unsafe-ignore-holes  start the command although the probe found a way out; the record says so
  --quiet                say nothing unless something fails

exit: the command's own; 120 evidence failed; 121 denied and --fail-on-deny; 124 timeout;
      125 no boundary, or bad policy or options; 126, 127 as a shell; 128+n signal n
"""
_WITH_VALUE = {
    *("policy", "packet", "key", "agent-identity", "workdir", "env", "bind", "tier", "timeout"),
    *("preset", "read-only"),
    *("key-fd", "passphrase-fd", "secret-fd", "checkpoint-file", "checkpoint-seconds"),
}
_FLAGS = {"ask", "observe", "fail-on-deny", "quiet", "help", "unsafe-ignore-holes"}
# A day: a forgotten unit (ms for s) is more likely than a longer run.
MAX_TIMEOUT_SECONDS = 86_400.0
# How often a checkpoint: more than once a second nobody needs, less than once a day is none.
MAX_CHECKPOINT_SECONDS = 86_400
# 0 to 2 are the command's own; no kernel gives numbers from here on unless fs.nr_open is raised.
FIRST_DESCRIPTOR, END_OF_DESCRIPTORS = 3, 1 << 20


class OptionError(Exception):
    """The caller's options are at fault; `hint` is the remedy."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. Paths as given; `timeout` in seconds."""

    argv: tuple[str, ...]
    policies: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    packet: str = "sluicegate-packet"
    key: str | None = None
    key_fd: int | None = None
    passphrase_fd: int | None = None
    secret_fds: tuple[tuple[str, int], ...] = ()
    identity: str = ""
    ask: bool = False
    observe: bool = False
    workdir: str = "."
    env: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    tier: str = "auto"
    fail_on_deny: bool = False
    timeout: float | None = None
    checkpoint_file: str | None = None
    checkpoint_seconds: int = 30
    quiet: bool = False
    unsafe_ignore_holes: bool = False

    @property
    def keyed(self) -> bool:
        """Whether the signing key comes from outside."""
        return self.key is not None or self.key_fd is not None


def parse(argv: Sequence[str]) -> Options | None:
    """The options in `argv`; None when help was asked for.

    Raises:
        OptionError: what was wanted, what came, and the remedy.
    """
    words = sorted(_FLAGS) + [f"{name}=" for name in sorted(_WITH_VALUE)]
    try:
        pairs, rest = getopt.getopt(list(argv), "h", words)
    except getopt.GetoptError as error:
        raise OptionError(str(error), "see `sluicegate run --help`") from error
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        if name != "-h" and not any(w == name or w.startswith(f"{name}=") for w in argv):
            # getopt takes the beginning of a name for the name: what it means could change with a new option.
            raise OptionError(f"{name} is written short", "write the whole name")
        given.setdefault(name.lstrip("-"), []).append(value)
    if given.keys() & {"help", "h"}:
        return None
    for name in _WITH_VALUE - {"policy", "preset", "env", "bind", "secret-fd", "read-only"}:
        if len(given.get(name, ())) > 1:
            raise OptionError(f"--{name} is given twice", "give it once")
    if not rest:
        raise OptionError("no command", "put it after the options: sluicegate run -- COMMAND")
    return _options(tuple(rest), given)


def _options(argv: tuple[str, ...], given: dict[str, list[str]]) -> Options:
    one = {name: values[-1] for name, values in given.items()}
    tier = one.get("tier", "auto")
    if tier not in TIERS:
        raise OptionError(f"unknown tier {tier!r}", "one of " + ", ".join(TIERS))
    identity = one.get("agent-identity", "")
    if not re.fullmatch(r"[\x20-\x7e]{0,128}", identity):
        raise OptionError("--agent-identity is not up to 128 printable ASCII characters")
    for pair in given.get("env", ()):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(=[^\x00]*)?", pair, re.DOTALL):
            name = pair.split("=", 1)[0]
            raise OptionError(f"--env wants NAME or NAME=VALUE, got {name!r}")
    key_fd, passphrase_fd = (descriptor(name, one) for name in ("key-fd", "passphrase-fd"))
    if key_fd is not None and "key" in one:
        raise OptionError("--key and --key-fd are both given", "give one of them")
    if passphrase_fd is not None and key_fd is None and "key" not in one:
        raise OptionError("--passphrase-fd without a key", "name it with --key or --key-fd")
    if passphrase_fd is not None and passphrase_fd == key_fd:
        raise OptionError("--key-fd and --passphrase-fd are the same", "each is read to its end")
    return Options(
        argv=argv,
        policies=tuple(given.get("policy", ())),
        presets=tuple(given.get("preset", ())),
        read_only=tuple(given.get("read-only", ())),
        packet=one.get("packet", "sluicegate-packet"),
        key=one.get("key"),
        key_fd=key_fd,
        passphrase_fd=passphrase_fd,
        secret_fds=_secret_fds(given.get("secret-fd", ()), (key_fd, passphrase_fd)),
        identity=identity,
        ask="ask" in one,
        observe="observe" in one,
        workdir=one.get("workdir", "."),
        env=tuple(given.get("env", ())),
        binds=tuple(given.get("bind", ())),
        tier=tier,
        fail_on_deny="fail-on-deny" in one,
        timeout=_timeout(one.get("timeout")),
        checkpoint_file=one.get("checkpoint-file"),
        checkpoint_seconds=_every(one.get("checkpoint-seconds", "30")),
        quiet="quiet" in one,
        unsafe_ignore_holes="unsafe-ignore-holes" in one,
    )


def descriptor(name: str, given: Mapping[str, str]) -> int | None:
    """The descriptor that option `name` gives; None without the option.

    Raises:
        OptionError: no number of a descriptor that a caller may pass to us.
    """
    text = given.get(name)
    if text is None:
        return None
    number = int(text) if re.fullmatch(r"[0-9]{1,7}", text) else -1
    if not FIRST_DESCRIPTOR <= number < END_OF_DESCRIPTORS:
        raise OptionError(
            f"--{name} wants a descriptor from {FIRST_DESCRIPTOR} to {END_OF_DESCRIPTORS - 1}, got {text!r}",
            f'for example --{name} 3 3< <(printf %s "$SECRET")',
        )
    return number


def _secret_fds(
    given: Sequence[str], others: tuple[int | None, ...]
) -> tuple[tuple[str, int], ...]:
    found = dict[str, int]()
    for text in given:
        name, _, number = text.partition("=")
        at = descriptor("secret-fd", {"secret-fd": number})
        if at is None or at in {*others, *found.values()} or name in found:
            raise OptionError(
                f"--secret-fd {name} is given twice", "each has a descriptor of its own"
            )
        found[name] = at
    return tuple(found.items())


def _timeout(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= MAX_TIMEOUT_SECONDS:
        raise OptionError(
            f"--timeout wants seconds up to {MAX_TIMEOUT_SECONDS:.0f}, got {text!r}",
            "for example --timeout 600",
        )
    return value


def _every(text: str) -> int:
    number = int(text) if re.fullmatch(r"[0-9]{1,5}", text) else 0
    if not 0 < number <= MAX_CHECKPOINT_SECONDS:
        raise OptionError(
            f"--checkpoint-seconds wants whole seconds up to {MAX_CHECKPOINT_SECONDS}, got {text!r}",
            "for example --checkpoint-seconds 10",
        )
    return number
