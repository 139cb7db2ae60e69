"""What every driver promises: the only way the agent touches a plant."""

from collections.abc import Mapping
from typing import Protocol

from mpc_agent.values import Applied, Readings, Setpoints


class Driver(Protocol):
    """One bioreactor. Trouble with the plant is a value in what is returned, never an exception."""

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """The plant's own setpoint ranges in model units by input name; empty until known."""
        ...

    async def read(self) -> Readings:
        """One scan. When the plant cannot be heard: `connected=False` and every quality BAD."""
        ...

    async def write(self, setpoints: Setpoints) -> Applied:
        """Write setpoints while control is held, and read them back.

        Nothing is kept for later: what cannot be written now is refused, with the reason.
        """
        ...

    async def request(self, control: bool) -> None:
        """Ask the plant for remote control, or give it up. The next scan tells what came of it."""
        ...

    async def beat(self, count: int) -> None:
        """Show life. Called only when a cycle really finished."""
        ...

    async def plant_time_s(self) -> float | None:
        """The plant's clock, UTC seconds; None when there is none or it cannot be read."""
        ...

    async def inoculated_at_s(self) -> float | None:
        """When the plant says the batch was inoculated, UTC seconds; None when it does not."""
        ...

    async def close(self) -> None:
        """Give control up, so that the plant knows, and disconnect; bounded in time."""
        ...
