from sluicegate.evidence import ids
from sluicegate.gate.actions import action_id


def test_ids_rise_in_the_order_in_which_they_were_made() -> None:
    made = [action_id() for _ in range(2000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    moments = [ids.moment_ms(one) for one in made]
    assert moments == sorted(moments)
