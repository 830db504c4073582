"""A configuration in, the whole server out: engines, sessions and the application around them."""

from functools import partial
from typing import Literal

from vivavoce.config import Config, ConfigError
from vivavoce.core.usage import estimate
from vivavoce.deployments import Deployment, Deployments
from vivavoce.engines.registry import EngineUnavailable
from vivavoce.observe import Metrics
from vivavoce.runtime.channel import Backend
from vivavoce.runtime.clock import Clock, Minter
from vivavoce.runtime.runner import Limits, Runners
from vivavoce.server.app import Application, application
from vivavoce.server.engine_room import EngineRoom, lacking_voice, require_voices
from vivavoce.vocabulary import counter


def assemble(config: Config) -> Application:
    """The server that *config* describes, with nothing loaded and nothing opened yet.

    ConfigError if there is not one recipe whose engines can be made, or a deployment's voice is
    known not to exist.
    """
    clock, metrics = Clock(), Metrics()
    mint = Minter(clock)
    deployments = Deployments(config)
    room = EngineRoom({each.recipe_name: each.recipe for each in deployments})
    if (mistakes := room.mistakes()) is not None:
        raise ConfigError(f"recipes: {mistakes}")
    if (lacking := room.lacking()) is not None:
        raise ConfigError(lacking)
    require_voices(room, deployments)
    count = estimate if config.vocabulary is None else counter(config.vocabulary)
    room.report_work(metrics.worked)
    limits = Limits(
        inbox_bytes=config.inbox_bytes,
        outbox_bytes=config.outbox_bytes,
        grace_seconds=config.grace_s,
    )

    backends: dict[str, Runners] = {}

    def backend_for(deployment: Deployment) -> Backend:
        name = deployment.recipe_name
        recipe = room.recipe(name)
        if (voiceless := lacking_voice(room, deployment)) is not None:
            raise EngineUnavailable(voiceless)
        if name not in backends:
            backends[name] = Runners(
                recipe,
                clock,
                mint,
                limits=limits,
                observers=(metrics,),
                voices=tuple(recipe.voices),
                count=count,
            )
        return backends[name]

    def depth(queue: Literal["inbox_depth", "outbox_depth"]) -> int:
        return sum(getattr(each, queue) for one in backends.values() for each in one.live)

    metrics.queued("inbox", partial(depth, "inbox_depth"))
    metrics.queued("outbox", partial(depth, "outbox_depth"))
    for engine, waiting in room.queues().items():
        metrics.queued(engine, waiting)
    app = application(
        config, backend_for, engines=room.open(), report=room.report, metrics=metrics, clock=clock
    )
    app.service.room = room
    return app
