from __future__ import annotations

from dataclasses import replace

from sluicegate.policy.model import Policy, Secret
from sluicegate.policy.together import Grants, together


def test_every_policy_must_grant() -> None:
    one = Policy("a", env=("A", "B"), bind=("/x", "/y"), connections=10)
    two = Policy("b", env=("B", "C"), bind=("/y",), connections=5)
    assert together((one, two)) == Grants(env=("B",), bind=("/y",), connections=5)
    assert together((replace(one, outputs=("a", "b"), writable=(".git",)), two)).outputs == ()
    both = [replace(policy, outputs=("b",), writable=(".git", "x")) for policy in (one, two)]
    assert together((both[0], replace(both[1], writable=("x",)))).writable == ("x",)
    assert together((both[0], both[1])).outputs == ("b",)
    assert together((one,)) == Grants(("A", "B"), ("/x", "/y"), 10)


def test_a_file_that_says_nothing_grants_nothing() -> None:
    assert together((Policy("a", env=("A",)), Policy("b"))) == Grants((), (), None)
    assert together(()) == Grants((), (), None)


def test_of_each_limit_the_least_and_of_secrets_what_all_list() -> None:
    key = Secret("K", ("env", "K"), ("a.example",), (), "bearer")
    other = replace(key, methods=("GET",))
    one = Policy("a", upload=5, requests_per_minute=9, secrets=(key, replace(key, name="L")))
    two = Policy(
        "b", upload=7, upload_per_host=3, names_per_wildcard=2, secrets=(key,), digests=True
    )
    grants = together((one, two))
    assert (grants.upload, grants.upload_per_host) == (5, 3)
    assert (grants.requests_per_minute, grants.names_per_wildcard) == (9, 2)
    assert (grants.secrets, grants.digests) == ((key,), True)
    assert together((one, replace(two, secrets=(other,)))).secrets == ()
    assert together((one, Policy("c"))).secrets == ()
