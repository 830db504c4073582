"""What all endpoints share: built once by the composition root, and handed to each."""

from collections.abc import Callable
from functools import cached_property

import structlog
from anyio.abc import TaskGroup

from vivavoce.config import Config
from vivavoce.deployments import Deployment, Deployments
from vivavoce.observe import Metrics
from vivavoce.runtime.channel import Backend
from vivavoce.runtime.clock import Clock, Minter
from vivavoce.server.admission import Admission
from vivavoce.server.engine_room import EngineRoom
from vivavoce.server.health import Readiness
from vivavoce.server.live import LiveSessions
from vivavoce.server.sealing import Seal, Spent, sealing_key
from vivavoce.server.visits import Invitations, Visits
from vivavoce.store import Store, StoreError

log = structlog.get_logger(__name__)


class Service:
    """The server without its transports. *tasks* is where calls run; it is there while it serves.

    *room* has the engines, where they are ours.
    """

    tasks: TaskGroup
    room: EngineRoom | None = None

    def __init__(
        self,
        config: Config,
        backend_for: Callable[[Deployment], Backend],
        readiness: Readiness,
        *,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
        worker: int = 0,
    ) -> None:
        self.config = config
        self.backend_for = backend_for
        self.readiness = readiness
        self.deployments = Deployments(config)
        self.store = Store(config.data_dir)
        self.admission = Admission(config.max_sessions)
        self.live = LiveSessions()
        self.metrics = metrics or Metrics()
        self.clock = clock or Clock()
        self.mint = Minter(self.clock)
        self.spent = Spent(self.clock.wall)
        self.invitations = Invitations()
        self.worker = worker
        self.started_at = int(self.clock.wall())

    @property
    def keys(self) -> tuple[str, ...] | None:
        """The keys that open this server; None when it is open to all."""
        return None if self.config.no_auth else self.config.api_keys

    @cached_property
    def seal(self) -> Seal:
        """What closes and opens client secrets."""
        return Seal(self._sealing_key, self.clock.wall)

    @cached_property
    def visits(self) -> Visits:
        """What closes and opens the cookies of browsers that signed in."""
        return Visits(self._sealing_key, self.clock.wall)

    @cached_property
    def _sealing_key(self) -> bytes:
        """Made, and kept, when it is first needed."""
        made = sealing_key(self.config.data_dir)
        if made.unkept is not None:
            log.warning(
                "client secrets and sign-ins will not outlive this process", reason=made.unkept
            )
        return made.key

    def prepare(self) -> None:
        """Make what is otherwise made at need, and take in what is stored. ConfigError if it cannot
        be made; what is stored never keeps the server from its start.
        """
        self.seal  # noqa: B018 - it is made by being asked for
        try:
            self.deployments.restore(self.store.deployments())
        except StoreError as failed:
            log.warning("stored deployments cannot be read", reason=str(failed))
        for name, why in self.deployments.broken.items():
            log.warning("a stored deployment cannot be served", deployment=name, reason=why)

    async def drain(self, seconds: float) -> None:
        """Take nobody in any more; return when everybody is out, or was put out."""
        self.readiness.drain()
        await self.admission.drain(seconds)
