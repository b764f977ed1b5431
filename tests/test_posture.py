"""What the probe's outcomes mean."""

from __future__ import annotations

import pytest

from sluicegate import posture

SOUND = {
    **dict.fromkeys(posture._REFUSED, "EPERM"),
    **posture._EXACT,
    "uid": "1001",
    "gid": "1001",
}
TAKEN = frozenset(posture._TAKEN)


def test_frames_are_looked_through_where_there_is_something_to_look_for() -> None:
    """Never said to be always on: TLS that no rule opens is not read."""
    assert posture.frame_scanning(secrets=False) == "off"
    assert posture.frame_scanning(secrets=True) == "explicit_ws_proxy_path_required"


def test_a_sound_boundary_has_no_hole() -> None:
    assert posture.holes(SOUND, TAKEN) == ()
    assert set(posture.results(SOUND, TAKEN).values()) == {"passed"}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_open_or_was_not_probed_is_a_hole(name: str) -> None:
    opened = {**SOUND, name: "0" if name in {"uid", "gid"} else "open"}
    (found,) = posture.holes(opened, TAKEN)
    assert found.startswith(name)
    assert posture.results(opened, TAKEN)[name] == "failed"
    missing = {key: value for key, value in SOUND.items() if key != name}
    (found,) = posture.holes(missing, TAKEN)
    assert found.startswith(name)


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_traffic_that_did_not_arrive_went_elsewhere(name: str) -> None:
    assert posture.holes(SOUND, TAKEN - {name}) == (f"{name} did not arrive at the gate",)


ASKED = {**SOUND, **dict.fromkeys(TAKEN, "open")}


def test_the_packet_says_what_was_found_and_nothing_else() -> None:
    assert posture.members(ASKED, TAKEN, docker=True) == {
        "raw_socket_status": "denied",
        "docker_socket_status": "denied",
        "dns_udp_status": "proxied",
        "browser_proxy_status": "forced",
        "unsupported_paths": [],
        "agent_uid": 1001,
    }
    nothing = posture.members({}, frozenset(), docker=True)
    assert "agent_uid" not in nothing
    assert {value for value in nothing.values() if isinstance(value, str)} == {"unknown"}


def said(name: str, *, docker: bool = True, taken: frozenset[str] = TAKEN, **more: str) -> object:
    outcomes = {**ASKED, **{key.replace("_", " "): value for key, value in more.items()}}
    return posture.members(outcomes, taken, docker)[name]


def test_a_docker_socket_is_masked_only_where_there_is_one() -> None:
    assert said("docker_socket_status", docker_socket="ENOENT") == "masked"
    assert said("docker_socket_status", docker_socket="ENOENT", docker=False) == "absent"
    assert said("docker_socket_status", docker_socket="open", docker=False) == "allowed"
    assert said("docker_socket_status", docker_socket="EACCES", docker=False) == "denied"


def test_raw_sockets_are_denied_only_if_all_are() -> None:
    assert said("raw_socket_status", socket_raw6="open") == "allowed"


def test_questions_that_did_not_arrive_went_elsewhere() -> None:
    one = "dns 192.0.2.53 53"
    assert said("dns_udp_status", taken=TAKEN - {one}) == "allowed"
    refused = {**ASKED, **{name: "EPERM" for name in TAKEN if name.startswith("dns")}}
    assert posture.members(refused, frozenset(), docker=True)["dns_udp_status"] == "denied"
    assert (
        posture.members({**refused, one: "open"}, TAKEN, docker=True)["dns_udp_status"] == "denied"
    )


def test_one_hole_of_any_kind_and_nothing_is_forced() -> None:
    assert said("browser_proxy_status", taken=TAKEN - {"tcp 192.0.2.1 443"}) == "advisory"
    assert said("browser_proxy_status", seccomp="0") == "advisory"
    assert said("unsupported_paths", seccomp="0") == ["seccomp"]
