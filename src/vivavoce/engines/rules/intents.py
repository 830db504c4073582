"""What callers ask for, as patterns over a tidied utterance; one string to a language or two."""

import re
from collections.abc import Mapping
from typing import Literal

Intent = Literal[
    "hello",
    "who",
    "your_name",
    "how_are_you",
    "present",
    "impersonal",
    "thanks",
    "farewell",
    "agreement",
    "refusal",
    "assist",
    "greet",
    "repeat",
    "my_words",
    "say",
    "my_name",
    "name_told",
    "clock",
    "day",
    "count",
    "sum",
    "story",
    "help",
]

GREETING_WORDS = (
    r"(?:hello|hi|hey|hiya|good (?:morning|afternoon|evening|day)|greetings|howdy|"
    r"hallo|servus|moin|guten (?:tag|morgen|abend)|grüß gott|bonjour|bonsoir|salut|"
    r"hola|buenos días|buenas (?:tardes|noches)|olá|oi|bom dia|boa (?:tarde|noite)|"
    r"hej|hejsan|tjena|god (?:morgon|kväll|dag)|"
    r"привет|здравствуй(?:те)?|добрый (?:день|вечер)|доброе утро)"
)
_NAME = r"(?P<name>[^\W\d_][\w'-]{0,30}(?: (?-i:[A-Z\u0410-\u042f])[\w'-]{1,30}){0,2})"
NAME_TOLD = (
    r"\b(?:my name is|my name's|call me|ich heiße|mein name ist|je m'appelle|me llamo|mi nombre es|"
    rf"meu nome é|me chamo|jag heter|mitt namn är|меня зовут)\s+{_NAME}"
    r"|^(?:(?:hello|hi|hey)\b[,!. ]*)?(?:i am|i'm|ich bin|je suis|soy|jag är)\s+"
    r"(?P<plain>(?-i:[A-Z])[a-zà-ÿ]{1,20})[.!]?$"
)
_TELL_ME = r"(?:(?:please|do you know|can you|could you|tell me)\s+){0,3}"
_CAN_YOU = r"(?:(?:can|could|would|will) you )?(?:please )?"

_PATTERNS: Mapping[Intent, tuple[str, ...]] = {
    "hello": (
        (
            rf"(?:{GREETING_WORDS}[\s,.!]*){{1,4}}(?:(?:there|again|world|everyone|everybody|all|"
            r"(?:my )?friend|viva voce|assistant|computer|zusammen|à tous|a todos)[\s,.!]*)?"
        ),
    ),
    "who": (
        r"(?:what|who) are you|who is (?:this|there|speaking)|what is this|introduce yourself.{0,60}",
        (
            r"(?:are you|is this) (?:an? |the |just an? |only an? )?(?:real )?(?:large )?(?:\w{1,20} )?"
            r"(?:language model|model|llm|ai|a\.i|bot|chatbot|robot|human|human being|person|machine|"
            r"computer|man|woman|chatgpt|gpt|real|alive|program|assistant)"
        ),
        r"(?:who|what company) (?:made|built|created) you|how do you work",
        r"(?:tell me|say something|tell us) about yourself|what kind of .{1,30} are you",
        r"(?:which|what) (?:language )?model (?:are you|is this)",
        r"(?:wer|was) (?:bist du|sind sie)|(?:bist du|sind sie) eine? .{1,30}",
        (
            r"(?:qui|qu'est-ce que?) (?:es[- ]tu|êtes[- ]vous|tu es|vous êtes)|"
            r"(?:es[- ]tu|êtes[- ]vous|tu es|vous êtes) une? .{1,30}"
        ),
        r"(?:quién|qué) (?:eres|es usted)|(?:eres|es usted) una? .{1,30}",
        r"(?:quem|o que) é você|você é uma? .{1,30}",
        r"(?:vem|vad) är du|är du en .{1,30}",
        r"(?:кто|что) (?:ты|вы)(?: так(?:ой|ая|ие))?|(?:ты|вы) .{0,20}(?:человек|модель|робот)",
    ),
    "your_name": (
        r"what(?:'s| is) your name|do you have a name",
        r"what (?:are you called|(?:can|should|do) i call you)",
        r"wie hei(?:ß|ss)(?:t du|en sie)|wie ist (?:dein|ihr) name",
        (
            r"comment (?:t'appelles[- ]tu|vous appelez[- ]vous|tu t'appelles)|"
            r"quel est (?:ton|votre) nom"
        ),
        r"cómo (?:te llamas|se llama)|qual é o seu nome|como você se chama",
        r"vad heter du|как (?:тебя|вас) зовут",
    ),
    "how_are_you": (
        r"how(?:'s| is) it going|how are (?:you|things)(?: doing)?|how do you (?:do|feel)|what's up",
        r"are you (?:well|ok|okay|fine)|how(?:'s| is) your day(?: going)?|how have you been",
        r"wie geht(?:'s| es)(?: dir| ihnen)?|(?:comment )?ça va|comment (?:vas-tu|allez-vous)",
        r"(?:cómo|como) (?:estás|está(?: usted)?|vai|vai você)|qué tal|tudo bem",
        r"hur mår du|hur är läget|как (?:дела|поживаете|ты|вы)",
    ),
    "present": (
        (
            r"(?:hello[?,]? )?(?:are you (?:still )?(?:there|listening)|can you hear me|do you hear me|"
            r"is (?:anybody|anyone|somebody) there)"
        ),
        r"(?:this is )?(?:just )?(?:a )?(?:test|testing)(?: (?:one|1)(?: (?:two|2)(?: (?:three|3))?)?)?",
        r"(?:bist du|sind sie) (?:noch )?da|hörst du mich|hören sie mich",
        r"tu m'entends|(?:vous )?m'entendez[- ]vous|vous m'entendez|me oyes?|está ahí",
        r"(?:você )?(?:está aí|me ouve)|hör du mig|(?:ты|вы) меня слышишь?(?:те)?",
    ),
    "impersonal": (
        r"do you (?:really )?(?:like|love|hate|enjoy|feel|dream|sleep|eat|want|believe)(?: .{1,80})?",
        (
            r"how old are you|where (?:are you(?: from)?|do you live)|"
            r"do you have (?:feelings|friends|a family)|are you (?:happy|sad|married|sure|tired)"
        ),
        (
            r"what(?:'s| is) your (?:favou?rite .{1,40}|age|opinion.{0,60})|"
            r"what do you think(?: .{1,80})?"
        ),
        r"wie alt (?:bist du|sind sie)|quel âge (?:as-tu|avez-vous)|cuántos años tienes",
        r"quantos anos você tem|hur gammal är du|сколько (?:тебе|вам) лет",
    ),
    "thanks": (
        (
            r"(?:many |ok |okay |great |no )?(?:thank you|thanks)"
            r"(?: (?:a lot|so much|very much|for .{1,60}|you))?|cheers"
        ),
        r"(?:vielen |herzlichen )?dank(?:e)?(?: schön| sehr| dir| ihnen)?|merci(?: beaucoup| bien)?",
        r"(?:muchas )?gracias|(?:muito )?obrigad[oa]|tack(?: så mycket)?",
        r"(?:большое )?спасибо(?: большое)?",
    ),
    "farewell": (
        (
            r"(?:ok |okay |thanks |well )?(?:good ?bye|bye|bye[- ]bye|good night|farewell|"
            r"see you(?: later| soon| tomorrow)?|i have to go|that's all)"
        ),
        r"say (?:goodbye|bye|farewell)(?: to .{1,40})?",
        r"tschü(?:ss|ß)|auf wiedersehen|bis (?:bald|später|dann)|gute nacht",
        r"au revoir|à (?:bientôt|plus|demain)|adiós|hasta (?:luego|pronto|mañana)",
        r"tchau|até (?:logo|mais|amanhã)|adeus|hej då|vi (?:ses|hörs)",
        r"до (?:свидания|встречи)|пока",
    ),
    "agreement": (
        r"yes|yeah|yep|yup|sure|of course|right|exactly|okay|ok|alright|fine|good|great",
        r"ja|genau|gut|oui|d'accord|sí|si|claro|vale|sim|certo|да|конечно|хорошо",
    ),
    "refusal": (
        r"stop(?: it| that)?|wait|hold on|be quiet|no|nope|not really|no way|never mind|nothing|forget it|nein|non|não|nej|нет",
    ),
    "assist": (
        (
            r"(?:please )?(?:assist|help|support|serve|talk to|speak (?:to|with)|start|begin)(?: with)? "
            r"(?:the (?:user|caller|customer|conversation)|users)(?: .{0,80})?"
        ),
    ),
    "greet": (
        _CAN_YOU + r"(?:(?:always|first|just|now) )*(?:greet|welcome|begrüße|"
        r"(?:say|wish) (?:hello|hi|welcome|good (?:morning|day|evening))(?: to)?)(?: (?P<whom>[^.,!?]{1,60}?))?"
        r"(?:[ ,]+(?:and|then|warmly|briefly|politely|with|by|in|when)\b.{0,200})?",
    ),
    "repeat": (
        _CAN_YOU + r"(?:repeat(?: (?:that|it|this|yourself|your last (?:answer|sentence)))?|"
        r"say (?:that|it)(?: again| once more| one more time)?)",
        r"pardon(?: me)?|sorry|come again|once more|one more time|again|what(?: was that)?",
        r"what did you (?:just )?say|i didn't (?:hear|catch|get|understand) (?:that|you)",
        (
            r"noch ?mal|wie bitte|wiederhole(?:n sie)?(?: das| es)?|répète[sz]?|répétez|"
            r"pouvez-vous répéter"
        ),
        r"repite|repita|pode repetir|repete|en gång till|upprepa|повтори(?:те)?",
    ),
    "my_words": (
        (
            r"what did i (?:just |last )?(?:say|tell you|ask(?: you)?)|"
            r"what (?:have i|was i) (?:said|saying)"
        ),
        r"was habe ich gesagt|qu'ai-je dit|qué he dicho|o que eu disse|vad sa jag|что я сказала?",
    ),
    "say": (
        _CAN_YOU + r"(?:(?:say|repeat) after me|say|repeat|sag(?: mal)?|sprich mir nach|"
        r"répète après moi|dis|repite|di|repita|diga|säg|скажи)[:,]? "
        r"(?P<what>(?!something|anything|nothing|what|more|about|again).+)",
    ),
    "my_name": (
        r"(?:do you (?:know|remember) )?(?:what(?:'s| is)? my name(?: is)?|who (?:am i|i am))",
        r"(?:can you )?(?:tell me|say) my name|do you (?:know|remember) (?:my name|me)",
        r"wie hei(?:ß|ss)e ich|wie ist mein name|wer bin ich|comment je m'appelle|quel est mon nom",
        r"cómo me llamo|cuál es mi nombre|qual é (?:o )?meu nome|como eu me chamo",
        r"vad heter jag|как меня зовут",
    ),
    "name_told": (rf".{{0,200}}(?:{NAME_TOLD})",),
    "clock": (
        _TELL_ME + r"(?:what(?:'s| is)? (?:the )?time(?: is it| it is| is)?|the time|"
        r"do you have the time|how late is it)",
        r"wie spät ist es|wie ?viel uhr ist es|quelle heure est[- ]il|il est quelle heure",
        r"qué hora es|que horas são|(?:vad|hur mycket) är klockan|который час|сколько времени",
    ),
    "day": (
        _TELL_ME + r"(?:what(?:'s| is)? (?:the date|today's date|the date today|today|date is it|"
        r"day is it|day today is|day of the week is it|the day)|what date is today|"
        r"(?:what|which) day (?:is it|is today|of the week is it)|today's date|the date)",
        r"welche[rns]? (?:tag|datum) (?:ist|haben wir)(?: heute)?|den wievielten haben wir",
        r"quel jour (?:sommes-nous|est-on|on est)|quelle est la date",
        r"qué (?:día|fecha) es|que dia é|qual é a data",
        r"vilken dag är det|vad är det för (?:dag|datum)",
        r"какой (?:сегодня )?день|какое (?:сегодня )?число",
    ),
    "count": (
        _CAN_YOU
        + r"(?:count|zähle?|compte[zr]?|cuenta|cuente|conte|räkna|посчитай(?:те)?)\b.{1,80}",
    ),
    "sum": (r".{3,160}",),
    "story": (
        (
            r"(?:.{0,40} )?(?:tell|read|know|hear|want|make up|invent)(?: \w+){0,4} (?:story|tale|stories|"
            r"tales)(?: .{0,80})?|(?:a )?story"
        ),
        r"erzähl\w*(?: \w+){0,4} geschichte(?: .{0,40})?",
        r"racont\w+(?:[- ]\w+){0,4} histoire(?: .{0,40})?",
        r"cu[eé]nt\w+ (?:un cuento|una historia)(?: .{0,40})?",
        r"cont[ea]\w*(?:[- ]\w+){0,3} história(?: .{0,40})?",
        r"berätta(?: \w+){0,3} (?:saga|historia)(?: .{0,40})?",
        r"расскажи(?:те)?(?: \w+){0,3} (?:историю|сказку)(?: .{0,40})?",
    ),
    "help": (
        r"(?:(?:please|can you|could you|i need|i want|you should) )*help(?: me)?",
        r"what (?:can|do) you do|what can i (?:do|say|ask)(?: you)?|how can you help(?: me)?",
        r"hilfe|was kannst du|(?:kannst du|können sie) mir helfen",
        r"aide[- ]moi|aidez[- ]moi|que (?:peux-tu|pouvez-vous) faire",
        r"ayuda|ayúda?me|qué puedes hacer|ajuda|me ajude|o que você (?:pode|sabe) fazer",
        r"hjälp(?: mig)?|vad kan du(?: göra)?",
        r"помощь|помоги(?:те)?(?: мне)?|что (?:ты умеешь|вы умеете)",
    ),
}
_TAIL = (
    r"(?:[\s,.!?]+(?:please|now|right now|today|then|again|for me|really|exactly|anyway|bitte|heute|"
    r"jetzt|eigentlich|genau|por favor|hoy|hoje|nu|idag|i dag|s'il (?:te|vous) plaît|пожалуйста|"
    r"сейчас|сегодня)){0,4}"
)
_INTENTS = tuple(
    (intent, re.compile(f"(?:{'|'.join(patterns)}){_TAIL}", re.IGNORECASE))
    for intent, patterns in _PATTERNS.items()
)
_SOCIAL: frozenset[Intent] = frozenset(
    {
        "hello",
        "who",
        "your_name",
        "how_are_you",
        "present",
        "thanks",
        "farewell",
        "agreement",
        "refusal",
        "assist",
        "greet",
        "repeat",
        "my_words",
        "my_name",
    }
)


def intents_of(text: str) -> list[tuple[Intent, re.Match[str]]]:
    """Everything that *text* as a whole may be asking for, the likeliest first."""
    return [(intent, found) for intent, pattern in _INTENTS if (found := pattern.fullmatch(text))]


def is_small_talk(text: str) -> bool:
    """Whether it asks for nothing but company, so that no function should be called for it."""
    return any(intent in _SOCIAL for intent, _ in intents_of(text))
