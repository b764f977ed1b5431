"""The places where credentials lie."""

from sluicegate.boundary import stores


def test_candidates_are_below_each_home() -> None:
    found = stores.candidates(("/home/ann", "/root/"))
    assert {"/home/ann/.ssh", "/root/.netrc", "/root/.config/gh"} <= set(found)
    assert len(found) == len(set(found))


def test_documents_stay_documents() -> None:
    covered = {name.rpartition("/")[2] for name in stores.IN_HOME}
    assert {name for name in covered if name.endswith((".xml", ".json", ".Config"))} == set(
        stores.NOTHING
    )
