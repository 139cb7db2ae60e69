"""Attempts to connect: the pauses between them, and the words for why they failed."""

import pytest
from asyncua import ua

from mpc_agent.drivers.link import LinkLostError
from mpc_agent.drivers.opcua_session import Session
from mpc_agent.drivers.supervisor import Backoff, Supervisor


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


@pytest.mark.parametrize(
    ("error", "hinted"),
    [
        (TimeoutError(), True),
        (ua.UaStatusCodeError(ua.StatusCodes.BadSecurityChecksFailed), True),
        (ua.UaStatusCodeError(ua.StatusCodes.BadTcpInternalError), True),
        (ua.UaStatusCodeError(ua.StatusCodes.BadCertificateUntrusted), True),
        (ua.UaStatusCodeError(ua.StatusCodes.BadUserAccessDenied), False),
        (ConnectionRefusedError(111, "Connection refused"), False),
    ],
)
async def test_certificates_are_suspected_where_they_may_be_the_cause(
    error: Exception, hinted: bool
) -> None:
    async def connect() -> Session:
        raise error

    async def find_nodes(_session: Session) -> None:
        raise AssertionError("there is no session")

    supervisor = Supervisor(
        "the plant", connect, find_nodes, 1.0, Backoff(1.0, 1.0), hint="look at the certificates"
    )
    with pytest.raises(LinkLostError) as lost:
        await supervisor.session()
    await supervisor.close()
    assert ("look at the certificates" in str(lost.value)) is hinted
