"""Hearing: turns by hand and by voice, interruption, formats, transcription."""

from functools import partial

import anyio

from vivavoce.audio.formats import Kind, encode
from vivavoce.conformance.cases.items import expect_audio
from vivavoce.conformance.cases.responses import begun, refuse_beyond, spoken, stop
from vivavoce.conformance.driver import (
    Answer,
    Breach,
    Caller,
    Case,
    NotShown,
    case,
)
from vivavoce.conformance.idiom import Json, kind_of, spelt, text_item
from vivavoce.conformance.tone import tone

BYTES_PER_MS = 48
SILENCE = bytes(1500 * BYTES_PER_MS)
TOLERANCE_MS = 100
SHORT_MS = 300
G711_RATE_HZ = 8000
# Short of the least that can be committed, in either law's bytes; as PCM it would be much shorter.
TOO_SHORT_MS, REST_MS = 99, 101
RATES = {"pcm": 24000, "pcmu": G711_RATE_HZ, "pcma": G711_RATE_HZ}
KINDS: dict[str, Kind] = {"pcmu": "audio/pcmu", "pcma": "audio/pcma"}
IDLE_MS, IDLE_TOLERANCE_MS, PIECE_MS = 5000, 500, 100
TIMED_OUT = "input_audio_buffer.timeout_triggered"
STARTED, STOPPED = "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"
COMMITTED = "input_audio_buffer.committed"
TRANSCRIPTION = "conversation.item.input_audio_transcription."


def detection(**keys: object) -> Json:
    """Turn detection that no pause within the sentence ends."""
    return {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 700,
        "create_response": False,
        "interrupt_response": True,
    } | keys


async def say_sentence(caller: Caller) -> tuple[Json, Json]:
    """Say all of it; speech_started and speech_stopped."""
    since = caller.here
    await caller.append(caller.speech + SILENCE)
    started = await caller.event(STARTED, since)
    return started, await caller.event(STOPPED, since, item_id=started["item_id"])


async def commit(caller: Caller) -> Json:
    """Commit by hand; the event that announces the item."""
    since = caller.here
    await caller.say("input_audio_buffer.commit")
    committed = await caller.event(COMMITTED, since)
    return await caller.joined(since, id=committed["item_id"])


@case("audio committed by hand becomes an item, which can be answered and brought back")
async def turn_by_hand(caller: Caller) -> None:
    await caller.configure(turn_detection=None)
    sound = tone(SHORT_MS)
    await caller.append(sound)
    added = await commit(caller)
    item = added["item"]
    part = item["content"][0]
    if (item["role"], part["type"]) != ("user", "input_audio"):
        raise Breach("committed audio is not an item of the user's audio", added)
    if "transcript" not in part:
        raise Breach("the audio part has no transcript, not even null", added)
    expect_audio(await caller.retrieve(item["id"]), len(sound))
    await caller.respond(modality="text")
    if speech := caller.heard(STARTED):
        raise Breach("speech was told of though nobody listens for it", *speech)


@case("audio in pieces that cut through a sample is heard whole", advised=True)
async def odd_pieces(caller: Caller) -> None:
    await caller.configure(turn_detection=None)
    sound = tone(SHORT_MS)
    await caller.append(sound, chunk=1001)
    added = await commit(caller)
    expect_audio(await caller.retrieve(added["item"]["id"]), len(sound))


@case("a spoken sentence is heard, committed under one id, and answered", needs=("speech",))
async def turn_by_voice(caller: Caller) -> None:
    await caller.configure(turn_detection=detection(create_response=True))
    since = caller.here
    started, stopped = await say_sentence(caller)
    item_id = started["item_id"]
    committed = await caller.event(COMMITTED, since, item_id=item_id)
    added = await caller.joined(since, id=item_id)
    created = await caller.event("response.created", since)
    in_order = [started, stopped, committed, added, created]
    if sorted(in_order, key=caller.events.index) != in_order:
        raise Breach("the turn's events are out of order", *in_order)
    start_ms, end_ms = started["audio_start_ms"], stopped["audio_end_ms"]
    said_ms = (len(caller.speech) + len(SILENCE)) // BYTES_PER_MS
    if not 0 <= start_ms < end_ms <= said_ms:
        raise Breach(f"{start_ms} to {end_ms} ms is not within {said_ms} ms", started, stopped)
    await caller.answer(since)
    audio = (await caller.retrieve(item_id))["content"][0].get("audio") or ""
    held_ms = len(audio) * 3 // 4 // BYTES_PER_MS
    if abs(held_ms - (end_ms - start_ms)) > TOLERANCE_MS:
        raise Breach(f"{held_ms} ms were committed of {start_ms} to {end_ms} ms", committed)


@case("with create_response off a spoken turn waits to be asked about", needs=("speech",))
async def turn_unanswered(caller: Caller) -> None:
    await caller.configure(turn_detection=detection())
    since = caller.here
    started, _ = await say_sentence(caller)
    await caller.joined(since, id=started["item_id"])
    await caller.sign_of_life()
    if created := caller.heard("response.created", since):
        raise Breach("a response was created that nobody asked for", *created)
    await caller.respond(modality="text")


@case("a second turn starts after the first one's end", needs=("speech",))
async def two_turns(caller: Caller) -> None:
    await caller.configure(turn_detection=detection())
    _, stopped = await say_sentence(caller)
    started, _ = await say_sentence(caller)
    if started["audio_start_ms"] < stopped["audio_end_ms"]:
        raise Breach("the second turn begins within the first", stopped, started)


@case("speech interrupts the response that is running", needs=("speech",))
async def interruption(caller: Caller) -> None:
    await caller.configure(turn_detection=detection())
    response_id = await begun(caller, modality="audio")
    started, _ = await say_sentence(caller)
    done = await caller.ended(response_id)
    answer = caller.whole(done)
    if done["status"] == "cancelled":
        if (done.get("status_details") or {}).get("reason") != "turn_detected":
            raise Breach("the response is not cancelled as turn_detected", done)
        return
    late = caller.events.index(answer.events[-1]) > caller.events.index(started)
    if late and _goes_on(answer, started, caller):
        raise Breach("the response went on although the user spoke", started, done)
    raise NotShown("the response was over before the speech was heard")


def _goes_on(answer: Answer, started: Json, caller: Caller) -> bool:
    """Whether there was anything more of the answer after speech had started."""
    later = caller.events[caller.events.index(started) :]
    return any(event in later for event in answer.events if kind_of(event).endswith(".delta"))


@case("with interrupt_response off speech leaves the response alone", needs=("speech",))
async def no_interruption(caller: Caller) -> None:
    keys = {"interrupt_response": False, "create_response": True}
    await caller.configure(turn_detection=detection(**keys))
    response_id = await begun(caller, modality="audio")
    since = caller.here
    started, _ = await say_sentence(caller)
    await caller.joined(since, id=started["item_id"])
    await caller.sign_of_life()
    over = [e for e in caller.heard("response.done") if e["response"]["id"] == response_id]
    created = caller.heard("response.created", since)
    await stop(caller)
    done = await caller.ended(response_id)
    if (done.get("status_details") or {}).get("reason") == "turn_detected":
        raise Breach("the response was cancelled by speech", done)
    if over:
        raise NotShown("the response was over before the turn was")
    if created:
        raise Breach("a second response was created while the first was running", *created)


@case("clearing the buffer amid speech drops it; the next turn is a new one", needs=("speech",))
async def clear_amid_speech(caller: Caller) -> None:
    await caller.configure(turn_detection=detection())
    since = caller.here
    await caller.append(caller.speech[: len(caller.speech) // 4 * 2])
    dropped = await caller.event(STARTED, since)
    await caller.sign_of_life()
    await caller.append(SILENCE)
    started, _ = await say_sentence(caller)
    if started["item_id"] == dropped["item_id"]:
        raise Breach("speech that was dropped came back", dropped, started)
    await caller.joined(since, id=started["item_id"])
    for event in caller.heard(COMMITTED, since) + caller.heard(STOPPED, since):
        if event["item_id"] == dropped["item_id"]:
            raise Breach("speech that was dropped was committed", dropped, event)


@case(
    "with turn detection off nobody listens; on again, only to what comes then", needs=("speech",)
)
async def detection_off_and_on(caller: Caller) -> None:
    if caller.setting(await caller.configure(turn_detection=None), "turn_detection") is not None:
        raise Breach("turn detection is shown though it is off", *caller.latest())
    await caller.append(caller.speech + SILENCE)
    await caller.sign_of_life()
    await caller.configure(turn_detection=detection())
    started, _ = await say_sentence(caller)
    unheard_ms = (len(caller.speech) + len(SILENCE)) // BYTES_PER_MS
    if len(caller.heard(STARTED)) != 1 or started["audio_start_ms"] < unheard_ms - 300:
        raise Breach("speech was heard while nobody listened", *caller.heard(STARTED))


async def g711(kind: Kind, name: str, caller: Caller) -> None:
    """Audio in that law goes in and comes out, and is counted as such."""
    formats = {"input_format": name, "output_format": name}
    await caller.configure(turn_detection=None, **formats)
    await caller.append(encode(kind, tone(TOO_SHORT_MS, G711_RATE_HZ)))
    await caller.refused(
        "input_audio_buffer.commit",
        "input_audio_buffer_commit_empty",
        None,
        f"{TOO_SHORT_MS}.00ms",
    )
    await caller.append(encode(kind, tone(REST_MS, G711_RATE_HZ)))
    await commit(caller)
    item_id, size = await spoken(caller)
    told = caller.setting(caller.heard("response.done")[-1]["response"], "output_format")
    wanted = caller.setting(spelt(caller.dialect, output_format=name), "output_format")
    if told != wanted:
        raise Breach(f"the response is said to be in {told!r}, not {wanted!r}")
    await refuse_beyond(caller, item_id, size * 1000 // G711_RATE_HZ)


@case("the words of a committed turn come, or their failure, exactly once")
async def transcription(caller: Caller) -> None:
    await caller.configure(transcription={"model": "whisper-1"}, turn_detection=None)
    await transcribe(caller, caller.speech or tone(SHORT_MS))


async def transcribe(caller: Caller, sound: bytes) -> None:
    """Commit that, and await its words or that there are none."""
    await caller.append(sound)
    await concluded(caller, (await commit(caller))["item"]["id"])


async def concluded(caller: Caller, item_id: str) -> None:
    """Its words came, or their failure, and only once."""
    ends = (f"{TRANSCRIPTION}completed", f"{TRANSCRIPTION}failed")

    def concludes(event: Json) -> bool:
        return kind_of(event) in ends and event.get("item_id") == item_id

    await caller.find(f"{TRANSCRIPTION}completed or failed", concludes)
    await caller.sign_of_life()
    endings = [event for event in caller.events if concludes(event)]
    if len(endings) != 1:
        raise Breach("a transcription was concluded more than once", *endings)


@case("without transcription in the settings no words of the user are told")
async def no_transcription(caller: Caller) -> None:
    await caller.configure(transcription=None, turn_detection=None)
    await caller.append(tone(SHORT_MS))
    await commit(caller)
    await caller.respond(modality="text")
    if told := [event for event in caller.events if kind_of(event).startswith(TRANSCRIPTION)]:
        raise Breach("a transcription came that nobody asked for", *told)


@case(
    "a session for transcription writes down what it hears, and answers nothing",
    intent="transcription",
)
async def transcription_intent(caller: Caller) -> None:
    session = await caller.opened()
    own = "session" if caller.dialect == "ga" else "transcription_session"
    if caller.events[0]["type"] != f"{own}.created":
        raise Breach(f"the first event is not {own}.created", caller.events[0])
    if session["object"] != "realtime.transcription_session":
        raise Breach("it is not a transcription session", caller.events[0])
    await only_transcribes(caller, f"{own}.update")


@case(
    "a session becomes one for transcription by an update of its type",
    dialects=("ga",),
    advised=True,
)
async def transcription_update(caller: Caller) -> None:
    await only_transcribes(caller, "session.update")


async def only_transcribes(caller: Caller, update: str) -> None:
    """Set it up by an event of that type; it transcribes, and makes no responses."""
    settings = {"transcription": {"model": "whisper-1"}, "turn_detection": None}
    session = spelt(caller.dialect, **settings)
    if caller.dialect == "ga":
        session["type"] = "transcription"
    since = caller.here
    await caller.say(update, session=session)
    updated = await caller.event("session.updated", since)
    if updated["type"] != f"{update}d":
        raise Breach(f"the answer to {update} is {updated['type']}", updated)
    if updated["session"]["object"] != "realtime.transcription_session":
        raise Breach("it is not a transcription session", updated)
    await caller.refused("response.create", "invalid_value", "type", advised=True)
    await transcribe(caller, tone(SHORT_MS))


@case(
    "a session for transcription writes down turns by voice, and answers none",
    needs=("speech",),
    intent="transcription",
)
async def transcription_by_voice(caller: Caller) -> None:
    settings = {"transcription": {"model": "whisper-1"}, "turn_detection": detection()}
    session = spelt(caller.dialect, **settings)
    kind = "transcription_session.update"
    if caller.dialect == "ga":
        session["type"], kind = "transcription", "session.update"
    since = caller.here
    await caller.say(kind, session=session)
    await caller.event("session.updated", since)
    started, _ = await say_sentence(caller)
    await caller.joined(since, id=started["item_id"])
    await concluded(caller, started["item_id"])
    if created := caller.heard("response.created"):
        raise Breach("a response was created in a session for transcription", *created)


@case("audio that is committed follows what was written before it")
async def commit_follows(caller: Caller) -> None:
    await caller.configure(turn_detection=None)
    last = (await caller.put(text_item("Hello.")))["item"]["id"]
    for _ in range(2):
        since = caller.here
        await caller.append(tone(SHORT_MS))
        added = await commit(caller)
        committed = await caller.event(COMMITTED, since)
        for event in (committed, added):
            if event.get("previous_item_id") != last:
                raise Breach(f"what was committed should follow {last}", event)
        last = added["item"]["id"]


@case("an append without any audio is taken, and nothing happens", advised=True)
async def empty_append(caller: Caller) -> None:
    await caller.say("input_audio_buffer.append", audio="")
    await caller.sign_of_life()


@case("a commit amid speech ends the turn there, under the id that was told", needs=("speech",))
async def commit_amid_speech(caller: Caller) -> None:
    await caller.configure(turn_detection=detection())
    since = caller.here
    await caller.append(caller.speech[: len(caller.speech) // 4 * 2])
    started = await caller.event(STARTED, since)
    added = await commit(caller)
    if added["item"]["id"] != started["item_id"]:
        raise Breach("a turn cut by hand has another id than was told", started, added)
    if stopped := caller.heard(STOPPED, since):
        caller.advise("speech is said to have stopped though it was cut by hand", *stopped)


async def mixed(heard: str, told: str, caller: Caller) -> None:
    """Audio in one format goes in, and another comes out."""
    await caller.configure(turn_detection=None, input_format=heard, output_format=told)
    sound = tone(TOO_SHORT_MS + REST_MS, RATES[heard])
    await caller.append(sound if heard == "pcm" else encode(KINDS[heard], sound))
    await commit(caller)
    item_id, size = await spoken(caller)
    width = 2 if told == "pcm" else 1
    if size % width:
        raise Breach("the audio ends within a sample", *caller.latest())
    await refuse_beyond(caller, item_id, size * 1000 // (RATES[told] * width))


@case("after a silence the server speaks up: timeout_triggered, and a turn", dialects=("ga",))
async def idle_timeout(caller: Caller) -> None:
    caller.will_take(IDLE_MS / 1000 + 3)
    listening = caller.session(
        turn_detection=detection(idle_timeout_ms=IDLE_MS, create_response=True)
    )
    event = await caller.attempt("session.update", "session.updated", session=listening)
    if event["type"] == "error":
        raise NotShown("the server has no idle timeout")
    await caller.put(text_item("Good morning!"))
    await caller.respond(modality="text")
    since = caller.here
    while not caller.heard(TIMED_OUT, since):
        caller.awaiting = TIMED_OUT
        await caller.append(bytes(PIECE_MS * BYTES_PER_MS))
        await anyio.sleep(PIECE_MS / 1000)
    timed_out = caller.heard(TIMED_OUT, since)[0]
    item_id = timed_out["item_id"]
    committed = await caller.event(COMMITTED, since, item_id=item_id)
    added = await caller.joined(since, id=item_id)
    created = await caller.event("response.created", since)
    in_order = [timed_out, committed, added, created]
    if sorted(in_order, key=caller.events.index) != in_order:
        raise Breach("the events of the timeout are out of order", *in_order)
    lasted_ms = timed_out["audio_end_ms"] - timed_out["audio_start_ms"]
    if abs(lasted_ms - IDLE_MS) > IDLE_TOLERANCE_MS:
        caller.advise(f"the silence is said to last {lasted_ms} ms, not {IDLE_MS}", timed_out)
    await caller.answer(since)


CASES: tuple[Case, ...] = (
    turn_by_hand,
    odd_pieces,
    empty_append,
    commit_follows,
    turn_by_voice,
    turn_unanswered,
    two_turns,
    interruption,
    no_interruption,
    clear_amid_speech,
    commit_amid_speech,
    detection_off_and_on,
    Case("ulaw", "mu-law goes in and comes out", partial(g711, "audio/pcmu", "pcmu")),
    Case("alaw", "A-law goes in and comes out", partial(g711, "audio/pcma", "pcma")),
    Case("ulaw-in", "mu-law goes in and PCM comes out", partial(mixed, "pcmu", "pcm")),
    Case("alaw-out", "PCM goes in and A-law comes out", partial(mixed, "pcm", "pcma")),
    transcription,
    no_transcription,
    transcription_intent,
    transcription_update,
    transcription_by_voice,
    idle_timeout,
)
