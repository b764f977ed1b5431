"""The action's inputs, from the environment that action.yml makes of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "INPUT_"
MODES = ("", "enforce", "observe")
IGNORED = ("pipelock-bin", "pipelock-version")
_LINES = (
    *("script-path", "policy-ref", "config", "mode", "agent-identity", "signer-private-key-path"),
    *("audit-packet-dir", "working-directory", "fail-on-verifier-error", "fail-on-deny"),
    *("workflow-commands", "debug"),
)
# All that action.yml has.
NAMES = (*_LINES, "run", "script-args", "policy", "preset", "env", "signer-public-key", *IGNORED)
# Of inputs whose value is one line: what a path, a name or a log line would be broken by.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_IDENTITY = re.compile(r"[\x20-\x7e]{1,128}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What git takes for a branch, tag or commit (gitrevisions(7)), without the spellings that search or compute.
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]{0,254}")
# The kernel takes 128 KiB for one argument (MAX_ARG_STRLEN, execve(2)), its end included.
MAX_RUN_BYTES = (128 << 10) - 1


class InputError(Exception):
    """The workflow's author is at fault: `name` is the input, `hint` the remedy."""

    def __init__(self, name: str, message: str, hint: str = "") -> None:
        super().__init__(f"{name}: {message}")
        self.name, self.hint = name, hint


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the workflow asked for: paths as given, `""` and empty tuples where nothing was said.

    Exactly one of `script` and `run` is there. `ignored`: inputs that were given and mean nothing here.
    """

    script: str
    run: str
    arguments: tuple[str, ...]
    policies: tuple[str, ...]
    ref: str
    presets: tuple[str, ...]
    config: str
    mode: str
    env: tuple[str, ...]
    identity: str
    key: str
    public: str
    packet: str
    workdir: str
    fail_on_verifier_error: bool
    fail_on_deny: bool
    commands: bool
    debug: bool
    ignored: tuple[str, ...]

    def argv(self, script: str) -> tuple[str, ...]:
        """The command: bash as a `run` step starts it, or with `script`, where that was found to lie."""
        shell = ("bash", "--noprofile", "--norc")
        if self.run:
            # The name after the text is $0, as it is of a script that has no name.
            return (*shell, "-eo", "pipefail", "-c", self.run, "bash", *self.arguments)
        return ("bash", script, *self.arguments)


def read(environ: Mapping[str, str]) -> Inputs:
    """The inputs in `environ`.

    Raises:
        InputError: one that can not be meant; nothing is guessed.
    """
    one = {name: _line(environ, name) for name in _LINES}
    run = _value(environ, "run")
    if bool(one["script-path"]) == bool(run.strip()):
        said = "and run are both given" if run.strip() else "or run is needed"
        raise InputError(
            "script-path", said, "name a script in the repository, or write commands for run"
        )
    if len(run.encode("utf-8", "surrogateescape")) > MAX_RUN_BYTES:
        message = f"has more than {MAX_RUN_BYTES} bytes"
        raise InputError("run", message, "put it into a script, and name that in script-path")
    if not _IDENTITY.fullmatch(one["agent-identity"]):
        raise InputError("agent-identity", "wants up to 128 printable ASCII characters")
    if one["mode"] not in MODES:
        raise InputError("mode", f"{one['mode']!a:.80} is not known", "enforce or observe")
    if one["policy-ref"] and (not _REF.fullmatch(one["policy-ref"]) or ".." in one["policy-ref"]):
        hint = "for example policy-ref: ${{ github.base_ref }}"
        raise InputError("policy-ref", f"{one['policy-ref']!a:.80} is no branch or commit", hint)
    public = _value(environ, "signer-public-key").strip()
    if public and not one["signer-private-key-path"]:
        message = "wants signer-private-key-path: a key that is made for the run can not be pinned"
        raise InputError("signer-public-key", message, "give both, or none")
    return Inputs(
        script=one["script-path"],
        run=run,
        arguments=_arguments(_value(environ, "script-args")),
        policies=_list(environ, "policy"),
        ref=one["policy-ref"],
        presets=_list(environ, "preset"),
        config=one["config"],
        mode=one["mode"],
        env=_names(environ),
        identity=one["agent-identity"],
        key=one["signer-private-key-path"],
        public=public,
        packet=_path(one["audit-packet-dir"] or "pipelock-audit-packet"),
        workdir=one["working-directory"] or ".",
        fail_on_verifier_error=_flag(one, "fail-on-verifier-error"),
        fail_on_deny=_flag(one, "fail-on-deny"),
        commands=_flag(one, "workflow-commands"),
        debug=_flag(one, "debug"),
        ignored=tuple(name for name in IGNORED if _value(environ, name).strip()),
    )


def variable(name: str) -> str:
    """The variable in which action.yml passes input `name`."""
    return PREFIX + name.upper().replace("-", "_")


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(variable(name), "")


def _line(environ: Mapping[str, str], name: str) -> str:
    text = _value(environ, name).rstrip("\n")  # of a block in YAML
    if found := _CONTROL.search(text):
        raise InputError(
            name, f"holds the control character {found[0]!a}", "write one line of text"
        )
    return text


def _path(text: str) -> str:
    """`text` so that no program takes it for an option."""
    return f"./{text}" if text.startswith("-") else text


def _list(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    lines = tuple(filter(None, (line.strip() for line in _value(environ, name).split("\n"))))
    if bad := next(filter(_CONTROL.search, lines), None):
        raise InputError(name, f"holds a control character: {bad!a:.80}", "write one a line")
    return lines


def _names(environ: Mapping[str, str]) -> tuple[str, ...]:
    found = _list(environ, "env")
    if bad := next((name for name in found if not _VARIABLE.fullmatch(name)), None):
        # Not quoted: whoever writes NAME=VALUE has written the value there.
        name = bad.partition("=")[0] if _VARIABLE.fullmatch(bad.partition("=")[0]) else "a line"
        hint = "names alone, one a line; a value goes into env: of the step"
        raise InputError("env", f"{name} is not the name of a variable", hint)
    return found


def _arguments(text: str) -> tuple[str, ...]:
    # The last line of a block in YAML has an end; it begins no further argument.
    return tuple(text.removesuffix("\n").split("\n")) if text else ()


def _flag(one: Mapping[str, str], name: str) -> bool:
    value = one[name] or ("true" if name == "fail-on-verifier-error" else "false")
    if value not in {"true", "false"}:
        raise InputError(name, f"wants true or false, got {value!a:.80}")
    return value == "true"
