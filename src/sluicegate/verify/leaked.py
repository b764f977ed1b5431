"""A denial because of a secret where it does not belong: the gate's word, held against the policies. Pure.

What was found is nowhere on record, and must not be. That such a denial is of a request, and names a secret that the
policies have or a variable, is all that can be checked; it denies, and so lets nothing through that they do not. One
because of a name is of what that name is called on record, which nobody can have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from sluicegate.evidence import counts, records, signatures
from sluicegate.facts import Decision, Verdict
from sluicegate.policy.model import Policy
from sluicegate.policy.together import together
from sluicegate.verify import strict
from sluicegate.verify.strict import need

_REASON = re.compile(
    r"the (placeholder|value) of ([!-~]{1,128}) \([a-z0-9]{1,16}\) is in the"
    r" (name|method|path|host|headers|head|content|response), where it does not belong"
)
_MIDDLE = ("content", "response")  # places that are looked into while the flow is under way
_REDACTED = "/[redacted]"
_CLAIMS = ("target", "sni", "host")
# Of a question: which secret is in its name.
_FOUND = re.compile(r"the (placeholder|value) of ([!-~]{1,128}) \([a-z0-9]{1,16}\)")


def denial(
    policies: tuple[Policy, ...], made: Decision, flow: Mapping[str, object], what: str
) -> Decision:
    """The denial that the receipt says, whatever `made` is: what is denied for two reasons is denied.

    Raises:
        VerificationError: no policy has a secret of that name, or it is not about a request.
    """
    names = {secret.name for secret in together(policies).secrets}
    said = strict.text(flow["reason"], f"{what}: reason")
    found, called = _REASON.fullmatch(said), of_a_name(said)
    need(names and ("method" in flow or called), f"{what}: a secret, and the policies have none")
    known = found is not None and (found[1] == "value" or found[2] in names)
    need(known, f"{what}: the reason of another denial")
    hidden = counts.HIDDEN_NAME in map(flow.get, _CLAIMS)
    need(hidden or not called, f"{what}: a name with a secret, on record")
    if not in_the_middle(said):
        need(not flow.keys() & {"query", "headers"}, f"{what}: a head with a secret, on record")
    if found is not None and found[3] == "path":
        hidden = flow.get("path") == _REDACTED and "query_bytes" not in flow
        need(hidden, f"{what}: a path with a secret, on record")
    if found is not None and found[3] in {"method", "head"}:
        hidden = flow.get("method") == counts.HIDDEN_METHOD
        need(hidden, f"{what}: a method with a secret, on record")
    denied = replace(made, verdict=Verdict.DENY, rule=records.SECRET, reason=said)
    return replace(denied, observed=False, opened=False, remedy=None)


def question(found: str, names: frozenset[str], what: str) -> None:
    """Nothing, if `found` is what the resolver says of a name that has one of the secrets `names` in it, or a value.

    Raises:
        VerificationError: it is not.
    """
    said = _FOUND.fullmatch(found)
    known = bool(names) and said is not None and (said[1] == "value" or said[2] in names)
    need(known, f"{what}: a secret, and the policies have none")


def of_a_name(reason: str) -> bool:
    """Whether it is of such a denial because of what the client called its destination."""
    found = _REASON.fullmatch(reason)
    return found is not None and found[3] == "name"


def unsigned(
    policies: tuple[Policy, ...], made: Decision, flow: Mapping[str, object], what: str
) -> Decision:
    """The denial of a request that `made` allows, and that can not be signed anew with a secret of the policies.

    Raises:
        VerificationError: no policy has a secret of that name that signs, or it is not about a request.
    """
    said = strict.text(flow["reason"], f"{what}: reason")
    names = {secret.name for secret in together(policies).secrets if secret.place == "sigv4"}
    need(signatures.named(said) in names, f"{what}: a signature, and the policies sign none")
    need("method" in flow and made.verdict is Verdict.ALLOW, f"{what}: signed what is denied")
    denied = replace(made, verdict=Verdict.DENY, rule=signatures.SIGNATURE, reason=said)
    return replace(denied, observed=False, opened=False, remedy=None)


def in_the_middle(reason: str) -> bool:
    """Whether it is of such a denial after the request was begun, whose outcome then says so."""
    found = _REASON.fullmatch(reason)
    return found is not None and found[3] in _MIDDLE
