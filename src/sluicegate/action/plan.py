"""The command line of the run that the inputs ask for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sluicegate.action.inputs import Inputs

# -n: never asks. -E: the job's variables are what the record's identity is made of.
SUDO = ("sudo", "-n", "-E", "--", "/usr/bin/env")
# What sudo does not keep for all that. It has a PATH of its own (secure_path), without what earlier steps put on the
# job's; and a Python of a tool cache may find its own library by this variable alone (actions/setup-python issue 871).
AGAIN = ("PATH", "LD_LIBRARY_PATH")


def sudo(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The words before a command that make it root's, in the job's environment."""
    return (*SUDO, *(f"{name}={environ[name]}" for name in AGAIN if name in environ))


def sluicegate(python: str) -> list[str]:
    """Our own command. -I: the working directory is full of the job's files, and is no place to import from."""
    return [python, "-I", "-B", "-m", "sluicegate"]


def run(
    inputs: Inputs,
    script: str,
    policies: Sequence[str],
    kept: Sequence[str],
    workdir: str,
    *,
    python: str,
    root: Sequence[str],
) -> list[str]:
    """`sluicegate run` for `inputs` under `policies`; `root`: the words of `sudo`, where there is one.

    `kept`: files of the repository that another step may make a policy of.
    """
    words = [*root, *sluicegate(python), "run", "--packet", inputs.packet, "--workdir", workdir]
    words += ["--agent-identity", inputs.identity]
    words += [word for policy in policies for word in ("--policy", policy)]
    words += [word for file in kept for word in ("--read-only", file)]
    words += [word for preset in inputs.presets for word in ("--preset", preset)]
    words += [word for name in inputs.env for word in ("--env", name)]
    if inputs.key:
        words += ["--key", inputs.key]
    if inputs.mode == "observe":
        words.append("--observe")
    if inputs.fail_on_deny:
        words.append("--fail-on-deny")
    return [*words, "--", *inputs.argv(script)]
