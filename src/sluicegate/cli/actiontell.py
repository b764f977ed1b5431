"""SHELL. What the action tells the job: outputs, the step's summary, annotations, and a page beside the packet."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Sequence

from sluicegate.action import verdict, words
from sluicegate.action.inputs import Inputs
from sluicegate.cli import policyfiles, report, say

OUTPUT, SUMMARY = "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"


def tell(inputs: Inputs, ending: verdict.Ending, pins: Sequence[bytes]) -> None:
    """Writes all of it. `pins`: the keys that the packet was verified with."""
    for kind, message in verdict.remarks(
        ending, fail_on_verifier_error=inputs.fail_on_verifier_error
    ):
        annotate(kind, message)
    page = f"{inputs.packet.rstrip('/')}.html"
    reported = ending.packet and _report(inputs, page, pins)
    told = {
        "audit_packet_path": inputs.packet,
        "receipt_count": str(ending.receipts),
        "verifier_verdict": ending.verdict,
        "report_path": page if reported else "",
    }
    token = secrets.token_hex(16)
    _append(OUTPUT, "".join(words.output(*pair, token) for pair in told.items()))
    _append(SUMMARY, verdict.advice(ending, inputs.packet, keyed=bool(inputs.key)))
    said = f"{ending.receipts} receipts in {inputs.packet}, verdict {ending.verdict}"
    # The older spelling of an order may stand anywhere in a line.
    say.say("action: " + said.replace("##[", "## ["))


def _report(inputs: Inputs, page: str, pins: Sequence[bytes]) -> bool:
    """Whether there is a page now; the report is in the summary and as annotations also where the page can not be.

    A report that can not be written changes nothing about the run; it says so itself.
    """
    argv = [inputs.packet, "--annotations"]
    if summary := os.environ.get(SUMMARY):
        argv += ["--summary", summary]
    argv += [word for pin in pins for word in ("--key", pin.hex())]
    named = next(iter(inputs.policies), inputs.config or policyfiles.DEFAULT)
    argv.append(f"--policy-file={named}")
    # Where the page belongs, the command may have put something else.
    for more in ([f"--html={page}"], []):
        heard = io.StringIO()
        with contextlib.redirect_stdout(heard):
            done = report.main([*argv, *more]) in {0, 1}
        if done:
            break
    if os.environ.get("GITHUB_ACTIONS") == "true":
        out(heard.getvalue())
    return done and bool(more)


def _append(variable: str, text: str) -> None:
    """To the file that `variable` names; the runner reads it when the step has ended."""
    if path := os.environ.get(variable):
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)


def annotate(kind: str, message: str) -> None:
    """Shows `message` at the run; outside of GitHub Actions on stderr."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        out(words.annotation(kind, message))
    else:
        say.say(f"{kind}: {message}")


def out(text: str) -> None:
    """To stdout at once: what the runner reads must stand before and after what others print."""
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(1, data) :]
