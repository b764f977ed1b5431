from sluicegate.boundary import rules


def test_both_families_have_a_local_default_route_with_a_source() -> None:
    lines = rules.ip_batch().splitlines()
    assert f"route add local 0.0.0.0/0 dev lo src {rules.SOURCE4}" in lines
    assert f"route add local ::/0 dev lo src {rules.SOURCE6}" in lines


def test_what_is_not_named_is_counted_logged_and_refused() -> None:
    text = rules.ruleset()
    assert "hook output priority filter; policy drop;" in text
    assert f"log group {rules.LOG_GROUP}" in text
    assert f"tproxy to :{rules.LISTENER_PORT}" in text
    assert f"meta mark {rules.GATE_MARK} goto down" in text
