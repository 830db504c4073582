"""The built-in responder: what it says, when it calls functions, and that it is honest."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.effects import GenerationRequest
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    Item,
    Message,
    OutputText,
)
from vivavoce.core.settings import (
    DEFAULT_INSTRUCTIONS,
    FunctionTool,
    NamedTool,
    ToolChoice,
)
from vivavoce.engines.api import WrittenCall, WrittenText
from vivavoce.engines.responder import Responder
from vivavoce.engines.rules.lexicon import with_digits
from vivavoce.engines.rules.phrasebook import PHRASES

Call = tuple[str, dict[str, Any]]

AFTERNOON = time.strptime("2025-03-04 15:05", "%Y-%m-%d %H:%M")  # a Tuesday
WEATHER = FunctionTool(
    "get_weather",
    "Get the current weather for a city.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
)
CLOCK = FunctionTool("get_current_time", "Returns the current time.")


def tool(name: str, description: str = "", /, **properties: object) -> FunctionTool:
    """A function all of whose arguments are required, but for those called `maybe_...`."""
    named = {key.removeprefix("maybe_"): schema for key, schema in properties.items()}
    required = [key for key in properties if not key.startswith("maybe_")]
    schema = {"type": "object", "properties": named, "required": required}
    return FunctionTool(name, description, schema)


STRING = {"type": "string"}
INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
BOOLEAN = {"type": "boolean"}
LIGHT = tool(
    "set_light",
    "Turns the light in a room on or off.",
    room={"type": "string", "enum": ["kitchen", "living_room"]},
    on=BOOLEAN,
)
TABLE = tool(
    "bookTable",
    "Book a table at a restaurant.",
    restaurant=STRING,
    people=INTEGER,
    maybe_date=STRING,
    maybe_time=STRING,
)
FLIGHTS = tool(
    "search_flights", "Search for flights.", origin=STRING, destination=STRING, maybe_date=STRING
)
SUM = tool("calculate_sum", "Calculates the sum of two numbers.", a=NUMBER, b=NUMBER)
LIST = tool("add_to_shopping_list", "Add items.", items={"type": "array", "items": STRING})
EMAIL = tool("send_email", "Send an email.", recipient=STRING, body=STRING, maybe_subject=STRING)
SEARCH = tool("web_search", "Search the web.", query=STRING)


def user(text: str) -> Message:
    return Message("u", "user", (InputText(text),))


def assistant(text: str) -> Message:
    return Message("a", "assistant", (OutputText(text),))


async def written(
    request: GenerationRequest, knowledge: str | None = None
) -> list[WrittenText | WrittenCall]:
    async with Responder(knowledge=knowledge, local_time=lambda: AFTERNOON) as responder:
        return [piece async for piece in responder.respond(request)]


def answer(
    *context: Item | str,
    instructions: str = "",
    tools: Sequence[FunctionTool] = (),
    tool_choice: ToolChoice = "auto",
    parallel: bool | None = None,
    language: str | None = None,
    knowledge: str | None = None,
) -> str | list[Call]:
    """The words, or the calls, that come after *context*; a bare string is the user's."""
    request = GenerationRequest(
        instructions=instructions,
        context=tuple(user(each) if isinstance(each, str) else each for each in context),
        tools=tuple(tools),
        tool_choice=tool_choice,
        parallel_tool_calls=parallel,
        language=language,
    )
    pieces = anyio.run(written, request, knowledge)
    calls = [piece for piece in pieces if isinstance(piece, WrittenCall)]
    if not calls:
        return "".join(piece.text for piece in pieces if isinstance(piece, WrittenText))
    joined: dict[int, tuple[str, str]] = {}
    for call in calls:
        joined[call.index] = (call.name, joined.get(call.index, ("", ""))[1] + call.arguments)
    return [(name, json.loads(arguments)) for name, arguments in joined.values()]


def said(*context: Item | str, **options: Any) -> str:
    """Its words; calls are not expected."""
    words = answer(*context, **options)
    assert isinstance(words, str)
    return words


def talk(*turns: str, **options: Any) -> list[str | list[Call]]:
    """A whole conversation: what it answers to each of *turns*, remembering its own words."""
    context: list[Item] = []
    answers = []
    for turn in turns:
        context.append(user(turn))
        answers.append(answer(*context, **options))
        if isinstance(answers[-1], str):
            context.append(assistant(answers[-1]))
    return answers


# Streaming


def test_each_piece_is_one_word_with_its_leading_blank() -> None:
    request = GenerationRequest(instructions="", context=(user("hello"),))

    pieces = anyio.run(written, request)

    assert [piece.text for piece in pieces if isinstance(piece, WrittenText)] == [
        "Hello!", " How", " can", " I", " help", " you", " today?",
    ]  # fmt: skip


def test_a_call_arrives_in_several_pieces_of_which_only_the_last_is_final() -> None:
    request = GenerationRequest(
        instructions="", context=(user("what is the weather in paris"),), tools=(WEATHER,)
    )

    pieces = [piece for piece in anyio.run(written, request) if isinstance(piece, WrittenCall)]

    assert len(pieces) > 1
    assert [piece.final for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert "".join(piece.arguments for piece in pieces) == '{"city": "Paris"}'
    assert {(piece.index, piece.name) for piece in pieces} == {(0, "get_weather")}


def test_the_answer_can_be_left_in_the_middle() -> None:
    async def main() -> list[object]:
        request = GenerationRequest(instructions="", context=(user("tell me a story"),))
        stream = Responder().respond(request)
        heard: list[object] = [await anext(stream)]
        await stream.aclose()
        return [*heard, *[piece async for piece in stream]]

    assert anyio.run(main) == [WrittenText("Here")]


def test_other_tasks_get_their_turn_between_two_words() -> None:
    async def main() -> list[str]:
        turns: list[str] = []

        async def speak() -> None:
            request = GenerationRequest(instructions="", context=(user("count to 3"),))
            async for _ in Responder().respond(request):
                turns[:] = [*turns, "word"]

        async def wait() -> None:
            while turns.count("word") < 3:
                turns.append("other")
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            group.start_soon(speak)
            group.start_soon(wait)
        return turns

    turns = anyio.run(main)

    first = turns.index("word")
    assert "other" in turns[first : turns.index("word", first + 1)]


TALKS = (
    ("hello", "my name is Anna", "i love old trains", "what is my name", "why is that", "bye"),
    ("", "um", "hallo", "wer bist du", "ich mag Züge", "danke"),
    ("book a table", "Luigi's", "four"),
)


@pytest.mark.parametrize("turns", TALKS)
def test_the_same_conversation_gives_the_same_words(turns: tuple[str, ...]) -> None:
    assert talk(*turns, tools=(TABLE,)) == talk(*turns, tools=(TABLE,))


# Conversing

ANSWERS = (
    ("Hello!", "help you"),
    ("hey there", "Hello"),
    ("Hello, world.", "Hello"),
    ("Please assist the user.", "help you"),
    ("How are you today?", "I am well"),
    ("What can you do?", "tell the time"),
    ("what time is it", "It is 3:05 PM."),
    ("Hi, can you tell me what the time is?", "3:05 PM"),
    ("Hey, what's the time please?", "3:05 PM"),
    ("what day is it today?", "Tuesday, March 4, 2025"),
    ("thank you very much", "welcome"),
    ("goodbye", "Bye"),
    ("what is 12 times 7", "12 times 7 is 84."),
    ("what's seventeen plus twenty five?", "is 42."),
    ("10 divided by 4", "is 2.5."),
    ("what is 0.1 plus 0.2", "is 0.3."),
    ("7 / 0", "divided by zero"),
    ("count to five", "1, 2, 3, 4, 5."),
    ("can you count from 3 down to 1", "3, 2, 1."),
    ("say the sky is green", "The sky is green."),
    ("Repeat after me: I like it", "I like it."),
    ("say hello to bob", "Hello, Bob!"),
    ("I am Peter", "Nice to meet you, Peter."),
    ("what is my name?", "not told me"),
    ("can you hear me?", "Yes, I hear you"),
    ("can you write me a poem", "beyond me"),
    ("how old are you", "set of rules"),
    ("I think you are wrong about my dog", "What makes you think that I am wrong about your dog?"),
    ("i love old trains", "What do you like most about old trains?"),
    ("I'm so tired today", "makes you tired"),
    ("yesterday my brother came", "Tell me more about your brother."),
    ("The child almost hurt the small dog.", "You say the child almost hurt the small dog."),
    ("um well what time is it", "3:05 PM"),
    ("Good morning! I am fine. What time is it?", "3:05 PM"),
)


@pytest.mark.parametrize(("turn", "expected"), ANSWERS)
def test_it_answers(turn: str, expected: str) -> None:
    assert expected.lower() in said(turn).lower()


def test_a_count_goes_to_a_hundred_at_most_and_has_sentences_of_ten() -> None:
    words = said("count to 1000")

    assert words.endswith(" 99, 100.")
    assert words.count(".") == 10


def test_a_story_is_long_enough_to_be_interrupted_even_with_the_default_instructions() -> None:
    story = said("tell me a long story please", instructions=DEFAULT_INSTRUCTIONS)

    assert len(story.split()) > 150


ABOUT = ("who are you?", "are you a language model", "Are you human?", "what model is this")


@pytest.mark.parametrize("turn", ABOUT)
@pytest.mark.parametrize("instructions", ["", "You are Max, a human being.", DEFAULT_INSTRUCTIONS])
def test_it_says_openly_that_it_is_no_language_model(turn: str, instructions: str) -> None:
    words = said(turn, instructions=instructions)

    assert "Viva Voce's built-in responder" in words
    assert "no language model" in words
    assert "another recipe" in words


@pytest.mark.parametrize(
    "turn",
    ["what is the capital of spain", "Who won the world cup in 1990?", "tell me how planes fly"],
)
def test_it_never_pretends_to_know_what_nobody_told_it(turn: str) -> None:
    words = said(turn)

    assert "told" in words
    assert not words.startswith(("You say", "Tell me more", "What makes"))


def test_unintelligible_turns_are_not_answered_twice_alike() -> None:
    silent = Message("u", "user", (InputAudio(16000, 16000, ""),))

    first = said(silent)
    second = said(silent, assistant(first), silent)

    assert "catch that" in first
    assert second not in (first, "")


def test_a_transcript_that_is_still_missing_counts_as_not_heard() -> None:
    assert "catch that" in said(Message("u", "user", (InputAudio(16000, 16000, None),)))


def test_statements_of_one_kind_are_not_answered_alike() -> None:
    answers = talk("it is late", "it is dark", "it is cold", "it is wet", "it is over")

    assert len(set(map(str, answers))) == 5


# Memory


def test_it_remembers_the_name_and_uses_it() -> None:
    *_, name, farewell = talk("my name is anna", "i like tea", "what is my name?", "goodbye")

    assert name == "Your name is Anna."
    assert "Anna" in farewell


@pytest.mark.parametrize("turn", ["repeat that please", "Say that again?", "pardon", "come again"])
def test_it_repeats_its_last_words_on_request(turn: str) -> None:
    assert said("hello", assistant("The number is 7."), turn) == "The number is 7."


def test_it_knows_what_was_said_before() -> None:
    assert said("the cake is a lie", assistant("Is it?"), "what did I say") == (
        "You said: the cake is a lie."
    )


def test_it_answers_from_what_the_caller_told_it() -> None:
    _, words = talk("my favourite colour is blue", "what is my favourite colour?")

    assert words == "Your favourite colour is blue."


def test_a_word_the_caller_once_used_is_no_knowledge() -> None:
    _, words = talk("i saw an old house by the sea", "where is the house?")

    assert "told" in words


def test_it_comes_back_to_an_earlier_statement() -> None:
    *_, last = talk("i have lived in a tower", "quite so", "indeed it was", "that was long ago")

    assert last == (
        "Earlier you said that you have lived in a tower. Does that have to do with it?"
    )


# Instructions

OPENINGS = (
    ("", "Hello! How can I help you today?"),
    ("Please assist the user.", "Hello! How can I help you today?"),
    (DEFAULT_INSTRUCTIONS, "Hello! How can I help you today?"),
    ("You are a helpful assistant.", "Hello! How can I help you today?"),
    ("Say hello to Bob.", "Hello, Bob!"),
    ("Greet the user warmly.", "Hello! How can I help you today?"),
    ("Greet the user with 'Ahoy there!'", "Ahoy there!"),
    ("You are Max, a pirate.", "Hello! I am Max. How can I help you today?"),
    ("Your name is Zoe. Help people.", "Hello! I am Zoe. How can I help you today?"),
    ("Count to three.", "1, 2, 3."),
    ("What is 2 plus 2?", "2 plus 2 is 4."),
    ("Reply with exactly one word: pong", "pong"),
    ("Always answer “All is well.”", "All is well."),
)


@pytest.mark.parametrize(("instructions", "expected"), OPENINGS)
def test_instructions_alone_are_answered(instructions: str, expected: str) -> None:
    assert said(instructions=instructions) == expected


def test_a_system_message_instructs_too() -> None:
    system = Message("s", "system", (InputText("Your name is Zoe."),))

    assert said(system, "what is your name") == "My name is Zoe."


def test_a_persona_gives_its_name() -> None:
    assert said("what's your name?", instructions="You are Max, a pirate.") == "My name is Max."


def test_asked_again_without_a_new_turn_it_asks_whether_anybody_is_there() -> None:
    words = said("hello", assistant("Hello!"))

    assert words in {each.replace("{you}", "") for each in PHRASES["en"].still_there}


def test_short_answers_are_shorter() -> None:
    brief = said("who are you", instructions="Be brief.")

    assert "no language model" in brief
    assert len(brief) < len(said("who are you"))


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ("what is the capital of france?", "Paris."),
        ("hello", "Hello."),
        ("who are you", "Responder."),
    ],
)
def test_one_word_is_one_word(turn: str, expected: str) -> None:
    instructions = "Answer in one word. The capital of France is Paris."

    assert said(turn, instructions=instructions) == expected


def test_what_was_asked_for_at_length_is_not_cut_short() -> None:
    assert said("count to 20", instructions="Be brief.").endswith("20.")


# Knowledge

SHOP = """You work for Acme Pizza. Be polite.
- Opening hours are 9 to 5.
- Phone: 555 1234
The capital of France is Paris. We are closed on Sundays.
If somebody asks about refunds, say that refunds take five days."""
FACTS = (
    ("what are your opening hours?", "Opening hours are 9 to 5."),
    ("opening hours", "Opening hours are 9 to 5."),
    ("hello, what time do you open", "Opening hours are 9 to 5."),
    ("what is the capital of france", "The capital of France is Paris."),
    ("is Paris the capital of France?", "The capital of France is Paris."),
    ("are you open on sunday", "We are closed on Sundays."),
    ("what is your phone number", "Phone: 555 1234."),
    ("who do you work for", "I work for Acme Pizza."),
    ("can I get a refund", "Refunds take five days."),
)


@pytest.mark.parametrize(("turn", "expected"), FACTS)
def test_it_answers_from_its_instructions(turn: str, expected: str) -> None:
    assert said(turn, instructions=SHOP) == expected


@pytest.mark.parametrize("turn", ["what is the capital of spain", "how polite are you", "why"])
def test_a_fact_that_hardly_fits_is_no_answer(turn: str) -> None:
    assert "told" in said(turn, instructions=SHOP)


def test_it_answers_from_the_operators_knowledge() -> None:
    knowledge = "The library is on Mill Street."

    assert said("where is the library", knowledge=knowledge) == knowledge


def test_a_question_as_instructions_is_answered_from_the_conversation() -> None:
    words = said("The capital of France is Paris.", instructions="What is the capital of France?")

    assert words == "The capital of France is Paris."


# Languages

SPOKEN = {
    "de": ("Hallo", "Wer bist du?", "Ich heiße Anna", "Hilfe", "Wie spät ist es?", "Tschüss"),
    "fr": ("Bonjour", "Qui êtes-vous ?", "Je m'appelle Anna", "Aidez-moi", "Quelle heure est-il ?",
           "Au revoir"),
    "es": ("Hola", "¿Quién eres?", "Me llamo Anna", "Ayuda", "¿Qué hora es?", "Adiós"),
    "pt": ("Olá", "Quem é você?", "Meu nome é Anna", "Ajuda", "Que horas são?", "Tchau"),
    "sv": ("Hej", "Vem är du?", "Jag heter Anna", "Hjälp", "Vad är klockan?", "Hej då"),
    "ru": ("Привет", "Кто ты?", "Меня зовут Anna", "Помощь", "Который час?", "До свидания"),
}  # fmt: skip


@pytest.mark.parametrize("language", SPOKEN)
def test_it_answers_in_the_language_it_is_spoken_to(language: str) -> None:
    phrases = PHRASES[language]

    hello, who, name, help_, clock, farewell = talk(*SPOKEN[language])

    assert hello in {each.replace("{you}", "") for each in phrases.opener}
    assert who == phrases.myself
    assert name == phrases.pleased.replace("{you}", ", Anna")
    assert help_ == phrases.help
    assert clock == phrases.clock.format(time="15:05")
    assert farewell in {each.replace("{you}", ", Anna") for each in phrases.farewell}


@pytest.mark.parametrize("language", SPOKEN)
def test_the_clients_hint_decides_when_the_words_do_not(language: str) -> None:
    assert said("mhm tralala", language=f"{language}-XX") in {
        each.replace("{you}", "") for each in PHRASES[language].ask_back
    }


@pytest.mark.parametrize(
    ("instructions", "language"),
    [
        ("Answer in German.", "de"),
        ("Antworte immer auf Deutsch.", "de"),
        ("Réponds en français.", "fr"),
        ("You only speak Spanish.", "es"),
        ("Fale em português.", "pt"),
        ("Keep all of your replies in Swedish.", "sv"),
        ("Говори по-русски.", "ru"),
        ("Never speak German.", "en"),
        ("The manual is available in German.", "en"),
    ],
)
def test_instructions_choose_the_language(instructions: str, language: str) -> None:
    assert said("who are you", instructions=instructions) == PHRASES[language].myself


def test_the_caller_may_change_the_language() -> None:
    german, again, english = talk("do you speak German?", "who are you", "speak English please")

    assert "helfen" in german
    assert again == PHRASES["de"].myself
    assert str(english).startswith("Hello")


def test_an_unknown_language_is_answered_in_english() -> None:
    assert said("hello", language="ja").startswith("Hello")


# Function calls

CALLS: tuple[tuple[FunctionTool, str, dict[str, Any]], ...] = (
    (WEATHER, "what's the weather in paris", {"city": "Paris"}),
    (WEATHER, "what is the weather like in paris today", {"city": "Paris"}),
    (WEATHER, "How's the weather in San Francisco, CA?", {"city": "San Francisco, CA"}),
    (WEATHER, "weather paris", {"city": "Paris"}),
    (WEATHER, "what's the weather in los angeles right now", {"city": "Los Angeles"}),
    (WEATHER, "will it rain in oslo, in fahrenheit", {"city": "Oslo", "unit": "fahrenheit"}),
    (WEATHER, "Wie ist das Wetter in Berlin?", {"city": "Berlin"}),
    (WEATHER, "quel temps fait-il à Paris ?", {"city": "Paris"}),
    (CLOCK, "what time is it", {}),
    (SUM, "what is 2 plus 3", {"a": 2, "b": 3}),
    (SUM, "calculate the sum of twenty five and 17.5", {"a": 25, "b": 17.5}),
    (LIGHT, "turn on the light in the kitchen", {"room": "kitchen", "on": True}),
    (LIGHT, "switch the living room lights off", {"room": "living_room", "on": False}),
    (
        TABLE,
        "book a table for four at luigi's tomorrow at 7 pm",
        {"restaurant": "Luigi's", "people": 4, "date": "tomorrow", "time": "7 pm"},
    ),
    (
        FLIGHTS,
        "search flights to new york from berlin on friday",
        {"origin": "Berlin", "destination": "New York", "date": "friday"},
    ),
    (
        LIST,
        "add milk, eggs and brown bread to the shopping list",
        {"items": ["milk", "eggs", "brown bread"]},
    ),
    (LIST, "put apples on my shopping list", {"items": ["apples"]}),
    (
        EMAIL,
        "send an email to bob saying I will be late",
        {"recipient": "Bob", "body": "I will be late"},
    ),
    (SEARCH, "search the web for cheap bananas", {"query": "cheap bananas"}),
)


@pytest.mark.parametrize(("offered", "turn", "arguments"), CALLS)
def test_a_matching_function_is_called_with_what_was_said(
    offered: FunctionTool, turn: str, arguments: dict[str, Any]
) -> None:
    assert answer(turn, tools=(offered,)) == [(offered.name, arguments)]


@pytest.mark.parametrize(
    "turn",
    ["hello", "how are you", "thank you", "goodbye", "who are you", "yes", "",
     "I love the weather here today", "what is the capital of france", "tell me a story"],
)  # fmt: skip
def test_no_function_is_called_for_anything_else(turn: str) -> None:
    assert isinstance(answer(turn, tools=(WEATHER, LIGHT, EMAIL)), str)


def test_small_talk_calls_nothing_even_if_a_function_is_named_like_it() -> None:
    assert isinstance(answer("goodbye", tools=(tool("goodbye"),)), str)


def test_the_function_alone_is_no_argument() -> None:
    assert answer("can you search the web", tools=(SEARCH,)) == "What should the query be?"


def test_the_best_of_several_functions_is_called() -> None:
    on, off = tool("turn_on_lights", "Lights on."), tool("turn_off_lights", "Lights off.")

    assert answer("please turn the lights off", tools=(on, off)) == [("turn_off_lights", {})]
    assert answer("please turn the lights on", tools=(off, on)) == [("turn_on_lights", {})]


def test_tool_choice_none_calls_nothing() -> None:
    assert isinstance(answer("weather in paris", tools=(WEATHER,), tool_choice="none"), str)


def test_required_calls_the_best_match() -> None:
    calls = answer("the weather in rome", tools=(CLOCK, WEATHER), tool_choice="required")

    assert calls == [("get_weather", {"city": "Rome"})]


def test_required_calls_the_first_with_fillers_when_none_matches() -> None:
    assert answer("hello", tools=(WEATHER, CLOCK), tool_choice="required") == [
        ("get_weather", {"city": ""})
    ]


def test_required_calls_even_before_anybody_spoke() -> None:
    assert answer(tools=(CLOCK,), tool_choice="required") == [("get_current_time", {})]


def test_a_named_function_is_called_whatever_was_said() -> None:
    calls = answer(
        "what time is it in rome", tools=(CLOCK, WEATHER), tool_choice=NamedTool("get_weather")
    )

    assert calls == [("get_weather", {"city": "Rome"})]


def test_a_function_of_that_name_that_does_not_exist_is_answered_in_words() -> None:
    assert isinstance(answer("hello", tools=(WEATHER,), tool_choice=NamedTool("gone")), str)


def test_two_wishes_are_two_calls() -> None:
    calls = answer("what's the weather in paris and what time is it", tools=(WEATHER, CLOCK))

    assert calls == [("get_weather", {"city": "Paris"}), ("get_current_time", {})]


def test_another_value_is_another_call_of_the_same_function() -> None:
    assert answer("what's the weather in paris and london", tools=(WEATHER,)) == [
        ("get_weather", {"city": "Paris"}),
        ("get_weather", {"city": "London"}),
    ]


def test_without_parallel_calls_only_one_is_made() -> None:
    calls = answer("weather in paris and in london", tools=(WEATHER,), parallel=False)

    assert calls == [("get_weather", {"city": "Paris"})]


def test_a_missing_argument_is_asked_for_and_its_answer_completes_the_call() -> None:
    asked, called = talk("what is the weather", "in paris please", tools=(WEATHER,))

    assert asked == "Which city do you mean?"
    assert called == [("get_weather", {"city": "Paris"})]


def test_several_missing_arguments_are_asked_for_one_by_one() -> None:
    first, second, called = talk("i'd like to book a table", "Luigi's", "four", tools=(TABLE,))

    assert "restaurant" in first
    assert "people" in second
    assert called == [("bookTable", {"restaurant": "Luigi's", "people": 4})]


def test_a_choice_is_offered_and_asked_for_again_until_it_is_one() -> None:
    asked, again, called = talk("turn off the lights", "the cellar", "the kitchen", tools=(LIGHT,))

    assert asked == again == "Which room do you mean: kitchen or living room?"
    assert called == [("set_light", {"room": "kitchen", "on": False})]


def test_a_yes_or_no_is_an_argument_when_it_was_asked_for() -> None:
    alarm = tool("set_alarm", "Sets the alarm.", loud=BOOLEAN)

    asked, called = talk("set the alarm", "no", tools=(alarm,))

    assert "loud" in asked
    assert called == [("set_alarm", {"loud": False})]


def test_a_truth_that_was_not_spoken_of_is_asked_for() -> None:
    alarm = tool("set_alarm", "Sets the alarm.", loud=BOOLEAN)

    assert "loud" in said("please set no alarm but the early one", tools=(alarm,))


@pytest.mark.parametrize("turn", ["never mind", "what is your name?", "thanks", "", "hello"])
def test_a_wish_that_is_not_completed_is_dropped(turn: str) -> None:
    _, words, later = talk("what is the weather", turn, "paris", tools=(WEATHER,))

    assert isinstance(words, str)
    assert isinstance(later, str)


def test_an_answer_to_half_a_question_still_completes_the_call() -> None:
    calls = answer("what is the weather", assistant("Which city do"), "Paris", tools=(WEATHER,))

    assert calls == [("get_weather", {"city": "Paris"})]


def test_the_question_for_an_argument_is_asked_in_the_callers_language() -> None:
    asked, called = talk("Wie ist das Wetter?", "in Berlin bitte", tools=(WEATHER,))

    assert asked == "Was meinen Sie mit „city“?"
    assert called == [("get_weather", {"city": "Berlin"})]


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        {},
        {"type": "string"},
        {"type": "object", "properties": ["city"], "required": "city"},
        {"type": "object", "properties": {"a": 7, "b": {"type": "colour"}, "c": {"enum": []}}},
        {"required": ["x", 3]},
        {"properties": {"a": {"$ref": "#/properties/a"}}, "required": ["a"]},
        {"properties": {"a": {"anyOf": [{"type": "null"}, 3]}}, "required": ["a"]},
        {"properties": {"a": {"type": "integer", "minimum": "x", "maximum": None}}},
    ],
)
@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_malformed_schema_is_borne(parameters: Any, choice: ToolChoice) -> None:
    odd = FunctionTool("odd_thing", None, parameters)

    answered = answer("do the odd thing with 3 apples", tools=(odd,), tool_choice=choice)

    assert answered if choice == "required" else answered is not None


SCALARS = st.one_of(
    st.just(STRING),
    st.just(BOOLEAN),
    st.just({"type": ["integer", "null"]}),
    st.builds(
        lambda kind, least, room: {"type": kind, "minimum": least, "maximum": least + room},
        st.sampled_from(["integer", "number"]),
        st.integers(-50, 50),
        st.integers(0, 50),
    ),
    st.lists(st.sampled_from(["red", "dark_blue", 3, True, "x"]), min_size=1).map(
        lambda values: {"enum": values}
    ),
)
NAMES = st.sampled_from(
    ["city", "date", "count", "on", "name", "query", "items", "size", "a", "to", "kitchenLight"]
)


def objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(NAMES, inner, max_size=4).flatmap(
        lambda properties: st.builds(
            lambda required: {"type": "object", "properties": properties, "required": required},
            st.lists(st.sampled_from(sorted(properties)), unique=True)
            if properties
            else st.just([]),
        )
    )


SCHEMAS = objects(
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.builds(
                lambda item, least: {"type": "array", "items": item, "minItems": least},
                inner,
                st.integers(0, 3),
            ),
            objects(inner),
        ),
        max_leaves=6,
    )
)
SPEECH = (
    "put red dark blue kitchen light on off in paris for 3 7.5 twelve people, and not tomorrow 'quoted "
    "words' size name is city to at query about"
)
TURNS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(SPEECH.split()), max_size=12).map(" ".join),
)


def valid(value: object, schema: Mapping[str, Any]) -> bool:
    """Whether *value* is what *schema* wants, as far as the schemas above go."""
    if "enum" in schema:
        return any(value == each for each in schema["enum"])
    match schema["type"]:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return (
                isinstance(value, list)
                and len(value) >= schema["minItems"]
                and all(valid(each, schema["items"]) for each in value)
            )
        case "object":
            return (
                isinstance(value, dict)
                and set(schema["required"]) <= set(value) <= set(schema["properties"])
                and all(valid(each, schema["properties"][key]) for key, each in value.items())
            )
        case "number":
            whole = isinstance(value, int | float)
        case _:
            whole = isinstance(value, int)
    if not whole or isinstance(value, bool):
        return False
    assert isinstance(value, int | float)
    return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))


@given(schema=SCHEMAS, turn=TURNS)
def test_forced_arguments_are_always_what_the_schema_wants(
    schema: dict[str, Any], turn: str
) -> None:
    any_tool = FunctionTool("do_it", "Does it.", schema)

    calls = answer(turn, tools=(any_tool,), tool_choice=NamedTool("do_it"))

    assert isinstance(calls, list)
    assert [name for name, _ in calls] == ["do_it"]
    assert valid(calls[0][1], schema)


@given(turns=st.lists(TURNS, max_size=4), schema=SCHEMAS, instructions=st.text(max_size=80))
def test_nothing_that_is_said_makes_it_fail(
    turns: list[str], schema: dict[str, Any], instructions: str
) -> None:
    tools = (FunctionTool("kitchen_light", "People in Paris.", schema), WEATHER)

    for answered in talk(*turns, tools=tools, instructions=instructions):
        assert answered


# Function results


def told(
    output: str, *, name: str = "get_weather", arguments: str = '{"city": "Paris"}', **options: Any
) -> str:
    return said(
        "what is the weather in paris",
        FunctionCall("f", name, "call_1", arguments),
        FunctionCallOutput("o", "call_1", output),
        tools=(WEATHER,),
        **options,
    )


RESULTS = (
    (
        '{"temperature": 18, "condition": "sunny"}',
        "The weather for Paris: temperature is 18, condition is sunny.",
    ),
    (
        '{"city": "Paris", "temperature": 18.5, "unit": "celsius", "wind_kmh": 12}',
        "The weather for Paris: temperature is 18.5 degrees Celsius, wind is 12 km/h.",
    ),
    ("Sunny, 18 degrees", "Sunny, 18 degrees."),
    ('{"result": 19}', "The weather is 19."),
    ('["rain", "hail", "snow"]', "The weather is rain, hail and snow."),
    (
        '[{"day": "Monday", "high": 3}, {"day": "Tuesday", "high": 4}]',
        "Weather: day is Monday, high is 3; day is Tuesday, high is 4.",
    ),
    ("[1, 2, 3, 4, 5, 6, 7]", "The weather is 1, 2, 3, 4, 5 and 2 more."),
    ('{"error": "unknown city"}', "That did not work: unknown city."),
    ('{"success": false, "message": "no network"}', "That did not work: no network."),
    ('{"error": {"message": "late"}}', "That did not work: late."),
    ("false", "That did not work."),
    ("null", "That is done."),
    ("", "That is done."),
)


@pytest.mark.parametrize(("output", "sentence"), RESULTS)
def test_a_result_is_told_as_a_sentence(output: str, sentence: str) -> None:
    assert told(output) == sentence


def test_a_result_is_told_even_when_a_call_is_demanded() -> None:
    assert "18" in told('{"temperature": 18}', tool_choice="required")


def test_a_long_result_is_shortened() -> None:
    words = told("Rain falls on the hills. " * 400)

    assert len(words) <= 500
    assert words.endswith("hills.")


@pytest.mark.parametrize("output", ["[" * 50_000, '{"a": ' * 300, "{{}} {0} {why}", '"{you}"'])
def test_an_odd_result_is_borne(output: str) -> None:
    assert told(output)


def test_several_results_are_told_one_after_the_other() -> None:
    words = said(
        "weather in paris and rome",
        FunctionCall("f", "get_weather", "1", '{"city": "Paris"}'),
        FunctionCall("g", "get_weather", "2", '{"city": "Rome"}'),
        FunctionCallOutput("o", "2", '{"sky": "grey"}'),
        FunctionCallOutput("p", "1", '{"sky": "blue"}'),
    )

    assert words == "The weather for Rome: sky is grey. The weather for Paris: sky is blue."


def test_without_its_result_it_waits() -> None:
    assert "waiting" in said("weather?", FunctionCall("f", "get_weather", "1", "{}"))


def test_a_result_that_the_caller_talked_over_is_not_told_any_more() -> None:
    words = said(
        "weather?",
        FunctionCall("f", "get_weather", "1", "{}"),
        FunctionCallOutput("o", "1", '{"sky": "blue"}'),
        "goodbye",
    )

    assert "blue" not in words


def test_after_a_result_the_next_turn_is_answered_afresh() -> None:
    calls = answer(
        "weather in paris",
        FunctionCall("f", "get_weather", "1", '{"city": "Paris"}'),
        FunctionCallOutput("o", "1", '{"sky": "blue"}'),
        assistant("The weather for Paris: sky is blue."),
        "weather in rome",
        tools=(WEATHER,),
    )

    assert calls == [("get_weather", {"city": "Rome"})]


# Size


@pytest.mark.parametrize(
    "unit", ["a ", "and ", "1 ", "'", "my name is ", "one hundred ", "tell me "]
)
def test_a_hundred_kilobytes_are_answered(unit: str) -> None:
    much = unit * (100_000 // len(unit))

    assert answer(much, tools=(WEATHER,))
    assert answer("what about it", instructions=much, knowledge=much)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("twenty five", "25"),
        ("one hundred and five dogs", "105 dogs"),
        ("two thousand twenty four", "2024"),
        ("one two three", "1 2 3"),
        ("Seventeen and three", "17 and 3"),
    ],
)
def test_number_words_become_digits(text: str, digits: str) -> None:
    assert with_digits(text) == digits


def test_every_language_has_lines_with_the_same_blanks() -> None:
    for phrases in PHRASES.values():
        for field in phrases.__struct_fields__:
            lines = getattr(phrases, field)
            english = getattr(PHRASES["en"], field)
            for line in (lines,) if isinstance(lines, str) else lines:
                for blank in (
                    "{name}",
                    "{thing}",
                    "{choices}",
                    "{value}",
                    "{why}",
                    "{said}",
                    "{time}",
                ):
                    sample = english if isinstance(english, str) else english[0]
                    assert (blank in line) == (blank in sample), (field, line)


def many_tools(count: int) -> list[FunctionTool]:
    """Functions of fifteen arguments each."""
    arguments = {f"argument_{n}": STRING for n in range(15)}
    return [tool(f"function_{n}", "Does something.", **arguments) for n in range(count)]


@pytest.mark.parametrize(
    ("asked", "tools", "aside"),
    [
        ("hello", [WEATHER], False),
        ("hello " * 1000, [WEATHER], True),
        ("hello", many_tools(20), True),
    ],
    ids=["a short request", "many words", "many functions"],
)
def test_what_takes_long_to_read_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch, asked: str, tools: Sequence[FunctionTool], aside: bool
) -> None:
    threads = []

    def noted(*_: object) -> str:
        threads.append(threading.current_thread())
        return "yes"

    monkeypatch.setattr("vivavoce.engines.responder.answer_for", noted)

    assert answer(asked, tools=tools) == "yes"
    assert (threads != [threading.main_thread()]) is aside
