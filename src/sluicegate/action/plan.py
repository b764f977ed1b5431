"""The command line of the run that the inputs ask for. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sluicegate.action.inputs import Inputs

# -n: never asks. -E: the job's variables are what the record's identity is made of. sudo often has a PATH of its own
# (secure_path), in which the command would not find what earlier steps put on the job's.
SUDO = ("sudo", "-n", "-E", "--", "/usr/bin/env")


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
    path: str | None,
) -> list[str]:
    """`sluicegate run` for `inputs` under `policies`; with sudo where `path`, the job's PATH, is given.

    `kept`: files of the repository that another step may make a policy of.
    """
    words = [] if path is None else [*SUDO, f"PATH={path}"]
    words += [*sluicegate(python), "run", "--packet", inputs.packet, "--workdir", workdir]
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
