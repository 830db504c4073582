/** All that the pages say, in five languages. A text that lacks one of them does not pass the type check. */

/** @typedef {"en" | "de" | "pt" | "ru" | "sv"} Language */
/** @typedef {keyof typeof TEXTS} Key */

/** By their own names. @type {Record<Language, string>} */
export const LANGUAGES = {
  en: "English",
  de: "Deutsch",
  pt: "Português",
  ru: "Русский",
  sv: "Svenska",
};

const TEXTS = inAllLanguages({
  // The frame of every page.
  "frame.skip": {
    en: "Skip to the content",
    de: "Zum Inhalt springen",
    pt: "Ir para o conteúdo",
    ru: "Перейти к содержанию",
    sv: "Hoppa till innehållet",
  },
  "frame.pages": { en: "Pages", de: "Seiten", pt: "Páginas", ru: "Страницы", sv: "Sidor" },
  "frame.home": { en: "Overview", de: "Übersicht", pt: "Visão geral", ru: "Обзор", sv: "Översikt" },
  "frame.sample": {
    en: "Web sample",
    de: "Web-Beispiel",
    pt: "Exemplo web",
    ru: "Веб-пример",
    sv: "Webbexempel",
  },
  "frame.language": { en: "Language", de: "Sprache", pt: "Idioma", ru: "Язык", sv: "Språk" },
  "frame.theme": {
    en: "Colour scheme",
    de: "Farbschema",
    pt: "Esquema de cores",
    ru: "Цветовая схема",
    sv: "Färgschema",
  },
  "frame.theme_auto": { en: "Auto", de: "Auto", pt: "Auto", ru: "Авто", sv: "Auto" },
  "frame.theme_light": { en: "Light", de: "Hell", pt: "Claro", ru: "Светлая", sv: "Ljust" },
  "frame.theme_dark": { en: "Dark", de: "Dunkel", pt: "Escuro", ru: "Тёмная", sv: "Mörkt" },
  "frame.sign_out": { en: "Sign out", de: "Abmelden", pt: "Sair", ru: "Выйти", sv: "Logga ut" },
  "frame.dismiss": { en: "Dismiss", de: "Schließen", pt: "Fechar", ru: "Закрыть", sv: "Stäng" },

  // What can go wrong anywhere.
  "error.unreachable": {
    en: "The server does not answer.",
    de: "Der Server antwortet nicht.",
    pt: "O servidor não responde.",
    ru: "Сервер не отвечает.",
    sv: "Servern svarar inte.",
  },
  "error.unreachable_advice": {
    en: "See whether it is still running, then load this page again.",
    de: "Sehen Sie nach, ob er noch läuft, und laden Sie diese Seite dann neu.",
    pt: "Verifique se ele ainda está em execução e recarregue esta página.",
    ru: "Проверьте, работает ли он, и загрузите эту страницу снова.",
    sv: "Se efter om den fortfarande körs och läs sedan in sidan igen.",
  },
  "error.sign_in_advice": {
    en: "Load this page again and sign in.",
    de: "Laden Sie diese Seite neu und melden Sie sich an.",
    pt: "Recarregue esta página e entre novamente.",
    ru: "Загрузите эту страницу снова и войдите.",
    sv: "Läs in sidan igen och logga in.",
  },
  "error.busy_advice": {
    en: "Wait a moment and try again.",
    de: "Warten Sie einen Augenblick und versuchen Sie es dann noch einmal.",
    pt: "Aguarde um momento e tente novamente.",
    ru: "Подождите немного и попробуйте ещё раз.",
    sv: "Vänta en stund och försök igen.",
  },
  "error.log_advice": {
    en: "The server’s log says more.",
    de: "Das Protokoll des Servers sagt mehr.",
    pt: "O log do servidor traz mais detalhes.",
    ru: "Подробности — в журнале сервера.",
    sv: "Serverns logg säger mer.",
  },

  // Copying.
  "copy.copy": { en: "Copy", de: "Kopieren", pt: "Copiar", ru: "Копировать", sv: "Kopiera" },
  "copy.copied": { en: "Copied", de: "Kopiert", pt: "Copiado", ru: "Скопировано", sv: "Kopierat" },
  "copy.failed": {
    en: "The browser did not allow copying. Select the text and copy it by hand.",
    de: "Der Browser hat das Kopieren nicht erlaubt. Markieren Sie den Text und kopieren Sie ihn von Hand.",
    pt: "O navegador não permitiu copiar. Selecione o texto e copie-o manualmente.",
    ru: "Браузер не разрешил копирование. Выделите текст и скопируйте его вручную.",
    sv: "Webbläsaren tillät inte kopiering. Markera texten och kopiera den för hand.",
  },

  // Signing in.
  "sign_in.title": {
    en: "Sign in · Viva Voce",
    de: "Anmelden · Viva Voce",
    pt: "Entrar · Viva Voce",
    ru: "Вход · Viva Voce",
    sv: "Logga in · Viva Voce",
  },
  "sign_in.heading": { en: "Sign in", de: "Anmelden", pt: "Entrar", ru: "Вход", sv: "Logga in" },
  "sign_in.link": {
    en: "The quickest way is the link that the server printed when it started. It works once and looks like this:",
    de: "Am schnellsten geht es mit dem Link, den der Server beim Start ausgegeben hat. Er gilt einmal und sieht so aus:",
    pt: "O caminho mais rápido é o link que o servidor mostrou ao iniciar. Ele funciona uma única vez e tem esta forma:",
    ru: "Быстрее всего — по ссылке, которую сервер вывел при запуске. Она действует один раз и выглядит так:",
    sv: "Snabbast går det med länken som servern skrev ut när den startade. Den fungerar en gång och ser ut så här:",
  },
  "sign_in.link_used": {
    en: "This link was used already, or the server has been restarted since. Sign in with the key instead.",
    de: "Dieser Link wurde schon benutzt, oder der Server ist seitdem neu gestartet worden. Melden Sie sich stattdessen mit dem Schlüssel an.",
    pt: "Este link já foi usado ou o servidor foi reiniciado desde então. Entre com a chave.",
    ru: "Эта ссылка уже использована, или сервер с тех пор был перезапущен. Войдите с помощью ключа.",
    sv: "Länken har redan använts, eller så har servern startats om sedan dess. Logga in med nyckeln i stället.",
  },
  "sign_in.key": {
    en: "Key of this server",
    de: "Schlüssel dieses Servers",
    pt: "Chave deste servidor",
    ru: "Ключ этого сервера",
    sv: "Serverns nyckel",
  },
  "sign_in.where": {
    en: "Printed at the start too, or given by whoever runs the server.",
    de: "Auch beim Start ausgegeben; sonst hat ihn, wer den Server betreibt.",
    pt: "Também mostrada ao iniciar; ou peça a quem administra o servidor.",
    ru: "Также выводится при запуске; или спросите того, кто управляет сервером.",
    sv: "Skrivs också ut vid starten; fråga annars den som driver servern.",
  },
  "sign_in.submit": { en: "Sign in", de: "Anmelden", pt: "Entrar", ru: "Войти", sv: "Logga in" },
  "sign_in.wrong": {
    en: "This is none of this server’s keys. Check that you pasted it whole, and try again.",
    de: "Das ist keiner der Schlüssel dieses Servers. Prüfen Sie, ob Sie ihn ganz eingefügt haben, und versuchen Sie es noch einmal.",
    pt: "Esta não é uma das chaves deste servidor. Verifique se a colou por inteiro e tente novamente.",
    ru: "Такого ключа у этого сервера нет. Проверьте, что вставили его целиком, и попробуйте ещё раз.",
    sv: "Det är ingen av serverns nycklar. Kontrollera att du klistrade in hela och försök igen.",
  },

  // The overview.
  "home.title": {
    en: "Overview · Viva Voce",
    de: "Übersicht · Viva Voce",
    pt: "Visão geral · Viva Voce",
    ru: "Обзор · Viva Voce",
    sv: "Översikt · Viva Voce",
  },
  "home.ready": {
    en: "Ready to talk",
    de: "Bereit zum Gespräch",
    pt: "Pronto para conversar",
    ru: "Готов к разговору",
    sv: "Redo att samtala",
  },
  "home.ready_more": {
    en: "Clients can connect. Version {version}.",
    de: "Clients können sich verbinden. Version {version}.",
    pt: "Os clientes podem se conectar. Versão {version}.",
    ru: "Клиенты могут подключаться. Версия {version}.",
    sv: "Klienter kan ansluta. Version {version}.",
  },
  "home.loading": {
    en: "Loading the engines",
    de: "Die Engines werden geladen",
    pt: "Carregando os motores",
    ru: "Загружаются движки",
    sv: "Motorerna läses in",
  },
  "home.loading_more": {
    en: "Clients are turned away until they are ready. Version {version}.",
    de: "Clients werden abgewiesen, bis sie bereit sind. Version {version}.",
    pt: "Os clientes são recusados até que estejam prontos. Versão {version}.",
    ru: "До их готовности клиенты получают отказ. Версия {version}.",
    sv: "Klienter avvisas tills de är redo. Version {version}.",
  },
  "home.draining": {
    en: "Shutting down",
    de: "Wird beendet",
    pt: "Encerrando",
    ru: "Завершает работу",
    sv: "Stängs av",
  },
  "home.draining_more": {
    en: "Conversations come to their end, new ones are turned away. Version {version}.",
    de: "Gespräche gehen zu Ende, neue werden abgewiesen. Version {version}.",
    pt: "As conversas em curso terminam, novas são recusadas. Versão {version}.",
    ru: "Разговоры завершаются, новые получают отказ. Версия {version}.",
    sv: "Pågående samtal avslutas, nya avvisas. Version {version}.",
  },
  "home.failed": {
    en: "The engines could not be loaded",
    de: "Die Engines konnten nicht geladen werden",
    pt: "Não foi possível carregar os motores",
    ru: "Не удалось загрузить движки",
    sv: "Motorerna kunde inte läsas in",
  },
  "home.failed_more": {
    en: "What went wrong stands beside each engine and in the server’s log. Version {version}.",
    de: "Was schiefging, steht bei jeder Engine und im Protokoll des Servers. Version {version}.",
    pt: "O que deu errado está ao lado de cada motor e no log do servidor. Versão {version}.",
    ru: "Что произошло, указано у каждого движка и в журнале сервера. Версия {version}.",
    sv: "Vad som gick fel står vid varje motor och i serverns logg. Version {version}.",
  },
  "home.unreachable": {
    en: "The server does not answer",
    de: "Der Server antwortet nicht",
    pt: "O servidor não responde",
    ru: "Сервер не отвечает",
    sv: "Servern svarar inte",
  },
  "home.unreachable_more": {
    en: "What you see below is how it was. This page keeps asking.",
    de: "Unten steht, wie es zuletzt war. Diese Seite fragt weiter nach.",
    pt: "Abaixo está o último estado conhecido. Esta página continua tentando.",
    ru: "Ниже — последнее известное состояние. Страница продолжает запрашивать.",
    sv: "Nedan visas hur det var senast. Sidan fortsätter att fråga.",
  },
  "home.connect": {
    en: "Connect a client",
    de: "Einen Client verbinden",
    pt: "Conectar um cliente",
    ru: "Подключить клиент",
    sv: "Anslut en klient",
  },
  "home.http": { en: "Endpoint", de: "Endpunkt", pt: "Ponto de extremidade", ru: "Конечная точка", sv: "Slutpunkt" },
  "home.ws": { en: "WebSocket", de: "WebSocket", pt: "WebSocket", ru: "WebSocket", sv: "WebSocket" },
  "home.key": { en: "Key", de: "Schlüssel", pt: "Chave", ru: "Ключ", sv: "Nyckel" },
  "home.no_key": {
    en: "None is needed",
    de: "Keiner nötig",
    pt: "Nenhuma é necessária",
    ru: "Не требуется",
    sv: "Ingen behövs",
  },
  "home.show_key": {
    en: "Show the key",
    de: "Schlüssel anzeigen",
    pt: "Mostrar a chave",
    ru: "Показать ключ",
    sv: "Visa nyckeln",
  },
  "home.copy_http": {
    en: "Copy the endpoint",
    de: "Endpunkt kopieren",
    pt: "Copiar o ponto de extremidade",
    ru: "Копировать конечную точку",
    sv: "Kopiera slutpunkten",
  },
  "home.copy_ws": {
    en: "Copy the WebSocket address",
    de: "WebSocket-Adresse kopieren",
    pt: "Copiar o endereço WebSocket",
    ru: "Копировать адрес WebSocket",
    sv: "Kopiera WebSocket-adressen",
  },
  "home.copy_key": {
    en: "Copy the key",
    de: "Schlüssel kopieren",
    pt: "Copiar a chave",
    ru: "Копировать ключ",
    sv: "Kopiera nyckeln",
  },
  "home.programs": {
    en: "A first program",
    de: "Ein erstes Programm",
    pt: "Um primeiro programa",
    ru: "Первая программа",
    sv: "Ett första program",
  },
  "home.python_needs": {
    en: "Needs pip install 'openai[realtime]'. Prints what is answered to “Hello!”.",
    de: "Braucht pip install 'openai[realtime]'. Gibt aus, was auf „Hello!“ geantwortet wird.",
    pt: "Requer pip install 'openai[realtime]'. Mostra a resposta a “Hello!”.",
    ru: "Требуется pip install 'openai[realtime]'. Выводит ответ на «Hello!».",
    sv: "Kräver pip install 'openai[realtime]'. Skriver ut svaret på ”Hello!”.",
  },
  "home.javascript_needs": {
    en: "Needs Node 22 or later and nothing else. Prints what is answered to “Hello!”.",
    de: "Braucht Node 22 oder neuer und sonst nichts. Gibt aus, was auf „Hello!“ geantwortet wird.",
    pt: "Requer apenas o Node 22 ou mais recente. Mostra a resposta a “Hello!”.",
    ru: "Требуется только Node 22 или новее. Выводит ответ на «Hello!».",
    sv: "Kräver Node 22 eller senare och inget annat. Skriver ut svaret på ”Hello!”.",
  },
  "home.curl_needs": {
    en: "Makes a key for a web page, which lasts for minutes.",
    de: "Erzeugt einen Schlüssel für eine Webseite, der Minuten gilt.",
    pt: "Cria uma chave para uma página web, válida por alguns minutos.",
    ru: "Создаёт ключ для веб-страницы, действующий несколько минут.",
    sv: "Skapar en nyckel för en webbsida, som gäller i några minuter.",
  },
  "home.placeholder": {
    en: "KEY stands for your key. Show the key, and it is filled in.",
    de: "KEY steht für Ihren Schlüssel. Zeigen Sie ihn an, und er wird eingesetzt.",
    pt: "KEY representa a sua chave. Mostre a chave e ela será preenchida.",
    ru: "KEY обозначает ваш ключ. Покажите ключ, и он будет подставлен.",
    sv: "KEY står för din nyckel. Visa nyckeln så fylls den i.",
  },
  "home.filled_in": {
    en: "Your key is filled in. Take care whom you show it to.",
    de: "Ihr Schlüssel ist eingesetzt. Achten Sie darauf, wem Sie ihn zeigen.",
    pt: "A sua chave está preenchida. Cuidado com quem a vê.",
    ru: "Ваш ключ подставлен. Следите за тем, кто его видит.",
    sv: "Din nyckel är ifylld. Var försiktig med vem du visar den för.",
  },
  "home.needs_no_key": {
    en: "This server asks for no key; clients want to send one all the same.",
    de: "Dieser Server verlangt keinen Schlüssel; Clients wollen trotzdem einen senden.",
    pt: "Este servidor não exige chave; mesmo assim, os clientes enviam uma.",
    ru: "Этот сервер не требует ключа, но клиенты всё равно его передают.",
    sv: "Servern kräver ingen nyckel, men klienter vill ändå skicka en.",
  },
  "home.copy_program": {
    en: "Copy the program",
    de: "Programm kopieren",
    pt: "Copiar o programa",
    ru: "Копировать программу",
    sv: "Kopiera programmet",
  },
  "home.engines": { en: "Engines", de: "Engines", pt: "Motores", ru: "Движки", sv: "Motorer" },
  "home.deployments": {
    en: "Deployments",
    de: "Bereitstellungen",
    pt: "Implantações",
    ru: "Развёртывания",
    sv: "Distributioner",
  },
  "home.name": { en: "Name", de: "Name", pt: "Nome", ru: "Имя", sv: "Namn" },
  "home.model": { en: "Model", de: "Modell", pt: "Modelo", ru: "Модель", sv: "Modell" },
  "home.recipe": { en: "Recipe", de: "Rezept", pt: "Receita", ru: "Рецепт", sv: "Recept" },
  "home.served_by": {
    en: "Served by",
    de: "Bedient von",
    pt: "Atendido por",
    ru: "Обслуживается",
    sv: "Betjänas av",
  },
  "home.try": { en: "Try it", de: "Ausprobieren", pt: "Experimente", ru: "Попробовать", sv: "Prova" },
  "home.sample": {
    en: "Talk to a deployment by microphone, on the page of the documents that developers copy.",
    de: "Sprechen Sie mit einer Bereitstellung per Mikrofon – auf der Seite der Dokumentation, die Entwickler kopieren.",
    pt: "Converse com uma implantação pelo microfone, na página da documentação que os desenvolvedores copiam.",
    ru: "Поговорите с развёртыванием через микрофон — на странице из документации, которую копируют разработчики.",
    sv: "Tala med en distribution via mikrofon, på den sida ur dokumentationen som utvecklare kopierar.",
  },

  // What an engine does, and how it is.
  "slot.voice_detector": {
    en: "Notices speech",
    de: "Bemerkt Sprache",
    pt: "Percebe a fala",
    ru: "Замечает речь",
    sv: "Märker tal",
  },
  "slot.transcriber": {
    en: "Writes speech down",
    de: "Schreibt Sprache mit",
    pt: "Transcreve a fala",
    ru: "Записывает речь",
    sv: "Skriver ner tal",
  },
  "slot.turn_judge": {
    en: "Judges when a turn is over",
    de: "Beurteilt, wann jemand ausgeredet hat",
    pt: "Avalia quando alguém terminou de falar",
    ru: "Решает, когда реплика закончена",
    sv: "Avgör när någon har talat klart",
  },
  "slot.language_model": {
    en: "Thinks of answers",
    de: "Denkt sich Antworten aus",
    pt: "Elabora as respostas",
    ru: "Придумывает ответы",
    sv: "Tänker ut svar",
  },
  "slot.synthesiser": { en: "Speaks", de: "Spricht", pt: "Fala", ru: "Говорит", sv: "Talar" },
  "slot.speech_model": {
    en: "Hears and speaks",
    de: "Hört und spricht",
    pt: "Ouve e fala",
    ru: "Слышит и говорит",
    sv: "Hör och talar",
  },
  "status.ready": { en: "Ready", de: "Bereit", pt: "Pronto", ru: "Готов", sv: "Redo" },
  "status.loading": { en: "Loading", de: "Lädt", pt: "Carregando", ru: "Загружается", sv: "Läses in" },
  "status.failed": { en: "Failed", de: "Fehlgeschlagen", pt: "Falhou", ru: "Сбой", sv: "Misslyckades" },
  "status.misconfigured": {
    en: "Misconfigured",
    de: "Falsch eingestellt",
    pt: "Mal configurado",
    ru: "Неверно настроен",
    sv: "Felinställd",
  },
});

/** Of this visit if the address says so, else as chosen here before, else as the browser prefers. */
let current = preferred();

/** The language of the page. */
export function language() {
  return current;
}

/**
 * A text in the language of the page; `{name}` in it becomes what that is among *values*.
 *
 * @param {Key} key
 * @param {Record<string, string | number>} [values]
 */
export function text(key, values = {}) {
  return TEXTS[key][current].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/**
 * Whether there is such a text.
 *
 * @param {string} key
 * @returns {key is Key}
 */
export function isKey(key) {
  return Object.hasOwn(TEXTS, key);
}

/**
 * Have the page in another language, now and at later visits. Tells `document` by an event
 * `language`, for those whose texts hold values.
 *
 * @param {Language} chosen
 */
export function choose(chosen) {
  current = chosen;
  localStorage.setItem("vivavoce.language", chosen);
  const address = new URL(location.href);
  address.searchParams.delete("lang");
  history.replaceState(history.state, "", address);
  translate(document);
  document.dispatchEvent(new Event("language"));
}

/**
 * Give every element in there its text: `data-text` names what it holds, `data-label` its
 * accessible name.
 *
 * @param {ParentNode} root
 */
export function translate(root) {
  document.documentElement.lang = current;
  for (const element of root.querySelectorAll("[data-text]")) {
    element.textContent = named(element.getAttribute("data-text"));
  }
  for (const element of root.querySelectorAll("[data-label]")) {
    const label = named(element.getAttribute("data-label"));
    element.setAttribute("aria-label", label);
    if (element instanceof HTMLButtonElement) element.title = label;
  }
}

/** @param {string | null} key */
function named(key) {
  if (key !== null && isKey(key)) return text(key);
  throw new Error(`there is no text ${key}`);
}

/** @returns {Language} */
function preferred() {
  const asked = new URLSearchParams(location.search).get("lang");
  const chosen = localStorage.getItem("vivavoce.language");
  const wished = [asked, chosen, ...navigator.languages].map((tag) => (tag ?? "").slice(0, 2));
  return wished.find(isLanguage) ?? "en";
}

/**
 * @param {string} code
 * @returns {code is Language}
 */
function isLanguage(code) {
  return Object.hasOwn(LANGUAGES, code);
}

/**
 * @template {string} T
 * @param {Record<T, Record<Language, string>>} texts
 */
function inAllLanguages(texts) {
  return texts;
}
