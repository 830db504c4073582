"""What all endpoints share: built once by the composition root, and handed to each."""

from collections.abc import Callable

from vivavoce.config import Config
from vivavoce.deployments import Deployment, Deployments
from vivavoce.observe import Metrics
from vivavoce.runtime.channel import Backend
from vivavoce.runtime.clock import Clock, Minter
from vivavoce.server.admission import Admission
from vivavoce.server.health import Readiness


class Service:
    """The server without its transports."""

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
        self.admission = Admission(config.max_sessions)
        self.metrics = metrics or Metrics()
        self.clock = clock or Clock()
        self.mint = Minter(self.clock)
        self.worker = worker
        self.started_at = int(self.clock.wall())

    @property
    def keys(self) -> tuple[str, ...] | None:
        """The keys that open this server; None when it is open to all."""
        return None if self.config.no_auth else self.config.api_keys

    async def drain(self, seconds: float) -> None:
        """Take nobody in any more; return when everybody is out, or was put out."""
        self.readiness.drain()
        await self.admission.drain(seconds)
