"""`mpc-agent demo`: plant and agent as two processes, a whole batch, and what it came to.

The simulated plant serves OPC-UA and owns time: it moves by one cycle with every heartbeat of the
agent, as fast as both can compute. A third process works out meanwhile what the recipe alone, and
perfect knowledge, would have made of the same plant.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from mpc_agent.clock import stopwatch
from mpc_agent.commands.children import Child
from mpc_agent.commands.demo_result import DemoResult, judge
from mpc_agent.commands.progress import CycleView, from_line
from mpc_agent.commands.service import check_port, stop_signals
from mpc_agent.commands.showing import Display, shown_path
from mpc_agent.commands.simulation import load_for_simulation, new_folder
from mpc_agent.config import Settings
from mpc_agent.drivers.tagmap import OpcuaSettings
from mpc_agent.errors import ExitCode, NoInputError, StoppedError, UnavailableError, UserError

DEFAULT_CONFIG = "cho_demo.yaml"
PLANT_READY_S = 60.0
TRUTH_NAME = "truth.npz"

SINGLE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""The problems are small: more threads only disturb."""


@dataclass(frozen=True)
class DemoRequest:
    """What to run.

    Attributes:
        config: YAML file of the agent; None for the one that comes with the program.
        seed: of the plant; None for the configuration's.
        hours: harvest this early; None for the configuration's.
        folder: new folder for all files; None for one named by the time.
    """

    config: Path | None = None
    seed: int | None = None
    hours: float | None = None
    folder: Path | None = None


def find_config(given: Path | None) -> Path:
    """The configuration to use.

    Raises:
        NoInputError: none was given, and none is found where it is installed.
    """
    if given is not None:
        return given
    folders = (Path("configs"), Path(__file__).parent.parent / "configs", Path("/etc/mpc-agent"))
    for folder in folders:
        if (folder / DEFAULT_CONFIG).is_file():
            return folder / DEFAULT_CONFIG
    places = ", ".join(str(folder) for folder in folders)
    raise NoInputError(f"{DEFAULT_CONFIG} is in none of {places}; name it: mpc-agent demo CONFIG")


def run_demo(request: DemoRequest, display: Display) -> DemoResult:
    """Run the demo to its end.

    Raises:
        UserError: something is wrong with what was asked for, a process failed, or it was
            interrupted.
    """
    config = find_config(request.config)
    settings, plant = load_for_simulation(config, request.hours)
    if not isinstance(settings.driver, OpcuaSettings):
        raise UserError(f"{config}: the demo needs driver.kind opcua", ExitCode.CONFIG)
    seed = plant.seed if request.seed is None else request.seed
    folder = new_folder(request.folder, settings, "demo").resolve()
    demo = _Demo(config, settings, seed, folder, display)
    return asyncio.run(demo.run())


@dataclass
class _Demo:
    """One demo under way."""

    config: Path
    settings: Settings
    seed: int
    folder: Path
    display: Display
    views: list[CycleView] = field(default_factory=list)

    async def run(self) -> DemoResult:
        """Everything, in order; children are stopped however it ends."""
        watch, stop = stopwatch(), asyncio.Event()
        with stop_signals(stop):
            work = asyncio.create_task(self._work())
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopping.cancel()
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
        if stop.is_set() and (work.cancelled() or work.exception() is not None):
            raise StoppedError(self._interrupted())
        yardsticks = work.result()
        return judge(self.settings, self.folder, self.views, yardsticks, watch.elapsed_s)

    async def _work(self) -> dict[str, float | None]:
        """Plant, agent and yardsticks; returns the yardsticks."""
        async with AsyncExitStack() as stack:
            yardsticks = await self._start(stack, "yardsticks", self._arguments("yardsticks"))
            plant = await self._start(stack, "plant", self._plant_arguments())
            endpoint = await self._ready(plant)
            self.display.say(f"plant   serving at {endpoint}, seed {self.seed}")
            agent = await self._start(
                stack,
                "agent",
                ["run", str(self.config), "--progress-json", "--log", "json"],
                self._agent_environment(endpoint),
            )
            self.display.say("agent   compiling filter and optimisers")
            await self._follow(agent, plant)
            await agent.stop()
            await plant.stop()
            self.display.say("done    waiting for recipe and optimum of the same plant")
            return await self._yardsticks(yardsticks)

    async def _start(
        self,
        stack: AsyncExitStack,
        name: str,
        arguments: Sequence[str],
        environment: dict[str, str] | None = None,
    ) -> Child:
        child = await Child.start(
            name,
            arguments,
            self.folder / f"{name}.log",
            {**SINGLE_THREAD, **self._harvest(), **(environment or {})},
        )
        stack.push_async_callback(child.stop)
        return child

    def _harvest(self) -> dict[str, str]:
        """The harvest that was asked for, for every child."""
        return {"MPC_AGENT__BATCH__HARVEST_H": repr(self.settings.document.batch.harvest_h)}

    def _arguments(self, verb: str) -> list[str]:
        return [verb, str(self.config), "--seed", str(self.seed), "--json"]

    def _plant_arguments(self) -> list[str]:
        endpoint, truth = "opc.tcp://127.0.0.1:0/sim-plant/", str(self.folder / TRUTH_NAME)
        files = ["--endpoint", endpoint, "--truth", truth]
        return [*self._arguments("sim-plant"), *files, "--until-stdin-closes"]

    def _agent_environment(self, endpoint: str) -> dict[str, str]:
        overrides = {
            "MPC_AGENT__DRIVER__ENDPOINT": endpoint,
            "MPC_AGENT__BATCH__FOLDER": str(self.folder),
        }
        web = self.settings.document.web
        try:
            check_port(web.host, web.port)
        except UnavailableError:
            overrides["MPC_AGENT__WEB__PORT"] = "0"
        return overrides

    async def _ready(self, plant: Child) -> str:
        """Where the plant serves, once it does."""
        content = b""
        try:
            async with asyncio.timeout(PLANT_READY_S):
                async for line in plant.lines():
                    content += line
                    try:
                        return str(json.loads(content)["endpoint"])
                    except ValueError:
                        continue
        except TimeoutError:
            pass
        raise UnavailableError(f"the plant did not start.\n{self._words(plant)}")

    async def _follow(self, agent: Child, plant: Child) -> None:
        """Show every cycle until the agent ends."""
        died = asyncio.create_task(plant.process.wait())
        reading = asyncio.create_task(self._read(agent))
        try:
            await asyncio.wait({died, reading}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                raise UnavailableError(f"the plant ended too early.\n{self._words(plant)}")
            reading.result()
        finally:
            died.cancel()
            reading.cancel()
        if await agent.process.wait() != 0:
            code = agent.process.returncode
            raise UserError(
                f"the agent failed with exit code {code}.\n{self._words(agent)}", _code(code)
            )

    async def _read(self, agent: Child) -> None:
        async for line in agent.lines():
            view = from_line(line)
            if view is not None:
                self.views.append(view)
                self.display.show(view)

    async def _yardsticks(self, child: Child) -> dict[str, float | None]:
        content = await child.output()
        if child.process.returncode != 0:
            raise UserError(f"recipe and optimum failed.\n{self._words(child)}")
        found: dict[str, float | None] = json.loads(content)
        return found

    def _words(self, child: Child) -> str:
        return f"The last lines of {child.log}:\n{child.last_words()}"

    def _interrupted(self) -> str:
        day = (
            f" at {self.views[-1].when.replace('  ', ' ')}"
            if self.views
            else " before the first cycle"
        )
        told = f"stopped{day}; plant and agent were stopped in order."
        folder = shown_path(self.folder)
        if not self.views:
            return f"{told} Logs are in {folder}"
        return f"{told} The record is complete up to there: mpc-agent report {folder}"


def _code(code: int | None) -> ExitCode:
    """A child's exit code as our own, where it is one of ours."""
    return ExitCode(code) if code in set(ExitCode) else ExitCode.UNEXPECTED
