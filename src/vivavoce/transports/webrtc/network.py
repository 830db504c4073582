"""The network of all calls: one UDP port for each address of this machine.

A port is opened when the first call needs it and stays, so that a firewall or a container needs to
let a handful of ports through, however many calls there are.
"""

import ipaddress
from collections.abc import Callable, Iterable, Sequence

import anyio

from vivavoce.transports.network_plan import NetworkPlan
from vivavoce.transports.webrtc.ice import CallGatherer
from vivavoce.transports.webrtc.ports import Port, PortTaken, Tally, bind

LOOPBACK = "127.0.0.1"


class NetworkFault(Exception):  # noqa: N818 - named by what the operator has to know
    """No call can be made: why, and what would help."""


def usable(addresses: Sequence[str]) -> list[str]:
    """Those at which others reach this machine; its loopback address when there is none."""
    found = [each for each in dict.fromkeys(addresses) if _reachable(each)]
    return found or [LOOPBACK]


def _reachable(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return not (address.is_loopback or (address.version == 6 and address.is_link_local))


class Network:
    """Where the media of all calls comes and goes; *among* chooses from the machine's addresses."""

    def __init__(
        self, plan: NetworkPlan, among: Callable[[Sequence[str]], Sequence[str]] = usable
    ) -> None:
        self._plan = plan
        self._among = among
        self._tally = Tally()
        self._ports: dict[str, Port] = {}
        self._opening = anyio.Lock()
        self._closed = False

    def gatherer(self) -> CallGatherer:
        """The local end of one new call, on the shared ports. Its `gather` may raise NetworkFault."""
        return CallGatherer(self._plan, self.ports)

    async def ports(self, addresses: Sequence[str]) -> list[Port]:
        """A port for each of these addresses that serves, or NetworkFault."""
        async with self._opening:
            hosts = self._among(addresses)
            self._retire(hosts)
            trouble: dict[str, Exception] = {}
            for host in hosts:
                if self._closed:
                    raise NetworkFault("calls are not taken any more: the server is stopping")
                try:
                    await self._require(host)
                except (OSError, PortTaken) as error:
                    trouble[host] = error
        ports = [self._ports[host] for host in hosts if host in self._ports]
        if not ports:
            raise self._fault(trouble)
        return ports

    async def close(self) -> None:
        """Close every port, and with it every call's part of it; no call is taken any more."""
        self._closed = True
        async with self._opening:
            ports = list(self._ports.values())
            self._retire(())
        for port in ports:
            await port.wait_gone()

    @property
    def lanes(self) -> int:
        """How many shares of ports calls have."""
        return sum(port.lanes for port in self._ports.values())

    @property
    def strays(self) -> int:
        """How many datagrams came that belong to no call."""
        return self._tally.strays

    @property
    def unsent(self) -> int:
        """How many datagrams could not be sent because the system took no more."""
        return self._tally.unsent

    async def _require(self, host: str) -> None:
        """Have a port there, of the same number as elsewhere if that is free."""
        if host in self._ports:
            return
        elsewhere = [port.address[1] for port in self._ports.values()]
        sock = bind(host, [*dict.fromkeys(elsewhere), *self._allowed()])
        self._ports[host] = await Port.opened(sock, self._tally)

    def _allowed(self) -> Iterable[int]:
        if self._plan.ports is None:
            return (0,)
        first, last = self._plan.ports
        return range(first, last + 1)

    def _retire(self, hosts: Sequence[str]) -> None:
        """Close ports at addresses that are gone, once no call is left there."""
        for host, port in list(self._ports.items()):
            if port.closed or self._closed or (host not in hosts and not port.lanes):
                port.close()
                del self._ports[host]

    def _fault(self, trouble: dict[str, Exception]) -> NetworkFault:
        where = ", ".join(trouble)
        if any(isinstance(error, PortTaken) for error in trouble.values()):
            first, last = self._plan.ports or (1, 65535)
            return NetworkFault(
                f"no UDP port from {first} to {last} is free on {where}; free one, or allow others "
                "by --rtc-ports"
            )
        why = ", ".join(dict.fromkeys(str(error) for error in trouble.values()))
        return NetworkFault(
            f"no UDP port can be opened on {where}: {why}; allow others by --rtc-ports"
        )
