from sluicegate.gate.limits import MAX_HEAD_BYTES, MAX_HELLO_BYTES, Limits


def test_the_waits_of_one_connection_are_ordered() -> None:
    limits = Limits()
    assert limits.grace_s < limits.first_bytes_s <= limits.head_s
    assert limits.stagger_s < limits.connect_s < limits.idle_http_s < limits.idle_opaque_s
    assert MAX_HELLO_BYTES < MAX_HEAD_BYTES
