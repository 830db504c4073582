"""JitterBuffer: the packets of one RTP stream, put in order, with what is missing marked.

The listener is software. It counts time in audio and need not be fed evenly, so nothing is held
back to smooth the flow: whatever is next in sequence leaves at the next take, one packet, none or
several, and neither a burst nor a fast clock of the sender leaves a delay behind. Only what is
missing is waited for, `target` frames of the server's time, counted

* for a hole, from the arrival of the first packet behind it; then the hole is given up, `Lost`
  takes the place of what the timestamps say was in it, and the packets behind it leave;
* for a stream that has run dry, from when its next packet was due; then every take gives one
  `Lost`, for as long as nothing comes, so that the listener hears time pass. When the stream goes
  on, those count for the time that its timestamps have passed over. If they passed over nothing,
  because the sender had stopped its clock or the network had held everything up, the words are
  worth more than the time: they all leave.

The sequence alone tells the order and what was lost on the way, the timestamps alone how much is
missing. Packets in sequence whose timestamps lie further apart than a packet can be long have
silence between them that was never sent (DTX), which is marked as well.

`target` grows to what would have been enough for a packet that came late, and falls by a frame
where a few seconds did not need it.
"""

from msgspec import Struct

LEAST_TARGET = 2  # frames; one take without a packet is only the two clocks in step
FIRST_TARGET = 3
MOST_TARGET = 10
CALM_TAKES = 200  # after which a target that was not needed falls by a frame

# How far a sequence number may be off before it is of another stream. RFC 3550, A.1, allows 3,000
# ahead, but to begin anew loses nothing, and a stray one that is let in makes holes look old. Twice
# what may wait, so that a burst with losses in it is not taken for a new beginning.
FURTHEST_AHEAD = 256
FURTHEST_BEHIND = 100

LONGEST_PACKET = 6  # frames; Opus packets end at 120 ms
LONGEST_GAP = 25  # frames of `Lost` before one packet: more is no gap but a new clock
MOST_WAITING = 128  # packets
MOST_AT_ONCE = 20  # packets in one take


class Packet(Struct, frozen=True):
    """What matters of an RTP packet: 16 bits of sequence number, 32 of timestamp, in clock ticks."""

    sequence: int
    timestamp: int
    payload: bytes


class Lost(Struct, frozen=True):
    """20 ms are missing. *next* is the payload right behind the loss, whose FEC may hold them."""

    next: bytes | None = None


SILENT = Lost()


class JitterBuffer:
    """Packets in any order in, one stream of audio out.

    `received` counts packets, duplicates included; `lost` those that were given up, `late` those
    of them that came after all; `concealed` counts the `Lost` handed out. `target` is how many
    frames of 20 ms a missing packet is waited for.
    """

    def __init__(self, ticks_per_frame: int) -> None:
        """Of a stream with so many clock ticks in 20 ms: 960 for Opus, 160 for G.711."""
        self.received = 0
        self.late = 0
        self.lost = 0
        self.concealed = 0
        self.target = FIRST_TARGET
        self._frame = ticks_per_frame
        self._length = ticks_per_frame  # of a packet, in ticks, as far as known
        self._takes = 0
        self._needed = 0  # the longest wait that was worth it, in frames, since the last calm
        self._due = 0  # ticks until the next packet should be there; negative when it is overdue
        self._begun = False
        self._stray: Packet | None = None  # the last one came from somewhere else in the sequence
        self._waiting: dict[int, tuple[int, Packet]] = {}  # with the take that saw it first
        self._given_up: dict[int, int] = {}  # with the take that saw the first packet behind it
        self._next = 0  # sequence number, unwrapped, as are the keys above
        self._heard_at: int | None = None  # timestamp of the last packet that left
        self._after_loss = False
        self._blanks = 0  # `Lost` handed out since then
        self._rounding = 0  # ticks that were missing, but too few for a `Lost`

    @property
    def depth(self) -> int:
        """How much waits, in frames begun."""
        return -(-len(self._waiting) * self._length // self._frame)

    def put(self, packet: Packet) -> None:
        """Take in a packet as it came. A stream that starts anew is followed with its second one."""
        self.received += 1
        if not self._begun:
            self._begin(packet)
        ahead = _signed(packet.sequence - self._next, 0x8000)
        if -FURTHEST_BEHIND <= ahead <= FURTHEST_AHEAD:
            self._stray = None
            self._admit(self._next + ahead, packet)
        else:
            self._meet(packet)

    def take(self) -> list[Packet | Lost]:
        """What the listener hears next; to be called each 20 ms of the server's clock.

        Usually one packet; none before the stream begins and while something is waited for,
        several after that, or where packets are shorter than 20 ms. Never more than
        `MOST_AT_ONCE` and one gap.
        """
        if not self._begun:
            return []
        self._takes += 1
        self._due -= self._frame
        if self._takes % CALM_TAKES == 0:
            self._relax()
        taken: list[Packet | Lost] = []
        while self._waiting and len(taken) < MOST_AT_ONCE:
            if self._next not in self._waiting and not self._give_up():
                break
            _, packet = self._waiting.pop(self._next)
            taken += self._gap_before(packet)
            taken.append(packet)
            self._leave(packet)
        if not taken and self._dry():
            self._blanks += 1
            taken.append(SILENT)
            self.concealed += 1
        return taken

    def _begin(self, packet: Packet) -> None:
        self.lost += len(self._waiting)
        self._begun = True
        self._waiting.clear()
        self._given_up.clear()
        self._next = packet.sequence
        self._heard_at = None

    def _meet(self, packet: Packet) -> None:
        """Two in a row from elsewhere in the sequence are a stream that starts anew; one is not."""
        stray, self._stray = self._stray, packet
        if stray is None:
            return
        ahead = _signed(packet.sequence - stray.sequence, 0x8000)
        if ahead and abs(ahead) <= FURTHEST_BEHIND:
            self._begin(stray)
            self._stray = None
            self._admit(self._next, stray)
            self._admit(self._next + ahead, packet)

    def _admit(self, number: int, packet: Packet) -> None:
        if number < self._next:
            if self._heard_at is not None:
                self._regret(number)
                return
            self._next = number  # the first two in the wrong order
        if number not in self._waiting:
            self._waiting[number] = (self._takes + 1, packet)
            if len(self._waiting) > MOST_WAITING:
                self._drop_oldest()

    def _regret(self, number: int) -> None:
        """A packet came whose place has passed: given up too early, or a duplicate."""
        since = self._given_up.pop(number, None)
        if since is not None:
            self.late += 1
            self._want(self._takes + 1 - since)

    def _want(self, frames: int) -> None:
        """That long a wait was or would have been worth it. What no target bridges moves none."""
        if frames <= MOST_TARGET:
            self.target = max(self.target, frames)
            self._needed = max(self._needed, frames)

    def _relax(self) -> None:
        if self._needed < self.target:
            self.target = max(LEAST_TARGET, self.target - 1)
        self._needed = 0

    def _dry(self) -> bool:
        return not self._waiting and -self._due >= self.target * self._frame

    def _give_up(self) -> bool:
        """Step over the hole if it was waited for long enough."""
        since, _ = next(iter(self._waiting.values()))  # in order of arrival
        if self._takes - since < self.target:
            return False
        self._step_to(min(self._waiting), since)
        return True

    def _drop_oldest(self) -> None:
        oldest = min(self._waiting)
        self._waiting.pop(oldest)
        self._step_to(oldest + 1, self._takes + 1)

    def _step_to(self, number: int, since: int) -> None:
        self.lost += number - self._next
        for given_up in range(max(self._next, number - FURTHEST_BEHIND), number):
            self._given_up[given_up] = since
        while len(self._given_up) > FURTHEST_BEHIND:
            self._given_up.pop(next(iter(self._given_up)))
        self._next = number
        self._after_loss = True

    def _gap_before(self, packet: Packet) -> list[Lost]:
        """What is missing between the last packet that left and this one, which leaves now."""
        if self._heard_at is None:
            return []
        passed = _signed(packet.timestamp - self._heard_at, 0x8000_0000)
        if not self._after_loss and 0 < passed <= LONGEST_PACKET * self._frame:
            self._length = passed
            self._want(-self._due // self._frame)
            return []
        missing = passed - self._length - self._blanks * self._frame + self._rounding
        count = (missing + self._frame // 2) // self._frame
        self._rounding = missing - count * self._frame
        if count <= 0:
            return []
        gap = [SILENT] * min(count, LONGEST_GAP)
        if self._after_loss:
            gap[-1] = Lost(packet.payload)
        self.concealed += len(gap)
        return gap

    def _leave(self, packet: Packet) -> None:
        self._next += 1
        self._heard_at = packet.timestamp
        self._after_loss = False
        self._blanks = 0
        self._due = self._length


def _signed(difference: int, half: int) -> int:
    """A difference of numbers that wrap at twice *half*, as the nearer way round."""
    return (difference + half) % (2 * half) - half
