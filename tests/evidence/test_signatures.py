import pytest

from sluicegate.evidence import signatures


@pytest.mark.parametrize("why", signatures.WHY)
def test_a_reason_names_its_secret(why: str) -> None:
    said = signatures.reason("AWS_SECRET_ACCESS_KEY", why)
    assert said.isascii()
    assert said.isprintable()
    assert signatures.named(said) == "AWS_SECRET_ACCESS_KEY"


@pytest.mark.parametrize(
    "said",
    [
        *("", "the request is not signed anew with K", "the request is not signed anew with K: so"),
        signatures.reason("K", "other") + ".",
        signatures.reason("A K", "other"),
        signatures.reason("K\n", "other"),
    ],
)
def test_other_texts_are_none(said: str) -> None:
    assert signatures.named(said) is None
