"""Conversations to record: one for each section of the protocol's sequences, and their variants.

A script is what comes in: frames of the client spelt as its dialect has them, signals of the
engines, and the second that it gets to be. *order* is what the protocol says of it: the types of
all server frames, one a line. There as in the protocol, `GA | preview` are the names of one event
in the two dialects, and (GA) and (P) mark what only one of them says.
"""

import struct
from collections.abc import Iterator, Sequence

import pybase64
from golden_recordings import Input, Setting
from msgspec import Struct

from vivavoce.core.signals import (
    AudioProduced,
    CallProduced,
    GenerationFailed,
    GenerationFinished,
    Heard,
    Played,
    TextProduced,
    TranscriptFailed,
    TranscriptFinished,
    TranscriptGrew,
    TurnJudged,
)
from vivavoce.dialects.api import Dialect

BOTH: tuple[Dialect, ...] = ("ga", "preview")


class By(Struct, frozen=True):
    """What differs between the dialects; None is nothing."""

    ga: Input | None = None
    preview: Input | None = None


class Scenario(Struct, frozen=True, kw_only=True):
    """A conversation in each of its dialects; the rest is as in `Setting`."""

    name: str
    script: tuple[Input | By, ...]
    order: str
    dialects: tuple[Dialect, ...] = BOTH
    webrtc: bool = False
    azure: bool = False
    transcription: bool = False
    announces: bool = False
    reads: bool = True
    judges: bool = False

    def setting(self, dialect: Dialect) -> Setting:
        """What kind of session it is in that dialect."""
        return Setting(
            self.name,
            dialect,
            azure=self.azure,
            transport="webrtc" if self.webrtc else "websocket",
            transcription=self.transcription,
            announces=self.announces,
            reads=self.reads,
            judges=self.judges,
        )

    def inputs(self, dialect: Dialect) -> tuple[Input, ...]:
        """What comes in."""
        chosen = (getattr(step, dialect) if isinstance(step, By) else step for step in self.script)
        return tuple(step for step in chosen if step is not None)

    def types(self, dialect: Dialect) -> list[str]:
        """What the protocol has the server say."""
        return list(_types(self.order.splitlines(), dialect))


def _types(lines: Sequence[str], dialect: Dialect) -> Iterator[str]:
    for line in filter(None, map(str.strip, lines)):
        event, _, only = line.partition(" (")
        if only and {"GA)": "ga", "P)": "preview"}[only] != dialect:
            continue
        ga, _, preview = event.partition(" | ")
        yield preview if preview and dialect == "preview" else ga


# Frames of the client.


def pcm(samples: int, loudness: int = 0) -> bytes:
    """A triangle of 500 Hz at 24 kHz, or silence."""
    wave = (abs(index % 48 - 24) - 12 for index in range(samples))
    return struct.pack(f"<{samples}h", *(each * loudness for each in wave))


def append(samples: int, loudness: int = 0) -> str:
    """Audio for the input buffer."""
    audio = pybase64.b64encode_as_string(pcm(samples, loudness))
    return f'{{"type":"input_audio_buffer.append","audio":"{audio}"}}'


FRAME = 768  # samples of 32 ms, as the detector judges them
LOUD = 500

HELLO = (
    '{"type":"conversation.item.create","item":{"type":"message","role":"user",'
    '"content":[{"type":"input_text","text":"Hello!"}]}}'
)
RESPOND = '{"type":"response.create"}'
RESPOND_IN_WRITING = By(
    ga='{"type":"response.create","response":{"output_modalities":["text"]}}',
    preview='{"type":"response.create","response":{"modalities":["text"]}}',
)
CANCEL = '{"type":"response.cancel","event_id":"stop_it"}'
COMMIT = '{"type":"input_audio_buffer.commit"}'
TRUNCATE = (
    '{"type":"conversation.item.truncate","item_id":"item_2","content_index":0,"audio_end_ms":10}'
)
BY_HAND = By(
    ga='{"type":"session.update","session":{"type":"realtime","audio":{"input":{'
    '"turn_detection":null}}}}',
    preview='{"type":"session.update","session":{"turn_detection":null}}',
)


def detection(settings: str) -> By:
    """A session whose turns end after two silent frames, with more settings of its detection."""
    vad = f'{{"type":"server_vad","prefix_padding_ms":32,"silence_duration_ms":64{settings}}}'
    return By(
        ga='{"type":"session.update","session":{"type":"realtime","audio":{"input":{'
        f'"transcription":{{"model":"whisper-1"}},"turn_detection":{vad}}}}}}}}}',
        preview='{"type":"session.update","session":{"input_audio_transcription":{'
        f'"model":"whisper-1"}},"turn_detection":{vad}}}}}',
    )


LISTENING = detection("")

# What the detector hears of a turn: its beginning, and its end.
SPEAKS = (append(2 * FRAME, LOUD), Heard(0, (0.9, 0.9)))
FALLS_SILENT = (append(2 * FRAME), Heard(0, (0.05, 0.05)))


# What the engines make of responses.


def writes(response: str) -> tuple[Input, ...]:
    """A written answer, or the words of a spoken one."""
    return (
        TextProduced(response, "Good"),
        TextProduced(response, " day"),
        TextProduced(response, "!"),
    )


def speaks(response: str) -> tuple[Input, ...]:
    """A spoken answer of 20 ms, sound after words."""
    return (
        *writes(response),
        AudioProduced(response, pcm(240, LOUD)),
        AudioProduced(response, pcm(240, LOUD)),
    )


def told(*blocks: str) -> str:
    """Blocks of lines, one after the other."""
    return "\n".join(blocks)


# Orders, by the protocol's sequences.

CREATED = "session.created"
UPDATED = "session.updated"
ERROR = "error"
TRANSCRIPTION_BEGINS = """
    session.created | transcription_session.created
    session.updated | transcription_session.updated
"""

ITEM = """
    conversation.item.added (GA)
    conversation.item.done (GA)
    conversation.item.created (P)
"""
TRUNCATED = "conversation.item.truncated"
RETRIEVED = "conversation.item.retrieved"
DELETED = "conversation.item.deleted"

STARTED = "input_audio_buffer.speech_started"
COMMITTED = told("input_audio_buffer.committed", ITEM)
STOPPED = told("input_audio_buffer.speech_stopped", COMMITTED)
TIMEOUT = told("input_audio_buffer.timeout_triggered", COMMITTED)
TRANSCRIBING = "conversation.item.input_audio_transcription.delta"
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
NOT_TRANSCRIBED = "conversation.item.input_audio_transcription.failed"

# Where the limits stand is different on Azure: see the scenario there.
BEGINS = """
    response.created
    rate_limits.updated (P)
"""
ENDS = """
    response.done
    rate_limits.updated (GA)
"""
OUTPUT_ITEM = """
    response.output_item.added
    conversation.item.added | conversation.item.created
"""
OUTPUT_ITEM_ENDS = """
    conversation.item.done (GA)
    response.output_item.done
"""
MESSAGE_BEGINS = told(OUTPUT_ITEM, "response.content_part.added")

TEXT_DELTA = "response.output_text.delta | response.text.delta"
TEXT_DELTAS = told(TEXT_DELTA, TEXT_DELTA, TEXT_DELTA)
TEXT_PART_ENDS = """
    response.output_text.done | response.text.done
    response.content_part.done
"""
TEXT_ENDS = told(TEXT_PART_ENDS, OUTPUT_ITEM_ENDS)
WRITTEN = told(BEGINS, MESSAGE_BEGINS, TEXT_DELTAS, TEXT_ENDS, ENDS)

TRANSCRIPT_DELTA = "response.output_audio_transcript.delta | response.audio_transcript.delta"
TRANSCRIPT_DELTAS = told(TRANSCRIPT_DELTA, TRANSCRIPT_DELTA, TRANSCRIPT_DELTA)
AUDIO_DELTA = "response.output_audio.delta | response.audio.delta"
AUDIO_DELTAS = told(AUDIO_DELTA, AUDIO_DELTA)
SPEECH_PART_ENDS = """
    response.output_audio.done | response.audio.done
    response.output_audio_transcript.done | response.audio_transcript.done
    response.content_part.done
"""
SPEECH_ENDS = told(SPEECH_PART_ENDS, OUTPUT_ITEM_ENDS)
SPEAKING = told(MESSAGE_BEGINS, TRANSCRIPT_DELTAS, AUDIO_DELTAS)
SPOKEN = told(BEGINS, SPEAKING, SPEECH_ENDS, ENDS)

# Over WebRTC audio has a track of its own, and the server tells of its playing.
PLAYING = told(MESSAGE_BEGINS, TRANSCRIPT_DELTAS, "output_audio_buffer.started")
PLAYED = told(BEGINS, PLAYING, SPEECH_ENDS, ENDS)
HEARD_OUT = "output_audio_buffer.stopped"
SILENCED = told("output_audio_buffer.cleared", TRUNCATED)

CALL_DELTA = "response.function_call_arguments.delta"
CALL_BEGINS = told(OUTPUT_ITEM, CALL_DELTA)
CALL_ENDS = told("response.function_call_arguments.done", OUTPUT_ITEM_ENDS)

SCENARIOS = (
    # 1. Connect
    Scenario(
        name="01-connect",
        script=(
            By(
                ga='{"type":"session.update","session":{"type":"realtime","instructions":"Be brief.",'
                '"output_modalities":["audio"],"audio":{"output":{"voice":"marin","speed":1.1}},'
                '"tools":[{"type":"function","name":"get_time","description":"Tells the time.",'
                '"parameters":{"type":"object","properties":{}}}],"tool_choice":"auto",'
                '"max_output_tokens":2000}}',
                preview='{"type":"session.update","session":{"instructions":"Be brief.",'
                '"modalities":["audio","text"],"voice":"sage","speed":1.1,"temperature":0.7,'
                '"tools":[{"type":"function","name":"get_time","description":"Tells the time.",'
                '"parameters":{"type":"object","properties":{}}}],"tool_choice":"auto",'
                '"max_response_output_tokens":2000}}',
            ),
        ),
        order=told(CREATED, UPDATED),
    ),
    Scenario(
        name="01-connect-announcing-the-conversation",
        dialects=("preview",),
        announces=True,
        script=('{"type":"session.update","session":{}}',),
        order=told(CREATED, "conversation.created", UPDATED),
    ),
    # 2. Text turn
    Scenario(
        name="02-text-turn",
        script=(
            HELLO,
            RESPOND_IN_WRITING,
            0.25,
            *writes("resp_1"),
            0.5,
            GenerationFinished("resp_1"),
        ),
        order=told(CREATED, ITEM, WRITTEN),
    ),
    Scenario(
        name="02-text-turn-on-azure",
        azure=True,
        script=(
            HELLO,
            RESPOND_IN_WRITING,
            *writes("resp_1"),
            GenerationFinished("resp_1"),
        ),
        # There the limits follow the end in either dialect.
        order=told(
            CREATED,
            ITEM,
            "response.created",
            MESSAGE_BEGINS,
            TEXT_DELTAS,
            TEXT_ENDS,
            "response.done",
            "rate_limits.updated",
        ),
    ),
    # 3. Audio response
    Scenario(
        name="03-audio-response",
        script=(
            HELLO,
            RESPOND,
            *writes("resp_1"),
            0.25,
            AudioProduced("resp_1", pcm(240, LOUD)),
            TextProduced("resp_1", " How are you?"),
            0.5,
            AudioProduced("resp_1", pcm(120, LOUD)),
            AudioProduced("resp_1", pcm(60)),
            GenerationFinished("resp_1"),
        ),
        order=told(
            CREATED,
            ITEM,
            BEGINS,
            MESSAGE_BEGINS,
            TRANSCRIPT_DELTAS,
            AUDIO_DELTA,
            TRANSCRIPT_DELTA,
            AUDIO_DELTA,
            AUDIO_DELTA,
            SPEECH_ENDS,
            ENDS,
        ),
    ),
    Scenario(
        name="03-audio-response-over-webrtc",
        webrtc=True,
        script=(
            HELLO,
            RESPOND,
            *writes("resp_1"),
            0.25,
            AudioProduced("resp_1", pcm(240, LOUD)),
            Played("resp_1", 120),
            TextProduced("resp_1", " How are you?"),
            AudioProduced("resp_1", pcm(240, LOUD)),
            GenerationFinished("resp_1"),
            Played("resp_1", 240),
            0.375,
            Played("resp_1", 480, finished=True),
            # Nothing plays any more: this is not answered.
            '{"type":"output_audio_buffer.clear"}',
        ),
        order=told(CREATED, ITEM, BEGINS, PLAYING, TRANSCRIPT_DELTA, SPEECH_ENDS, ENDS, HEARD_OUT),
    ),
    # 4. Spoken turn with server VAD
    Scenario(
        name="04-spoken-turn",
        script=(
            LISTENING,
            append(2 * FRAME),
            Heard(0, (0.05, 0.05)),
            0.0625,
            *SPEAKS,
            0.125,
            *FALLS_SILENT,
            TranscriptGrew("item_1", "Good "),
            TranscriptGrew("item_1", "day."),
            TranscriptFinished("item_1", "Good day."),
            0.25,
            *speaks("resp_1"),
            GenerationFinished("resp_1"),
        ),
        order=told(
            CREATED,
            UPDATED,
            STARTED,
            STOPPED,
            BEGINS,
            TRANSCRIBING,
            TRANSCRIBING,
            TRANSCRIBED,
            SPEAKING,
            SPEECH_ENDS,
            ENDS,
        ),
    ),
    Scenario(
        name="04-spoken-turn-whose-words-are-early",
        script=(
            detection(',"create_response":false'),
            *SPEAKS,
            TranscriptGrew("item_1", "Good "),
            *FALLS_SILENT,
            TranscriptGrew("item_1", "day."),
            TranscriptFinished("item_1", "Good day."),
        ),
        # No word of an item comes before the item.
        order=told(CREATED, UPDATED, STARTED, STOPPED, TRANSCRIBING, TRANSCRIBING, TRANSCRIBED),
    ),
    Scenario(
        name="04-spoken-turn-to-a-speech-model",
        reads=False,
        script=(
            LISTENING,
            *SPEAKS,
            *FALLS_SILENT,
            *writes("resp_1"),
            TranscriptGrew("item_1", "Good day."),
            AudioProduced("resp_1", pcm(240, LOUD)),
            AudioProduced("resp_1", pcm(240, LOUD)),
            GenerationFinished("resp_1"),
            TranscriptFinished("item_1", "Good day."),
        ),
        order=told(
            CREATED,
            UPDATED,
            STARTED,
            STOPPED,
            BEGINS,
            MESSAGE_BEGINS,
            TRANSCRIPT_DELTAS,
            TRANSCRIBING,
            AUDIO_DELTAS,
            SPEECH_ENDS,
            ENDS,
            TRANSCRIBED,
        ),
    ),
    Scenario(
        name="04-spoken-turn-by-meaning",
        judges=True,
        script=(
            By(
                ga='{"type":"session.update","session":{"type":"realtime","audio":{"input":{'
                '"turn_detection":{"type":"semantic_vad","eagerness":"low"}}}}}',
                preview='{"type":"session.update","session":{"turn_detection":{'
                '"type":"semantic_vad","eagerness":"low"}}}',
            ),
            *SPEAKS,
            append(5 * FRAME),
            Heard(0, (0.05, 0.05, 0.05, 0.05, 0.05)),
            0.25,
            TurnJudged(1, 0.25),
            TranscriptGrew("item_1", "Good day."),
            TurnJudged(2, 1.0),
            TranscriptFinished("item_1", "Good day."),
            *speaks("resp_1"),
            GenerationFinished("resp_1"),
        ),
        order=told(CREATED, UPDATED, STARTED, STOPPED, BEGINS, SPEAKING, SPEECH_ENDS, ENDS),
    ),
    Scenario(
        name="04-spoken-turn-answered-on-request",
        script=(
            detection(',"create_response":false'),
            *SPEAKS,
            *FALLS_SILENT,
            TranscriptFinished("item_1", "Good day."),
            0.25,
            RESPOND,
            *speaks("resp_1"),
            GenerationFinished("resp_1"),
        ),
        order=told(CREATED, UPDATED, STARTED, STOPPED, TRANSCRIBED, SPOKEN),
    ),
    Scenario(
        name="04-spoken-turn-while-a-response-runs",
        script=(
            detection(',"interrupt_response":false'),
            HELLO,
            RESPOND,
            *SPEAKS,
            *speaks("resp_1"),
            *FALLS_SILENT,
            TranscriptFinished("item_2", "Good day."),
            GenerationFinished("resp_1"),
        ),
        order=told(
            CREATED,
            UPDATED,
            ITEM,
            BEGINS,
            STARTED,
            SPEAKING,
            STOPPED,
            TRANSCRIBED,
            SPEECH_ENDS,
            ENDS,
        ),
    ),
    # 5. Spoken turn by hand
    Scenario(
        name="05-turn-by-hand",
        script=(
            BY_HAND,
            append(1200, LOUD),
            append(1200, LOUD),
            COMMIT,
            RESPOND,
            TranscriptFinished("item_1", "Good day."),
            0.25,
            *speaks("resp_1"),
            GenerationFinished("resp_1"),
        ),
        order=told(CREATED, UPDATED, COMMITTED, SPOKEN),
    ),
    Scenario(
        name="05-turn-by-hand-too-short",
        script=(
            BY_HAND,
            append(240, LOUD),
            '{"type":"input_audio_buffer.commit","event_id":"too_soon"}',
            '{"type":"input_audio_buffer.clear"}',
        ),
        order=told(CREATED, UPDATED, ERROR, "input_audio_buffer.cleared"),
    ),
    Scenario(
        name="05-turn-by-hand-in-one-go",
        dialects=("preview",),
        script=(
            BY_HAND,
            append(2400, LOUD),
            # As old examples have it, with a comma too many.
            '{"event_id":null,"type":"response.create","response":{"commit":true,}}',
            TranscriptFinished("item_1", "Good day."),
            *speaks("resp_1"),
            GenerationFinished("resp_1"),
            '{"event_id":null,"type":"response.create","response":{"commit":true,}}',
            *speaks("resp_2"),
            GenerationFinished("resp_2"),
        ),
        order=told(CREATED, UPDATED, COMMITTED, SPOKEN, SPOKEN),
    ),
    # 6. Function call
    Scenario(
        name="06-function-call",
        script=(
            HELLO,
            '{"type":"response.create","response":{"tools":[{"type":"function","name":"get_time"}]}}',
            CallProduced("resp_1", 0, "get_time", '{"city":'),
            CallProduced("resp_1", 0, "get_time", '"Oslo"}', final=True),
            GenerationFinished("resp_1"),
            (
                '{"type":"conversation.item.create","item":{"type":"function_call_output",'
                '"call_id":"call_1","output":"{\\"time\\":\\"noon\\"}"}}'
            ),
            RESPOND,
            *speaks("resp_2"),
            GenerationFinished("resp_2"),
        ),
        order=told(CREATED, ITEM, BEGINS, CALL_BEGINS, CALL_DELTA, CALL_ENDS, ENDS, ITEM, SPOKEN),
    ),
    Scenario(
        name="06-function-calls-beside-a-message",
        script=(
            HELLO,
            RESPOND,
            TextProduced("resp_1", "One moment."),
            CallProduced("resp_1", 0, "get_time", '{"city":'),
            CallProduced("resp_1", 1, "get_date", "{}", final=True),
            # Sent before the response is over, which is early but allowed.
            (
                '{"type":"conversation.item.create","item":{"type":"function_call_output",'
                '"call_id":"call_2","output":"Monday"}}'
            ),
            AudioProduced("resp_1", pcm(240, LOUD)),
            CallProduced("resp_1", 0, "get_time", '"Oslo"}', final=True),
            GenerationFinished("resp_1"),
        ),
        order=told(
            CREATED,
            ITEM,
            BEGINS,
            MESSAGE_BEGINS,
            TRANSCRIPT_DELTA,
            CALL_BEGINS,
            CALL_BEGINS,
            CALL_ENDS,
            ITEM,
            AUDIO_DELTA,
            CALL_DELTA,
            CALL_ENDS,
            SPEECH_ENDS,
            ENDS,
        ),
    ),
    # 7. Out-of-band response
    Scenario(
        name="07-out-of-band",
        script=(
            HELLO,
            RESPOND,
            By(
                ga='{"type":"response.create","response":{"conversation":"none",'
                '"metadata":{"topic":"mood"},"output_modalities":["text"],"input":['
                '{"type":"item_reference","id":"item_1"}]}}',
                preview='{"type":"response.create","response":{"conversation":"none",'
                '"metadata":{"topic":"mood"},"modalities":["text"],"input":['
                '{"type":"item_reference","id":"item_1"}]}}',
            ),
            *writes("resp_1"),
            TextProduced("resp_2", "Cheerful."),
            AudioProduced("resp_1", pcm(240, LOUD)),
            GenerationFinished("resp_2"),
            AudioProduced("resp_1", pcm(240, LOUD)),
            GenerationFinished("resp_1"),
        ),
        order=told(
            CREATED,
            ITEM,
            BEGINS,
            BEGINS,
            MESSAGE_BEGINS,
            TRANSCRIPT_DELTAS,
            "response.output_item.added",
            "response.content_part.added",
            TEXT_DELTA,
            AUDIO_DELTA,
            TEXT_PART_ENDS,
            "response.output_item.done",
            ENDS,
            AUDIO_DELTA,
            SPEECH_ENDS,
            ENDS,
        ),
    ),
    # 8. Interruption by speech
    Scenario(
        name="08-interruption",
        script=(
            LISTENING,
            HELLO,
            RESPOND,
            *speaks("resp_1"),
            0.25,
            *SPEAKS,
            # Too late: nobody wants it any more.
            AudioProduced("resp_1", pcm(240, LOUD)),
            TRUNCATE,
            *FALLS_SILENT,
            TranscriptFinished("item_3", "Wait."),
            *speaks("resp_2"),
            GenerationFinished("resp_2"),
        ),
        order=told(
            CREATED,
            UPDATED,
            ITEM,
            BEGINS,
            SPEAKING,
            STARTED,
            SPEECH_ENDS,
            ENDS,
            TRUNCATED,
            STOPPED,
            BEGINS,
            TRANSCRIBED,
            SPEAKING,
            SPEECH_ENDS,
            ENDS,
        ),
    ),
    Scenario(
        name="08-interruption-of-the-playing-client",
        script=(
            LISTENING,
            HELLO,
            RESPOND,
            *speaks("resp_1"),
            GenerationFinished("resp_1"),
            *SPEAKS,
            TRUNCATE,
            *FALLS_SILENT,
            TranscriptFinished("item_3", "Wait."),
            *speaks("resp_2"),
            GenerationFinished("resp_2"),
        ),
        order=told(
            CREATED,
            UPDATED,
            ITEM,
            SPOKEN,
            STARTED,
            TRUNCATED,
            STOPPED,
            BEGINS,
            TRANSCRIBED,
            SPEAKING,
            SPEECH_ENDS,
            ENDS,
        ),
    ),
    Scenario(
        name="08-interruption-over-webrtc",
        webrtc=True,
        script=(
            LISTENING,
            HELLO,
            RESPOND,
            *speaks("resp_1"),
            Played("resp_1", 60),
            GenerationFinished("resp_1"),
            Played("resp_1", 120),
            *SPEAKS,
            *FALLS_SILENT,
            TranscriptFinished("item_3", "Wait."),
            *speaks("resp_2"),
            Played("resp_2", 120),
            GenerationFinished("resp_2"),
            Played("resp_2", 480, finished=True),
        ),
        order=told(
            CREATED,
            UPDATED,
            ITEM,
            PLAYED,
            STARTED,
            SILENCED,
            STOPPED,
            BEGINS,
            TRANSCRIBED,
            PLAYING,
            SPEECH_ENDS,
            ENDS,
            HEARD_OUT,
        ),
    ),
    Scenario(
        name="08-interruption-of-a-response-over-webrtc",
        webrtc=True,
        script=(
            detection(',"create_response":false'),
            HELLO,
            RESPOND,
            *speaks("resp_1"),
            Played("resp_1", 120),
            *SPEAKS,
            *FALLS_SILENT,
            TranscriptFinished("item_3", "Wait."),
        ),
        order=told(
            CREATED,
            UPDATED,
            ITEM,
            BEGINS,
            PLAYING,
            STARTED,
            SPEECH_ENDS,
            ENDS,
            SILENCED,
            STOPPED,
            TRANSCRIBED,
        ),
    ),
    # 9. response.cancel and double create
    Scenario(
        name="09-cancel",
        script=(
            HELLO,
            RESPOND,
            *speaks("resp_1"),
            CANCEL,
            AudioProduced("resp_1", pcm(240)),
            CANCEL,
        ),
        order=told(CREATED, ITEM, BEGINS, SPEAKING, SPEECH_ENDS, ENDS, ERROR),
    ),
    Scenario(
        name="09-double-create",
        script=(
            HELLO,
            RESPOND,
            *writes("resp_1"),
            '{"type":"response.create","event_id":"once_more"}',
            AudioProduced("resp_1", pcm(240, LOUD)),
            AudioProduced("resp_1", pcm(240, LOUD)),
            GenerationFinished("resp_1"),
        ),
        order=told(
            CREATED,
            ITEM,
            BEGINS,
            MESSAGE_BEGINS,
            TRANSCRIPT_DELTAS,
            ERROR,
            AUDIO_DELTAS,
            SPEECH_ENDS,
            ENDS,
        ),
    ),
    Scenario(
        name="09-cancel-over-webrtc",
        webrtc=True,
        script=(
            HELLO,
            RESPOND,
            *speaks("resp_1"),
            Played("resp_1", 120),
            '{"type":"response.cancel"}',
            '{"type":"output_audio_buffer.clear"}',
        ),
        order=told(CREATED, ITEM, BEGINS, PLAYING, SPEECH_ENDS, ENDS, SILENCED),
    ),
    Scenario(
        name="09-cancel-and-create-in-one-go",
        dialects=("preview",),
        script=(
            HELLO,
            RESPOND,
            *speaks("resp_1"),
            '{"type":"response.create","response":{"cancel_previous":true}}',
            *speaks("resp_2"),
            GenerationFinished("resp_2"),
        ),
        order=told(CREATED, ITEM, BEGINS, SPEAKING, SPEECH_ENDS, ENDS, SPOKEN),
    ),
    # 10. Truncate, delete, retrieve
    Scenario(
        name="10-truncate-retrieve-delete",
        script=(
            HELLO,
            RESPOND,
            *speaks("resp_1"),
            GenerationFinished("resp_1"),
            TRUNCATE,
            '{"type":"conversation.item.retrieve","item_id":"item_2"}',
            '{"type":"conversation.item.delete","item_id":"item_2"}',
            '{"type":"conversation.item.retrieve","item_id":"item_1"}',
            (
                '{"type":"conversation.item.create","previous_item_id":"root","item":{"id":"first",'
                '"type":"message","role":"system","content":[{"type":"input_text","text":"Be kind."}]}}'
            ),
        ),
        order=told(CREATED, ITEM, SPOKEN, TRUNCATED, RETRIEVED, DELETED, RETRIEVED, ITEM),
    ),
    Scenario(
        name="10-truncate-retrieve-delete-what-is-not-there",
        script=(
            (
                '{"type":"conversation.item.truncate","event_id":"one","item_id":"nothing",'
                '"content_index":0,"audio_end_ms":0}'
            ),
            '{"type":"conversation.item.retrieve","event_id":"two","item_id":"nothing"}',
            '{"type":"conversation.item.delete","event_id":"three","item_id":"nothing"}',
        ),
        order=told(CREATED, ERROR, ERROR, ERROR),
    ),
    # 11. Incomplete and failed
    Scenario(
        name="11-incomplete",
        script=(
            HELLO,
            By(
                ga='{"type":"response.create","response":{"output_modalities":["text"],'
                '"max_output_tokens":10}}',
                preview='{"type":"response.create","response":{"modalities":["text"],'
                '"max_response_output_tokens":10}}',
            ),
            TextProduced("resp_1", "Good day to you, and"),
            TextProduced("resp_1", " to everybody else who is here."),
            TextProduced("resp_1", " How are you?"),
        ),
        order=told(CREATED, ITEM, BEGINS, MESSAGE_BEGINS, TEXT_DELTA, TEXT_DELTA, TEXT_ENDS, ENDS),
    ),
    Scenario(
        name="11-incomplete-speech",
        script=(
            HELLO,
            By(
                ga='{"type":"response.create","response":{"max_output_tokens":40}}',
                preview='{"type":"response.create","response":{"max_response_output_tokens":40}}',
            ),
            TextProduced("resp_1", "Good day to you, and to everybody else who is here."),
            AudioProduced("resp_1", pcm(240, LOUD)),
            GenerationFinished("resp_1"),
        ),
        order=told(
            CREATED,
            ITEM,
            BEGINS,
            MESSAGE_BEGINS,
            TRANSCRIPT_DELTA,
            AUDIO_DELTA,
            SPEECH_ENDS,
            ENDS,
        ),
    ),
    Scenario(
        name="11-failed",
        script=(
            HELLO,
            RESPOND,
            *speaks("resp_1"),
            GenerationFailed("resp_1", "engine_failed", "The synthesiser is out of memory."),
            RESPOND,
            # With no output at all.
            GenerationFailed("resp_2", "engine_failed", "The language model does not answer."),
        ),
        order=told(CREATED, ITEM, BEGINS, SPEAKING, SPEECH_ENDS, ENDS, BEGINS, ENDS),
    ),
    # 12. Idle timeout
    Scenario(
        name="12-idle-timeout",
        dialects=("ga",),
        script=(
            detection(',"idle_timeout_ms":5000'),
            HELLO,
            RESPOND,
            *speaks("resp_1"),
            0.5,
            GenerationFinished("resp_1"),
            append(4 * FRAME),
            Heard(0, (0.05, 0.05, 0.05, 0.05)),
            5.75,
            TranscriptFinished("item_3", ""),
            *speaks("resp_2"),
            GenerationFinished("resp_2"),
        ),
        order=told(
            CREATED,
            UPDATED,
            ITEM,
            SPOKEN,
            TIMEOUT,
            BEGINS,
            TRANSCRIBED,
            SPEAKING,
            SPEECH_ENDS,
            ENDS,
        ),
    ),
    # 13. Transcription session
    Scenario(
        name="13-transcription",
        transcription=True,
        script=(
            By(
                ga='{"type":"session.update","session":{"type":"transcription","audio":{"input":{'
                '"transcription":{"model":"gpt-4o-transcribe","language":"en"},"turn_detection":{'
                '"type":"server_vad","prefix_padding_ms":32,"silence_duration_ms":64}}}}}',
                preview='{"type":"transcription_session.update","session":{'
                '"input_audio_transcription":{"model":"gpt-4o-transcribe","language":"en"},'
                '"turn_detection":{"type":"server_vad","prefix_padding_ms":32,'
                '"silence_duration_ms":64}}}',
            ),
            *SPEAKS,
            *FALLS_SILENT,
            TranscriptGrew("item_1", "Good "),
            TranscriptGrew("item_1", "day."),
            TranscriptFinished("item_1", "Good day."),
            '{"type":"response.create","event_id":"in_vain"}',
        ),
        order=told(
            TRANSCRIPTION_BEGINS, STARTED, STOPPED, TRANSCRIBING, TRANSCRIBING, TRANSCRIBED, ERROR
        ),
    ),
    Scenario(
        name="13-transcription-by-hand",
        transcription=True,
        script=(
            By(
                ga='{"type":"session.update","session":{"type":"transcription","audio":{"input":{'
                '"turn_detection":null}}}}',
                preview='{"type":"transcription_session.update","session":{"turn_detection":null}}',
            ),
            append(2400, LOUD),
            COMMIT,
            append(2400, LOUD),
            COMMIT,
            # The second is done first.
            TranscriptFinished("item_2", "Day."),
            TranscriptFinished("item_1", "Good"),
        ),
        order=told(TRANSCRIPTION_BEGINS, COMMITTED, COMMITTED, TRANSCRIBED, TRANSCRIBED),
    ),
    Scenario(
        name="13-transcription-after-all",
        dialects=("ga",),
        script=(
            (
                '{"type":"session.update","session":{"type":"transcription","audio":{"input":{'
                '"transcription":{"model":"whisper-1"},"turn_detection":null}}}}'
            ),
            append(2400, LOUD),
            COMMIT,
            TranscriptFinished("item_1", "Good day."),
        ),
        order=told(CREATED, UPDATED, COMMITTED, TRANSCRIBED),
    ),
    # 15. End of a session
    Scenario(
        name="15-expired",
        script=(HELLO, RESPOND, *writes("resp_1"), By(ga=3600.0, preview=1800.0), HELLO),
        order=told(CREATED, ITEM, BEGINS, MESSAGE_BEGINS, TRANSCRIPT_DELTAS, ERROR),
    ),
    # 16. Failed transcription
    Scenario(
        name="16-failed-transcription",
        reads=False,
        script=(
            LISTENING,
            *SPEAKS,
            *FALLS_SILENT,
            TranscriptFailed("item_1", "engine_failed", "The transcriber is out of memory."),
            *speaks("resp_1"),
            GenerationFinished("resp_1"),
        ),
        order=told(
            CREATED, UPDATED, STARTED, STOPPED, BEGINS, NOT_TRANSCRIBED, SPEAKING, SPEECH_ENDS, ENDS
        ),
    ),
    Scenario(
        name="16-failed-transcription-of-what-was-to-be-read",
        script=(
            LISTENING,
            *SPEAKS,
            *FALLS_SILENT,
            TranscriptFailed("item_1", "engine_failed", "The transcriber is out of memory."),
        ),
        order=told(CREATED, UPDATED, STARTED, STOPPED, BEGINS, NOT_TRANSCRIBED, ENDS),
    ),
)
