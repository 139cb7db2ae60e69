"""Pauses between attempts to connect."""

from mpc_agent.drivers.supervisor import Backoff


def test_pauses_double_up_to_the_longest_and_differ() -> None:
    backoff = Backoff(1.0, 8.0, seed=3)
    pauses = [backoff.next_s() for _ in range(8)]
    for pause, longest in zip(pauses, (1, 2, 4, 8, 8, 8, 8, 8), strict=True):
        assert longest / 2 <= pause <= longest
    assert len(set(pauses)) == len(pauses)
    again = Backoff(1.0, 8.0, seed=3)
    assert [again.next_s() for _ in range(8)] == pauses
    backoff.reset()
    assert backoff.next_s() <= 1.0
