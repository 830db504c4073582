"""A configuration in, the whole server out: engines, sessions and the application around them."""

from vivavoce.config import Config, ConfigError
from vivavoce.deployments import Deployment, Deployments
from vivavoce.observe import Metrics
from vivavoce.runtime.channel import Backend
from vivavoce.runtime.clock import Clock, Minter
from vivavoce.runtime.runner import Limits, Runners
from vivavoce.server.app import Application, application
from vivavoce.server.engine_room import EngineRoom

VOICES = (
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "sage",
    "shimmer",
    "verse",
    "marin",
    "cedar",
)


def assemble(config: Config) -> Application:
    """The server that *config* describes, with nothing loaded and nothing opened yet.

    ConfigError if there is not one recipe whose engines can be made.
    """
    clock, metrics = Clock(), Metrics()
    mint = Minter(clock)
    deployments = Deployments(config)
    room = EngineRoom({each.recipe_name: each.recipe for each in deployments})
    if (lacking := room.lacking()) is not None:
        raise ConfigError(lacking)
    limits = Limits(
        inbox_bytes=config.inbox_bytes,
        outbox_bytes=config.outbox_bytes,
        grace_seconds=config.grace_s,
    )

    def backend_for(deployment: Deployment) -> Backend:
        return Runners(
            room.recipe(deployment.recipe_name),
            clock,
            mint,
            limits=limits,
            observers=(metrics,),
            voices=VOICES,
        )

    return application(
        config, backend_for, engines=room.open(), report=room.report, metrics=metrics, clock=clock
    )
