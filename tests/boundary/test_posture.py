"""What the probe's outcomes mean."""

from __future__ import annotations

import pytest

from sluicegate.boundary import posture

SOUND = {
    **dict.fromkeys(posture._REFUSED, "EPERM"),
    **posture._EXACT,
    "uid": "1001",
    "gid": "1001",
}
TAKEN = frozenset(posture._TAKEN)


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


def test_the_packet_says_what_was_found_and_nothing_else() -> None:
    assert posture.members(SOUND, TAKEN, docker=True) == {
        "raw_socket_status": "denied",
        "docker_socket_status": "masked",
        "dns_udp_status": "proxied",
        "browser_proxy_status": "forced",
    }
    assert posture.members(SOUND, TAKEN, docker=False)["docker_socket_status"] == "absent"
    assert set(posture.members({}, frozenset(), docker=True).values()) == {"unknown"}
    opened = {**SOUND, "socket raw": "open", "docker socket": "open"}
    said = posture.members(opened, TAKEN, docker=True)
    assert (said["raw_socket_status"], said["docker_socket_status"]) == ("allowed", "allowed")
