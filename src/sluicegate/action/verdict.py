"""What the action says in the end: the verdict, the exit code, and what to do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

VALID, CONSISTENT, INVALID, ERROR = "valid", "self_consistent_only", "invalid", "error"
SOUND = frozenset((VALID, CONSISTENT))
# Exit codes of `sluicegate run` that are its own, if nothing else explains them.
EVIDENCE, DENIED, TIMEOUT, REFUSED = 120, 121, 124, 125
FAILED = 1


@dataclass(frozen=True, slots=True)
class Ending:
    """How the run ended and what its packet supports.

    `code`: of `sluicegate run`. `verdict`: of the verifier. `why`: its reason, where there is one. `receipts`: those
    of the lifecycle too. `packet`: whether there is anything to verify. `stopped`: the job was cancelled.
    """

    code: int
    verdict: str
    why: str
    receipts: int
    packet: bool
    stopped: bool = False


def verdict(*, present: bool, holds: bool | None, pinned: bool) -> str:
    """The word for what the verifier found: `present` evidence that `holds` (None: it could not be read)."""
    if not present or holds is None:
        return ERROR
    if not holds:
        return INVALID
    return VALID if pinned else CONSISTENT


def exit_code(ending: Ending, *, fail_on_verifier_error: bool) -> int:
    """The action's: the command's own, and a failure's where the packet does not verify and that shall count."""
    unsound = fail_on_verifier_error and ending.verdict not in SOUND
    return ending.code or (FAILED if unsound else 0)


def remarks(ending: Ending, *, fail_on_verifier_error: bool) -> list[tuple[str, str]]:
    """Annotations, the most severe first: kind and message."""
    found = list[tuple[str, str]]()
    if not ending.packet and ending.code == REFUSED:
        found.append(
            ("error", "the command was not started: the log says why, on the lines before")
        )
    elif ending.code == EVIDENCE:
        found.append(
            (
                "error",
                "the evidence is not complete: the log says why (or the command's own exit code is 120)",
            )
        )
    elif ending.code == DENIED:
        found.append(
            (
                "error",
                "something was denied, and fail-on-deny is set (or the command's own exit code is 121)",
            )
        )
    elif ending.code and not ending.stopped:
        found.append(("error", f"the command ended with exit code {ending.code}"))
    if ending.stopped:
        found.append(
            ("warning", "the job was cancelled; the packet holds what was recorded until then")
        )
    if ending.verdict not in SOUND and (ending.packet or not ending.code):
        kind = "error" if fail_on_verifier_error else "warning"
        found.append(
            (kind, f"the packet is {ending.verdict}: {ending.why or 'nothing was recorded'}")
        )
    return found


PIN = """\
### Pin the key

The packet is sound, but its key was made for this run: it shows that nothing was changed since, not whose it is.
To pin a key:

1. `sluicegate keygen release`, once, on a machine you trust; keep `release.pub` where readers find it.
2. Put the text of `release.key` into a secret of the repository, and in a step before this one into a file of mode
   0600 in `$RUNNER_TEMP`.
3. Give the action that file as `signer-private-key-path`, and the text of `release.pub` as `signer-public-key`.
"""
KEYED = """\
### Pin the key

The packet is sound, but no `signer-public-key` was given to verify it with. Give the public half of the key, too,
from where readers have it.
"""


def advice(ending: Ending, packet: str, *, keyed: bool) -> str:
    """What the job's summary says below the report, as Markdown. `packet` is the directory as the workflow named it."""
    lines = [f"Verifier's verdict: **{ending.verdict}**", ""]
    if ending.verdict == CONSISTENT:
        lines += [KEYED if keyed else PIN]
    if ending.packet:
        name = "".join(c if c.isalnum() or c in "/._- " else "?" for c in packet)
        lines += [
            "### Keep the packet",
            "",
            "The runner's disk goes with the job. A step that keeps it, also after a failure:",
            "",
            "```yaml",
            "- uses: actions/upload-artifact@v4",
            "  if: ${{ always() }}",
            "  with:",
            "    name: audit-packet",
            "    path: |",
            f"      {name}",
            f"      {name}.html",
            "```",
            "",
        ]
    return "\n".join(lines)
