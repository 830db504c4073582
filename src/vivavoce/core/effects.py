"""Everything the session asks the runtime to do. Imperative; never a question."""

from msgspec import Struct

from vivavoce.core.events import ServerEvent
from vivavoce.core.items import Item
from vivavoce.core.settings import Effort, FunctionTool, Modality, ToolChoice

Origin = int  # which channel an input came by; the runtime numbers them


class GenerationRequest(Struct, frozen=True):
    """What one response is to be made of: the turns so far, tools, options."""

    instructions: str
    context: tuple[Item, ...]
    tools: tuple[FunctionTool, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool | None = None
    reasoning_effort: Effort | None = None
    max_output_tokens: int | None = None
    temperature: float = 0.8
    output_modality: Modality = "audio"
    voice: str = "alloy"
    speed: float = 1.0
    rate_hz: int = 24000
    language: str | None = None


class Tell(Struct, frozen=True):
    """Say *event* to one channel, or to every one that may see it."""

    event: ServerEvent
    to: Origin | None = None


class Listen(Struct, frozen=True):
    """Look for voice in this audio, PCM16 at *rate_hz*, the next of its *stream*.

    A new stream number starts detection afresh: what comes has nothing to do with what was heard.
    """

    stream: int
    pcm: bytes
    rate_hz: int


class Transcribe(Struct, frozen=True):
    """Open a transcription of the item to come, with the audio there is so far."""

    item_id: str
    pcm: bytes
    rate_hz: int
    language: str | None = None
    prompt: str | None = None


class TranscribeMore(Struct, frozen=True):
    """Further audio of that item, at the same rate."""

    item_id: str
    pcm: bytes


class PeekTranscript(Struct, frozen=True):
    """Say what the transcript of that item would be if this was all its audio; it may go on."""

    item_id: str
    number: int


class DropPeek(Struct, frozen=True):
    """Nobody wants to know that any more: the item goes on."""

    item_id: str


class FinishTranscript(Struct, frozen=True):
    """That was all its audio; the transcript is wanted now.

    With *peeked*, all that came after the `PeekTranscript` of that number is silence: its answer
    will do.
    """

    item_id: str
    peeked: int | None = None


class DropTranscript(Struct, frozen=True):
    """Nobody wants that transcript any more."""

    item_id: str


class JudgeTurn(Struct, frozen=True):
    """Say whether the turn sounds finished: its newest audio, PCM16 at *rate_hz*, and its words.

    A later question takes the place of an earlier one.
    """

    number: int
    pcm: bytes
    rate_hz: int
    words: str = ""
    language: str | None = None


class Recording(Struct, frozen=True):
    """The audio of one part of an item that is answered: PCM16 at *rate_hz*."""

    item_id: str
    content_index: int
    pcm: bytes
    rate_hz: int


class Generate(Struct, frozen=True):
    """Make a response. The *recordings* are there where the model hears for itself."""

    response_id: str
    request: GenerationRequest
    recordings: tuple[Recording, ...] = ()


class Prepare(Struct, frozen=True):
    """Begin a response that may never be wanted: nothing of it is reported until `Release`."""

    response_id: str
    request: GenerationRequest


class Release(Struct, frozen=True):
    """The prepared response is wanted after all."""

    response_id: str


class Discard(Struct, frozen=True):
    """The prepared response is not wanted."""

    response_id: str


class StopGenerating(Struct, frozen=True):
    """Stop making that response, at once."""

    response_id: str


class FlushPlayback(Struct, frozen=True):
    """Throw away what was not yet played of that response, where the server is who plays."""

    response_id: str


class HangUp(Struct, frozen=True):
    """End the session and close its channels with a WebSocket close code and reason."""

    code: int
    reason: str


Effect = (
    Listen
    | Transcribe
    | TranscribeMore
    | PeekTranscript
    | DropPeek
    | FinishTranscript
    | DropTranscript
    | JudgeTurn
    | Generate
    | Prepare
    | Release
    | Discard
    | StopGenerating
    | FlushPlayback
    | HangUp
)
Output = Tell | Effect
