# ruff: noqa: RUF001 - Cyrillic letters and typographic quotes are meant
"""What the responder says, in each language it has lines for.

`{you}` is the caller's name after a comma, or nothing; the other blanks are always filled.
"""

from msgspec import Struct

Lines = tuple[str, ...]


class Phrases(Struct, frozen=True):
    """One language's lines. Where there are several, they take turns."""

    hello: str
    opener: Lines
    introduction: str
    named: str
    myself: str
    well: str
    pleased: str
    your_name: str
    no_name: str
    thanks: Lines
    farewell: Lines
    agreed: Lines
    refused: Lines
    help: str
    unheard: Lines
    unknown: Lines
    unable: str
    ask_back: Lines
    you_said: str
    nothing_said: str
    still_there: Lines
    story: str
    clock: str
    day: str
    weekdays: str
    months: str
    which: str
    which_of: str
    what: str
    number: str
    whether: str
    either: str
    result: str
    done: str
    failed: str
    waiting: str
    no_division: str
    kind: str
    unsure: str
    why: str
    present: str
    impersonal: str


ENGLISH = Phrases(
    hello="Hello{you}!",
    opener=(
        "Hello{you}! How can I help you today?",
        "Hi{you}! What can I do for you?",
        "Hello again{you}! What would you like to talk about?",
    ),
    introduction="I am {name}.",
    named="My name is {name}.",
    myself="I am Viva Voce's built-in responder: I work by rules and am no language model and no "
    "person. To talk with a real language model, start the server with another recipe, one that "
    "names a language model.",
    well="I am well, thank you{you}. How are you?",
    pleased="Nice to meet you{you}. What can I do for you?",
    your_name="Your name is {name}.",
    no_name="You have not told me your name yet. What is it?",
    thanks=("You are welcome{you}.", "With pleasure{you}.", "Any time{you}."),
    farewell=("Goodbye{you}! It was good to talk to you.", "Bye{you}! Until next time."),
    agreed=("Good. What comes next?", "Fine. Please go on.", "I see. Tell me more."),
    refused=("All right. What would you like instead?", "Very well. What else can I do for you?"),
    help="I can chat a little, tell the time and the date, count, do sums, tell a story, and "
    "answer from what I was told. What would you like?",
    unheard=(
        "I did not catch that. Could you say it again?",
        "Sorry, I heard nothing I could understand. Please try once more.",
        "I am still listening. What did you say?",
    ),
    unknown=(
        "I have no knowledge of that; I work by rules and know only what I was told.",
        "That I do not know. I can only answer from what I was told.",
        "Nobody has told me that, so I have no answer.",
    ),
    unable="That is beyond me{you}: I am a set of rules and can only talk a little.",
    ask_back=(
        "Tell me more about that{you}.",
        "What makes you say that?",
        "I see{you}. And what follows from it?",
        "How did that come about?",
        "What matters most to you in that?",
        "Please go on{you}.",
    ),
    you_said="You said: {said}",
    nothing_said="Nothing has been said yet.",
    still_there=("Are you still there{you}?", "Is there anything else I can do for you?"),
    story="Here is a story. Once there was a lighthouse at the edge of a cold grey sea, and in it "
    "lived a keeper called Marta. Every evening she climbed two hundred steps, lit the lamp, and "
    "read aloud to the waves, because nobody else was there to listen. One night the lamp went out "
    "in a storm. Marta tried every match she had, and the wind ate them all. Far out in the dark "
    "she saw the lights of a ship that had lost its way. So she did the only thing she could: she "
    "opened the windows and read as loudly as she was able. Out at sea, a young sailor heard a "
    "voice between two gusts of wind. He turned the wheel towards it, then away from the rocks, "
    "and the ship slid safely into the bay. In the morning he climbed the two hundred steps with "
    "a new box of matches. He asked only one thing in return. He wanted to know how the book "
    "ended. Marta laughed, put the kettle on, and began again at page one. That is the end.",
    clock="It is {time}.",
    day="Today is {weekday}, {month} {day}, {year}.",
    weekdays="Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    months="January February March April May June July August September October November December",
    which="Which {thing} do you mean?",
    which_of="Which {thing} do you mean: {choices}?",
    what="What should the {thing} be?",
    number="What number should I take for {thing}?",
    whether="Shall I set {thing}? Yes or no?",
    either="{others} or {last}",
    result="The {title} is {value}.",
    done="That is done.",
    failed="That did not work: {why}",
    waiting="I am still waiting for the result.",
    no_division="Nothing can be divided by zero.",
    kind="Responder.",
    unsure="Unknown.",
    why="Why?",
    present="Yes, I hear you{you}. What can I do for you?",
    impersonal="I am only a set of rules{you}: I have no age, no likings and no opinions.",
)

GERMAN = Phrases(
    hello="Hallo{you}!",
    opener=(
        "Hallo{you}! Wie kann ich Ihnen heute helfen?",
        "Guten Tag{you}! Was kann ich für Sie tun?",
        "Hallo{you}! Worüber möchten Sie sprechen?",
    ),
    introduction="Ich bin {name}.",
    named="Mein Name ist {name}.",
    myself="Ich bin der eingebaute Antwortgeber von Viva Voce: Ich arbeite nach Regeln und bin "
    "kein Sprachmodell und kein Mensch. Für ein echtes Sprachmodell starten Sie den Server mit "
    "einem anderen Rezept, das eines nennt.",
    well="Mir geht es gut, danke{you}. Wie geht es Ihnen?",
    pleased="Freut mich{you}. Was kann ich für Sie tun?",
    your_name="Ihr Name ist {name}.",
    no_name="Sie haben mir Ihren Namen noch nicht gesagt. Wie heißen Sie?",
    thanks=("Gern geschehen{you}.", "Mit Vergnügen{you}."),
    farewell=("Auf Wiedersehen{you}! Es war schön, mit Ihnen zu sprechen.", "Tschüss{you}!"),
    agreed=("Gut. Wie geht es weiter?", "Schön. Erzählen Sie weiter."),
    refused=("In Ordnung. Was möchten Sie stattdessen?", "Gut. Was kann ich sonst für Sie tun?"),
    help="Ich kann ein wenig plaudern, Uhrzeit und Datum sagen, zählen, rechnen und aus dem "
    "antworten, was man mir gesagt hat. Was möchten Sie?",
    unheard=("Das habe ich nicht verstanden. Bitte noch einmal.", "Wie bitte? Ich höre zu."),
    unknown=(
        "Davon weiß ich nichts; ich arbeite nach Regeln und kenne nur, was man mir gesagt hat.",
        "Das weiß ich nicht. Ich antworte nur aus dem, was man mir gesagt hat.",
    ),
    unable="Das kann ich nicht{you}: Ich bin nur ein Satz Regeln.",
    ask_back=(
        "Erzählen Sie mir mehr davon{you}.",
        "Wie kommen Sie darauf?",
        "Ich verstehe{you}. Und was folgt daraus?",
        "Was ist Ihnen daran wichtig?",
    ),
    you_said="Sie sagten: {said}",
    nothing_said="Es wurde noch nichts gesagt.",
    still_there=("Sind Sie noch da{you}?", "Kann ich noch etwas für Sie tun?"),
    story="Hier ist eine Geschichte. Eine alte Uhr ging jeden Tag fünf Minuten nach. Das Dorf "
    "schimpfte, bis eines Morgens alle den Zug verpassten, der im Tunnel stecken blieb. Seitdem "
    "stellt niemand mehr die Uhr. Das ist das Ende.",
    clock="Es ist {time} Uhr.",
    day="Heute ist {weekday}, der {day}. {month} {year}.",
    weekdays="Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    months="Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    which="Was meinen Sie mit „{thing}“?",
    which_of="Was meinen Sie mit „{thing}“: {choices}?",
    what="Was soll bei „{thing}“ stehen?",
    number="Welche Zahl soll ich für „{thing}“ nehmen?",
    whether="Soll „{thing}“ gelten? Ja oder nein?",
    either="{others} oder {last}",
    result="Das Ergebnis ({title}) ist {value}.",
    done="Das ist erledigt.",
    failed="Das hat nicht geklappt: {why}",
    waiting="Ich warte noch auf das Ergebnis.",
    no_division="Durch null kann man nicht teilen.",
    kind="Antwortgeber.",
    unsure="Unbekannt.",
    why="Warum?",
    present="Ja, ich höre Sie{you}. Was kann ich für Sie tun?",
    impersonal="Ich bin nur ein Satz Regeln{you}: Ich habe kein Alter, keine Vorlieben und keine Meinung.",
)

FRENCH = Phrases(
    hello="Bonjour{you} !",
    opener=(
        "Bonjour{you} ! Comment puis-je vous aider aujourd'hui ?",
        "Bonjour{you} ! Que puis-je faire pour vous ?",
        "Rebonjour{you} ! De quoi voulez-vous parler ?",
    ),
    introduction="Je suis {name}.",
    named="Je m'appelle {name}.",
    myself="Je suis le répondeur intégré de Viva Voce : je travaille avec des règles et ne suis ni "
    "un modèle de langage ni une personne. Pour parler à un vrai modèle de langage, démarrez le "
    "serveur avec une autre recette, qui en nomme un.",
    well="Je vais bien, merci{you}. Et vous ?",
    pleased="Enchanté{you}. Que puis-je faire pour vous ?",
    your_name="Vous vous appelez {name}.",
    no_name="Vous ne m'avez pas encore dit votre nom. Comment vous appelez-vous ?",
    thanks=("Je vous en prie{you}.", "Avec plaisir{you}."),
    farewell=("Au revoir{you} ! C'était un plaisir.", "À bientôt{you} !"),
    agreed=("Bien. Et ensuite ?", "D'accord. Continuez, je vous en prie."),
    refused=("D'accord. Que voulez-vous à la place ?", "Bien. Que puis-je faire d'autre ?"),
    help="Je peux bavarder un peu, dire l'heure et la date, compter, calculer et répondre avec ce "
    "qu'on m'a appris. Que voulez-vous ?",
    unheard=("Je n'ai pas compris. Pouvez-vous répéter ?", "Pardon ? Je vous écoute."),
    unknown=(
        "Je n'en sais rien ; je travaille avec des règles et ne sais que ce qu'on m'a dit.",
        "Je ne sais pas. Je ne réponds qu'avec ce qu'on m'a dit.",
    ),
    unable="Cela me dépasse{you} : je ne suis qu'un ensemble de règles.",
    ask_back=(
        "Dites-m'en plus{you}.",
        "Qu'est-ce qui vous fait dire cela ?",
        "Je vois{you}. Et qu'en déduisez-vous ?",
        "Qu'est-ce qui compte le plus pour vous ?",
    ),
    you_said="Vous avez dit : {said}",
    nothing_said="Rien n'a encore été dit.",
    still_there=("Êtes-vous toujours là{you} ?", "Puis-je faire autre chose pour vous ?"),
    story="Voici une histoire. Une vieille horloge retardait de cinq minutes. Le village râlait, "
    "jusqu'au matin où tous manquèrent le train qui resta bloqué dans le tunnel. Depuis, personne "
    "ne règle plus l'horloge. C'est la fin.",
    clock="Il est {time}.",
    day="Nous sommes le {weekday} {day} {month} {year}.",
    weekdays="lundi mardi mercredi jeudi vendredi samedi dimanche",
    months="janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    which="Que voulez-vous pour « {thing} » ?",
    which_of="Que voulez-vous pour « {thing} » : {choices} ?",
    what="Que dois-je mettre pour « {thing} » ?",
    number="Quel nombre dois-je prendre pour « {thing} » ?",
    whether="Dois-je activer « {thing} » ? Oui ou non ?",
    either="{others} ou {last}",
    result="Le résultat ({title}) est {value}.",
    done="C'est fait.",
    failed="Cela n'a pas marché : {why}",
    waiting="J'attends encore le résultat.",
    no_division="On ne peut pas diviser par zéro.",
    kind="Répondeur.",
    unsure="Inconnu.",
    why="Pourquoi ?",
    present="Oui, je vous entends{you}. Que puis-je faire pour vous ?",
    impersonal="Je ne suis qu'un ensemble de règles{you} : je n'ai ni âge, ni goûts, ni opinions.",
)

SPANISH = Phrases(
    hello="¡Hola{you}!",
    opener=(
        "¡Hola{you}! ¿En qué puedo ayudarle hoy?",
        "¡Buenas{you}! ¿Qué puedo hacer por usted?",
        "¡Hola de nuevo{you}! ¿De qué quiere hablar?",
    ),
    introduction="Soy {name}.",
    named="Me llamo {name}.",
    myself="Soy el contestador integrado de Viva Voce: trabajo con reglas y no soy un modelo de "
    "lenguaje ni una persona. Para hablar con un modelo de lenguaje de verdad, inicie el servidor "
    "con otra receta que nombre uno.",
    well="Estoy bien, gracias{you}. ¿Y usted?",
    pleased="Mucho gusto{you}. ¿Qué puedo hacer por usted?",
    your_name="Usted se llama {name}.",
    no_name="Todavía no me ha dicho su nombre. ¿Cómo se llama?",
    thanks=("De nada{you}.", "Con mucho gusto{you}."),
    farewell=("¡Adiós{you}! Ha sido un placer.", "¡Hasta luego{you}!"),
    agreed=("Bien. ¿Y ahora?", "De acuerdo. Siga, por favor."),
    refused=("De acuerdo. ¿Qué prefiere?", "Muy bien. ¿Qué más puedo hacer por usted?"),
    help="Puedo charlar un poco, decir la hora y la fecha, contar, calcular y responder con lo que "
    "me han dicho. ¿Qué desea?",
    unheard=("No le he entendido. ¿Puede repetirlo?", "¿Cómo dice? Le escucho."),
    unknown=(
        "De eso no sé nada; trabajo con reglas y solo sé lo que me han dicho.",
        "Eso no lo sé. Solo respondo con lo que me han dicho.",
    ),
    unable="Eso me supera{you}: solo soy un conjunto de reglas.",
    ask_back=(
        "Cuénteme más sobre eso{you}.",
        "¿Por qué lo dice?",
        "Entiendo{you}. ¿Y qué se sigue de ello?",
        "¿Qué es lo que más le importa?",
    ),
    you_said="Usted dijo: {said}",
    nothing_said="Todavía no se ha dicho nada.",
    still_there=("¿Sigue ahí{you}?", "¿Puedo hacer algo más por usted?"),
    story="Aquí va un cuento. Un viejo reloj se atrasaba cinco minutos cada día. El pueblo se "
    "quejaba, hasta que una mañana todos perdieron el tren que se quedó atrapado en el túnel. "
    "Desde entonces nadie corrige el reloj. Fin.",
    clock="Son las {time}.",
    day="Hoy es {weekday}, {day} de {month} de {year}.",
    weekdays="lunes martes miércoles jueves viernes sábado domingo",
    months="enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
    "diciembre",
    which="¿Qué quiere decir con «{thing}»?",
    which_of="¿Qué quiere decir con «{thing}»: {choices}?",
    what="¿Qué debo poner en «{thing}»?",
    number="¿Qué número debo tomar para «{thing}»?",
    whether="¿Activo «{thing}»? ¿Sí o no?",
    either="{others} o {last}",
    result="El resultado ({title}) es {value}.",
    done="Hecho.",
    failed="No ha funcionado: {why}",
    waiting="Todavía espero el resultado.",
    no_division="No se puede dividir por cero.",
    kind="Contestador.",
    unsure="Desconocido.",
    why="¿Por qué?",
    present="Sí, le oigo{you}. ¿Qué puedo hacer por usted?",
    impersonal="Solo soy un conjunto de reglas{you}: no tengo edad, gustos ni opiniones.",
)

PORTUGUESE = Phrases(
    hello="Olá{you}!",
    opener=(
        "Olá{you}! Como posso ajudar você hoje?",
        "Oi{you}! O que posso fazer por você?",
        "Olá de novo{you}! Sobre o que você quer falar?",
    ),
    introduction="Eu sou {name}.",
    named="Meu nome é {name}.",
    myself="Eu sou o respondedor embutido do Viva Voce: trabalho com regras e não sou um modelo de "
    "linguagem nem uma pessoa. Para falar com um modelo de linguagem de verdade, inicie o servidor "
    "com outra receita, que indique um.",
    well="Estou bem, obrigado{you}. E você?",
    pleased="Muito prazer{you}. O que posso fazer por você?",
    your_name="Seu nome é {name}.",
    no_name="Você ainda não me disse seu nome. Qual é?",
    thanks=("De nada{you}.", "Com prazer{you}."),
    farewell=("Até logo{you}! Foi um prazer.", "Tchau{you}!"),
    agreed=("Bom. E agora?", "Certo. Continue, por favor."),
    refused=("Tudo bem. O que você prefere?", "Certo. O que mais posso fazer por você?"),
    help="Posso conversar um pouco, dizer a hora e a data, contar, fazer contas e responder com o "
    "que me disseram. O que você deseja?",
    unheard=("Não entendi. Pode repetir?", "Como? Estou ouvindo."),
    unknown=(
        "Disso eu não sei nada; trabalho com regras e só sei o que me disseram.",
        "Isso eu não sei. Só respondo com o que me disseram.",
    ),
    unable="Isso está além de mim{you}: sou apenas um conjunto de regras.",
    ask_back=(
        "Conte mais sobre isso{you}.",
        "Por que você diz isso?",
        "Entendo{you}. E o que vem daí?",
        "O que mais importa para você nisso?",
    ),
    you_said="Você disse: {said}",
    nothing_said="Ainda não se disse nada.",
    still_there=("Você ainda está aí{you}?", "Posso fazer mais alguma coisa por você?"),
    story="Aqui vai uma história. Um velho relógio atrasava cinco minutos por dia. A vila "
    "reclamava, até que numa manhã todos perderam o trem que ficou preso no túnel. Desde então "
    "ninguém mais acerta o relógio. Fim.",
    clock="São {time}.",
    day="Hoje é {weekday}, {day} de {month} de {year}.",
    weekdays="segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
    months="janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro "
    "dezembro",
    which="O que você quer dizer com “{thing}”?",
    which_of="O que você quer dizer com “{thing}”: {choices}?",
    what="O que devo pôr em “{thing}”?",
    number="Que número devo usar para “{thing}”?",
    whether="Devo ativar “{thing}”? Sim ou não?",
    either="{others} ou {last}",
    result="O resultado ({title}) é {value}.",
    done="Feito.",
    failed="Não funcionou: {why}",
    waiting="Ainda espero o resultado.",
    no_division="Não se pode dividir por zero.",
    kind="Respondedor.",
    unsure="Desconhecido.",
    why="Por quê?",
    present="Sim, estou ouvindo{you}. O que posso fazer por você?",
    impersonal="Sou apenas um conjunto de regras{you}: não tenho idade, gostos nem opiniões.",
)

SWEDISH = Phrases(
    hello="Hej{you}!",
    opener=(
        "Hej{you}! Hur kan jag hjälpa dig i dag?",
        "Hej{you}! Vad kan jag göra för dig?",
        "Hej igen{you}! Vad vill du prata om?",
    ),
    introduction="Jag är {name}.",
    named="Jag heter {name}.",
    myself="Jag är Viva Voces inbyggda svarare: jag arbetar efter regler och är ingen språkmodell "
    "och ingen människa. Starta servern med ett annat recept, som nämner en språkmodell, för att "
    "tala med en riktig.",
    well="Jag mår bra, tack{you}. Hur mår du?",
    pleased="Trevligt att träffas{you}. Vad kan jag göra för dig?",
    your_name="Du heter {name}.",
    no_name="Du har inte sagt vad du heter än. Vad heter du?",
    thanks=("Varsågod{you}.", "Så gärna{you}."),
    farewell=("Hej då{you}! Det var trevligt att prata.", "Vi hörs{you}!"),
    agreed=("Bra. Vad händer sedan?", "Fint. Berätta vidare."),
    refused=("Okej. Vad vill du i stället?", "Som du vill. Vad mer kan jag göra för dig?"),
    help="Jag kan prata lite, säga klockan och datumet, räkna och svara utifrån det jag har fått "
    "veta. Vad vill du?",
    unheard=("Jag uppfattade inte det. Kan du säga det igen?", "Förlåt? Jag lyssnar."),
    unknown=(
        "Det vet jag inget om; jag arbetar efter regler och vet bara det jag har fått höra.",
        "Det vet jag inte. Jag svarar bara utifrån det jag har fått veta.",
    ),
    unable="Det klarar jag inte{you}: jag är bara en samling regler.",
    ask_back=(
        "Berätta mer om det{you}.",
        "Vad får dig att säga det?",
        "Jag förstår{you}. Och vad följer av det?",
        "Vad är viktigast för dig i det?",
    ),
    you_said="Du sade: {said}",
    nothing_said="Ingenting har sagts än.",
    still_there=("Är du kvar{you}?", "Kan jag göra något mer för dig?"),
    story="Här är en saga. En gammal klocka gick fem minuter efter varje dag. Byn klagade, tills "
    "alla en morgon missade tåget som fastnade i tunneln. Sedan dess ställer ingen klockan. Slut.",
    clock="Klockan är {time}.",
    day="I dag är det {weekday} den {day} {month} {year}.",
    weekdays="måndag tisdag onsdag torsdag fredag lördag söndag",
    months="januari februari mars april maj juni juli augusti september oktober november december",
    which="Vad menar du med ”{thing}”?",
    which_of="Vad menar du med ”{thing}”: {choices}?",
    what="Vad ska stå för ”{thing}”?",
    number="Vilket tal ska jag ta för ”{thing}”?",
    whether="Ska ”{thing}” gälla? Ja eller nej?",
    either="{others} eller {last}",
    result="Resultatet ({title}) är {value}.",
    done="Det är gjort.",
    failed="Det gick inte: {why}",
    waiting="Jag väntar fortfarande på resultatet.",
    no_division="Man kan inte dela med noll.",
    kind="Svarare.",
    unsure="Okänt.",
    why="Varför?",
    present="Ja, jag hör dig{you}. Vad kan jag göra för dig?",
    impersonal="Jag är bara en samling regler{you}: jag har ingen ålder, ingen smak och inga åsikter.",
)

RUSSIAN = Phrases(
    hello="Здравствуйте{you}!",
    opener=(
        "Здравствуйте{you}! Чем я могу вам помочь?",
        "Добрый день{you}! Что я могу для вас сделать?",
        "Здравствуйте ещё раз{you}! О чём поговорим?",
    ),
    introduction="Я {name}.",
    named="Меня зовут {name}.",
    myself="Я встроенный ответчик Viva Voce: я работаю по правилам и не являюсь ни языковой "
    "моделью, ни человеком. Чтобы поговорить с настоящей языковой моделью, запустите сервер с "
    "другим рецептом, в котором она названа.",
    well="Хорошо, спасибо{you}. Как ваши дела?",
    pleased="Приятно познакомиться{you}. Что я могу для вас сделать?",
    your_name="Вас зовут {name}.",
    no_name="Вы ещё не сказали, как вас зовут. Как ваше имя?",
    thanks=("Пожалуйста{you}.", "Всегда рад помочь{you}."),
    farewell=("До свидания{you}! Было приятно поговорить.", "Всего доброго{you}!"),
    agreed=("Хорошо. Что дальше?", "Понятно. Продолжайте, пожалуйста."),
    refused=("Хорошо. Чего бы вы хотели вместо этого?", "Ладно. Чем ещё я могу помочь?"),
    help="Я могу немного побеседовать, назвать время и дату, посчитать и ответить по тому, что мне "
    "сообщили. Чего бы вы хотели?",
    unheard=("Я не расслышал. Повторите, пожалуйста.", "Простите? Я слушаю."),
    unknown=(
        "Об этом я ничего не знаю; я работаю по правилам и знаю только то, что мне сообщили.",
        "Этого я не знаю. Я отвечаю только по тому, что мне сообщили.",
    ),
    unable="Это мне не под силу{you}: я всего лишь набор правил.",
    ask_back=(
        "Расскажите об этом подробнее{you}.",
        "Почему вы так говорите?",
        "Понимаю{you}. И что из этого следует?",
        "Что для вас в этом самое важное?",
    ),
    you_said="Вы сказали: {said}",
    nothing_said="Пока ничего не было сказано.",
    still_there=("Вы ещё здесь{you}?", "Могу ли я ещё чем-нибудь помочь?"),
    story="Вот история. Старые часы каждый день отставали на пять минут. Деревня ворчала, пока "
    "однажды утром все не опоздали на поезд, который застрял в туннеле. С тех пор часы никто не "
    "подводит. Конец.",
    clock="Сейчас {time}.",
    day="Сегодня {weekday}, {day} {month} {year} года.",
    weekdays="понедельник вторник среда четверг пятница суббота воскресенье",
    months="января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    which="Что вы имеете в виду под «{thing}»?",
    which_of="Что вы имеете в виду под «{thing}»: {choices}?",
    what="Что указать для «{thing}»?",
    number="Какое число взять для «{thing}»?",
    whether="Включить «{thing}»? Да или нет?",
    either="{others} или {last}",
    result="Результат ({title}): {value}.",
    done="Готово.",
    failed="Не получилось: {why}",
    waiting="Я ещё жду результата.",
    no_division="На ноль делить нельзя.",
    kind="Ответчик.",
    unsure="Неизвестно.",
    why="Почему?",
    present="Да, я вас слышу{you}. Что я могу для вас сделать?",
    impersonal="Я всего лишь набор правил{you}: у меня нет ни возраста, ни вкусов, ни мнений.",
)

PHRASES = {
    "en": ENGLISH,
    "de": GERMAN,
    "fr": FRENCH,
    "es": SPANISH,
    "pt": PORTUGUESE,
    "sv": SWEDISH,
    "ru": RUSSIAN,
}
