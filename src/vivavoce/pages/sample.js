// Talk with a realtime endpoint: the microphone goes to a WebSocket, what comes back is played.
//
// The page needs sample.html, sample.css and the two audio worklets, and no library. Pressing Record
//   1. asks the endpoint by plain HTTP whether it would serve us: browsers do not tell a page why a
//      WebSocket was refused;
//   2. opens the WebSocket and waits for session.created;
//   3. opens the microphone, sends the settings, and every 100 ms what was said.
// When the person speaks, what is being played stops, and the endpoint is told how much of it was
// heard, so that the model does not believe it said everything.

const RATE_HZ = 24000;

// What differs between the two versions of the API.
const VERSIONS = {
  ga: {
    ask: ({ endpoint, deployment }) => [
      `${endpoint}/openai/v1/realtime/client_secrets`,
      { session: { type: 'realtime', model: deployment } },
    ],
    socket: ({ endpoint, deployment, key }) => [
      `${endpoint}/openai/v1/realtime?${new URLSearchParams({ model: deployment })}`,
      key ? ['realtime', `openai-insecure-api-key.${key}`] : ['realtime'],
    ],
    session: ({ instructions, voice }) => ({
      type: 'realtime',
      instructions,
      audio: voice ? { output: { voice } } : undefined,
    }),
    listening: {
      type: 'realtime',
      audio: {
        input: { transcription: { model: 'whisper-1' }, turn_detection: { type: 'server_vad' } },
      },
    },
    takesTemperature: false,
  },
  preview: {
    ask: ({ endpoint, deployment }) => [
      `${endpoint}/openai/realtimeapi/sessions?api-version=2025-04-01-preview`,
      { model: deployment },
    ],
    socket: ({ endpoint, deployment, key }) => {
      const query = { 'api-version': '2024-10-01-preview', deployment };
      if (key) query['api-key'] = key;
      return [`${endpoint}/openai/realtime?${new URLSearchParams(query)}`, []];
    },
    session: ({ instructions, voice, temperature }) => ({ instructions, voice, temperature }),
    listening: {
      input_audio_transcription: { model: 'whisper-1' },
      turn_detection: { type: 'server_vad' },
    },
    takesTemperature: true,
  },
};

// Something the person at the page has to know: a key of TEXTS, and what to put into that text.
class Problem extends Error {
  constructor(key, values) {
    super(text(key, values));
  }
}

class Session {
  over = false;
  spoke = false; // the model has, so its voice can no longer be changed
  #settings;
  #version;
  #socket;
  #context;
  #microphone;
  #player;
  #reachable = true; // by plain HTTP

  constructor(settings) {
    this.#settings = settings;
    this.#version = VERSIONS[settings.version];
    // At once: some browsers let a page make sound only while a click is being answered.
    this.#context = new AudioContext({ sampleRate: RATE_HZ });
  }

  async begin() {
    try {
      await this.#ask();
      if (!this.over) await this.#connect();
      if (!this.over) await this.#openMicrophone();
      this.#update(this.#version.listening);
      this.change(this.#settings);
      if (!this.over) await this.#openSpeaker();
      if (this.over) return;
      showState('recording');
      print('note', '<< Session Started >>');
    } catch (error) {
      this.end(error instanceof Problem ? error.message : text('fault', { message: error.message }));
    }
  }

  // Stop everything that runs, the microphone first; *problem* is why, if not because of Stop.
  end(problem = '') {
    if (this.over) return;
    this.over = true;
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    this.#socket?.close();
    this.#context.close();
    session = null;
    showState('ready');
    elements.problem.textContent = problem;
  }

  // Settings of which some are new.
  change(settings) {
    this.#update(this.#version.session(settings));
  }

  async #ask() {
    const { endpoint, key } = this.#settings;
    const [url, body] = this.#version.ask(this.#settings);
    const headers = { 'Content-Type': 'application/json' };
    if (key) headers['api-key'] = key;
    let answer;
    try {
      answer = await fetch(url, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
        redirect: 'error', // the key goes to the endpoint, and nowhere else
        referrerPolicy: 'no-referrer',
      });
    } catch {
      // It may still be there: not every service lets pages ask this. The WebSocket will tell.
      this.#reachable = false;
      return;
    }
    if (answer.ok) return;
    // Client secrets open sessions, but do not make further secrets.
    if (answer.status === 403 && isSecret(key)) return;
    if (answer.status === 401 && !key) throw new Problem('notSignedIn');
    const said = await answer.json().catch(() => null);
    const message = said?.error?.message ?? answer.statusText;
    throw new Problem('refused', { host: hostOf(endpoint), status: answer.status, message });
  }

  // Resolves when there is a session.
  #connect() {
    const [url, protocols] = this.#version.socket(this.#settings);
    this.#socket = new WebSocket(url.replace(/^http/, 'ws'), protocols);
    return new Promise((resolve, reject) => {
      let created = false;
      let message = ''; // of an error instead of a session
      this.#socket.onmessage = ({ data }) => {
        const event = JSON.parse(data);
        if (created) this.#hear(event);
        else if (event.type === 'error') message = event.error.message;
        else if (event.type === 'session.created') resolve((created = true));
      };
      const host = hostOf(this.#settings.endpoint);
      const refuse = () => reject(new Problem(this.#whyRefused(), { host, page: location.origin }));
      // A page that its own policy keeps away gets no close event.
      this.#socket.onerror = refuse;
      this.#socket.onclose = ({ code, reason }) => {
        if (created) this.end(text('closed', { host, reason: reason || code }));
        else if (message) reject(new Problem('refused', { host, status: code, message }));
        else refuse();
      };
    });
  }

  #whyRefused() {
    const { endpoint, key } = this.#settings;
    if (blockedByPolicy.has(hostOf(endpoint))) return 'blocked';
    if (!this.#reachable) return 'unreachable';
    return isSecret(key) ? 'secretRefused' : 'full';
  }

  async #openMicrophone() {
    if (!navigator.mediaDevices) throw new Problem('microphoneInsecure');
    try {
      const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true };
      this.#microphone = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      throw new Problem(MICROPHONE_PROBLEMS[error.name] ?? 'microphoneFailed', error);
    }
    const [track] = this.#microphone.getTracks();
    if (this.over) track.stop(); // Stop was pressed while the browser asked
    track.onended = () => this.end(text('microphoneGone'));
  }

  async #openSpeaker() {
    const context = this.#context;
    for (const worklet of ['sample-recorder.js', 'sample-player.js']) {
      await context.audioWorklet.addModule(new URL(worklet, import.meta.url));
    }
    if (this.over) return;
    const recorder = new AudioWorkletNode(context, 'sample-recorder', { numberOfOutputs: 0 });
    recorder.port.onmessage = ({ data }) => {
      this.#say({ type: 'input_audio_buffer.append', audio: toBase64(data) });
    };
    context.createMediaStreamSource(this.#microphone).connect(recorder);

    const player = new AudioWorkletNode(context, 'sample-player', { outputChannelCount: [1] });
    player.port.onmessage = ({ data }) => data.interrupted.forEach((each) => this.#truncate(each));
    player.connect(context.destination);
    this.#player = player.port;
    await context.resume();
  }

  // Both versions of the API: what GA calls output_audio was once called audio.
  #hear(event) {
    switch (event.type.replace('.output_', '.')) {
      case 'input_audio_buffer.speech_started':
        this.#player?.postMessage({ interrupt: true });
        print('note', '<< Speech Started >>');
        lineOf(event.item_id, 'user').textContent = ' User: …';
        break;
      case 'conversation.item.input_audio_transcription.completed':
        lineOf(event.item_id, 'user').textContent = ` User: ${event.transcript.trim()}`;
        break;
      case 'conversation.item.input_audio_transcription.failed':
        lineOf(event.item_id, 'user').textContent = ` User: ${text('notUnderstood')}`;
        break;
      case 'response.audio.delta':
        this.#player?.postMessage({ play: event.item_id, samples: fromBase64(event.delta) });
        if (!this.spoke) {
          this.spoke = true;
          showState('recording');
        }
        break;
      case 'response.audio.done':
        this.#player?.postMessage({ end: event.item_id });
        break;
      case 'response.audio_transcript.delta':
      case 'response.text.delta':
        lineOf(event.item_id, 'assistant').append(event.delta);
        scrollDown();
        break;
      case 'response.done':
        if (event.response.status === 'failed') {
          print('problem', event.response.status_details?.error?.message ?? text('answerFailed'));
        }
        elements.output.append(document.createElement('hr'));
        break;
      case 'error':
        print('problem', event.error.message);
    }
  }

  #truncate({ item, samples }) {
    // What was handed to the loudspeaker has not been heard before its delay is over.
    const delayMs = 1000 * (this.#context.outputLatency || 0);
    const heardMs = Math.max(0, Math.floor((1000 * samples) / RATE_HZ - delayMs));
    this.#say({
      type: 'conversation.item.truncate',
      item_id: item,
      content_index: 0,
      audio_end_ms: heardMs,
    });
    const mark = document.createElement('small');
    mark.textContent = ` (${text('interrupted', { seconds: (heardMs / 1000).toFixed(1) })})`;
    lineOf(item, 'assistant').append(mark);
  }

  #update(changes) {
    this.#say({ type: 'session.update', session: changes });
  }

  #say(event) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(event));
  }
}

const MICROPHONE_PROBLEMS = {
  NotAllowedError: 'microphoneBlocked',
  NotFoundError: 'microphoneMissing',
  NotReadableError: 'microphoneInUse',
};

const isSecret = (key) => key.startsWith('ek_');
const hostOf = (endpoint) => new URL(endpoint).host;

const toBase64 = (samples) => btoa(String.fromCharCode(...new Uint8Array(samples.buffer)));

function fromBase64(encoded) {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  return new Int16Array(bytes.buffer);
}

// The form.

const FIELDS = ['endpoint', 'deployment', 'version', 'instructions', 'temperature', 'voice'];
const WHILE_RUNNING = ['instructions', 'temperature', 'voice'];
const MEMORY = 'realtime-sample'; // where the browser keeps the fields, without the key

const elements = Object.fromEntries(
  [...document.querySelectorAll('[id]')].map((element) => [element.id, element]),
);
const blockedByPolicy = new Set(); // hosts that this page's own Content-Security-Policy shuts out

let session = null; // the one that is there, or is being opened

function start() {
  translate();
  elements.endpoint.value = location.origin.startsWith('http') ? location.origin : '';
  recall();
  showState('ready');
  document.addEventListener('securitypolicyviolation', ({ blockedURI }) => {
    if (URL.canParse(blockedURI)) blockedByPolicy.add(new URL(blockedURI).host);
  });
  elements.form.addEventListener('submit', (event) => {
    event.preventDefault();
    record();
  });
  elements.stop.addEventListener('click', () => session?.end());
  elements.clear.addEventListener('click', () => elements.output.replaceChildren());
  elements.version.addEventListener('change', () => showState('ready'));
  elements.form.addEventListener('change', remember);
  for (const field of WHILE_RUNNING) {
    elements[field].addEventListener('change', () => change(field));
  }
}

function record() {
  if (session) return;
  elements.problem.textContent = '';
  const settings = validSettings();
  if (!settings) return;
  session = new Session(settings);
  showState('connecting');
  session.begin();
}

// A field that may change while a session runs has.
function change(field) {
  const settings = elements.stop.disabled ? null : validSettings();
  if (!settings) return;
  // No voice and no temperature mean the endpoint's own, for which there is no word: they stay.
  const value = field === 'instructions' ? (settings[field] ?? '') : settings[field];
  if (value !== undefined) session.change({ [field]: value });
}

// What the fields say; null if one of them cannot be right, which is then told beside it.
function validSettings() {
  const { endpoint, key, deployment, version, instructions, temperature, voice } = elements;
  const address = readEndpoint(endpoint.value);
  const typedKey = key.value.trim();
  const ours = address === location.origin;
  const takesTemperature = VERSIONS[version.value].takesTemperature;
  const wrong = {
    endpoint: !endpoint.value.trim() ? 'endpointMissing' : !address && 'endpointWrong',
    // Where this page comes from, being signed in may be enough.
    key: !typedKey ? !ours && 'keyMissing' : /[^!#-'*+.\w^`|~-]/.test(typedKey) && 'keyWrong',
    deployment: !deployment.value.trim() && 'deploymentMissing',
    temperature: takesTemperature && !temperature.checkValidity() && 'temperatureWrong',
  };
  for (const [field, problem] of Object.entries(wrong)) {
    elements[`${field}-wrong`].textContent = problem ? text(problem) : '';
    elements[field].setAttribute('aria-invalid', String(Boolean(problem)));
  }
  const first = Object.keys(wrong).find((field) => wrong[field]);
  if (first) {
    elements[first].focus();
    return null;
  }
  return {
    endpoint: address,
    key: typedKey,
    deployment: deployment.value.trim(),
    version: version.value,
    instructions: instructions.value.trim() || undefined,
    temperature: takesTemperature && temperature.value ? temperature.valueAsNumber : undefined,
    voice: voice.value || undefined,
  };
}

// The address without what follows the resource: people paste whole paths. Null if it is none.
function readEndpoint(typed) {
  if (!URL.canParse(typed.trim())) return null;
  const { protocol, origin, pathname, username } = new URL(typed.trim());
  if (!/^https?:$/.test(protocol) || username) return null;
  return origin + pathname.replace(/\/openai(\/.*)?$/, '').replace(/\/+$/, '');
}

// ready: to record. connecting: Stop gives up. recording: what can be changed meanwhile is open.
function showState(state) {
  const focused = document.activeElement;
  const { takesTemperature } = VERSIONS[elements.version.value];
  elements.status.textContent = text(state);
  elements.form.dataset.state = state;
  elements.record.disabled = state !== 'ready';
  elements.stop.disabled = state === 'ready';
  for (const field of ['endpoint', 'key', 'deployment', 'version']) {
    elements[field].disabled = state !== 'ready';
  }
  for (const field of WHILE_RUNNING) elements[field].disabled = state === 'connecting';
  elements.temperature.disabled ||= !takesTemperature;
  elements.voice.disabled ||= Boolean(session?.spoke);
  elements['temperature-hint'].textContent = takesTemperature ? '' : text('temperatureHint');
  elements['voice-hint'].textContent = session?.spoke ? text('voiceHint') : '';
  // Whoever works by keyboard is taken along when the pressed button goes.
  if (focused === elements.record && state === 'connecting') elements.stop.focus();
  if (focused === elements.stop && state === 'ready') elements.record.focus();
}

function remember() {
  const fields = Object.fromEntries(FIELDS.map((field) => [field, elements[field].value]));
  try {
    localStorage.setItem(MEMORY, JSON.stringify(fields));
  } catch {
    // The browser keeps nothing for this page: then nothing is remembered.
  }
}

function recall() {
  try {
    const fields = JSON.parse(localStorage.getItem(MEMORY)) ?? {};
    for (const field of FIELDS) elements[field].value = fields[field] ?? elements[field].value;
  } catch {
    // As above.
  }
}

// The output.

function print(kind, words) {
  const line = document.createElement('p');
  line.className = kind;
  line.textContent = words;
  elements.output.append(line);
  scrollDown();
  return line;
}

// The line of an item of the conversation, which is there from when it is first spoken of.
function lineOf(item, kind) {
  const lines = [...elements.output.children];
  const found = lines.find(({ dataset }) => dataset.item === item);
  if (found) return found;
  const line = print(kind, '');
  line.dataset.item = item;
  return line;
}

function scrollDown() {
  elements.output.scrollTop = elements.output.scrollHeight;
}

// The texts. What stands in sample.html is English and is not repeated here.

function text(key, values = {}) {
  const words = TEXTS[language][key] ?? TEXTS.en[key];
  return words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function translate() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll('[data-text]')) {
    element.textContent = TEXTS[language][element.dataset.text] ?? element.textContent;
  }
  elements.instructions.placeholder = TEXTS[language].pirate ?? elements.instructions.placeholder;
  elements.output.dataset.silent = TEXTS[language].silent ?? elements.output.dataset.silent;
  document.title = document.querySelector('h1').textContent;
}

const TEXTS = {
  en: {
    ready: 'Ready to start',
    connecting: 'Connecting …',
    recording: 'Listening: speak',
    endpointMissing: 'Enter an endpoint, such as https://my-resource.example.com.',
    endpointWrong: 'This is no address of a host: it has to begin with https:// or http://.',
    keyMissing: 'Enter a key or a client secret of that endpoint.',
    keyWrong: 'There is a character in it that no key has, a blank perhaps.',
    deploymentMissing: 'Enter the name of a deployment.',
    temperatureWrong: 'Enter a number from 0.6 to 1.2 in steps of 0.05.',
    temperatureHint: 'Only the preview version of the API takes one.',
    voiceHint: 'Once it has spoken, a session keeps its voice.',
    notSignedIn: 'Enter an API key, or sign in to this server first.',
    refused: '{host} refused ({status}): {message}',
    unreachable: '{host} cannot be reached. Is the address right, and does the server run?',
    blocked: 'This page may talk to {page} alone. To reach {host}, copy the page to a site of yours.',
    full: '{host} knows the key and the deployment, but opens no session now: all of its sessions may be taken. Try again in a moment.',
    secretRefused: '{host} refused this client secret: it may have been used already, be for another deployment or for other pages, or all sessions may be taken.',
    closed: '{host} ended the session ({reason}).',
    microphoneBlocked: 'The microphone is blocked: allow it for this page beside the address, then press Record.',
    microphoneMissing: 'There is no microphone. Connect one, then press Record.',
    microphoneInUse: 'The microphone cannot be opened: another program may be using it.',
    microphoneInsecure: 'Browsers give the microphone to pages of https:// and of localhost only.',
    microphoneGone: 'The microphone was disconnected or taken away.',
    microphoneFailed: 'The microphone cannot be opened: {message}',
    fault: 'The page failed: {message}',
    notUnderstood: '(not understood)',
    answerFailed: 'The answer failed.',
    interrupted: 'interrupted at {seconds} s',
  },
  de: {
    title: 'Echtzeit-Audio: Beispiel',
    endpoint: 'Endpunkt',
    key: 'API-Schlüssel',
    keyHint: 'Ein Schlüssel oder Clientgeheimnis. Geht nur an den Endpunkt und wird nicht gemerkt.',
    deployment: 'Bereitstellung',
    version: 'API-Version',
    record: 'Aufzeichnen',
    stop: 'Beenden',
    instructions: 'Systemnachricht',
    pirate: 'Sie sprechen immer wie ein freundlicher Pirat.',
    temperature: 'Temperatur',
    voice: 'Stimme',
    voiceOfServer: '(Standard)',
    conversation: 'Gespräch',
    silent: 'Wählen Sie Aufzeichnen, und sprechen Sie.',
    clear: 'Alles löschen',
    ready: 'Bereit',
    connecting: 'Verbindet …',
    recording: 'Hört zu: sprechen Sie',
    endpointMissing: 'Geben Sie einen Endpunkt ein, etwa https://my-resource.example.com.',
    endpointWrong: 'Das ist keine Adresse: Sie muss mit https:// oder http:// beginnen.',
    keyMissing: 'Geben Sie einen Schlüssel oder ein Clientgeheimnis dieses Endpunkts ein.',
    keyWrong: 'Darin ist ein Zeichen, das kein Schlüssel hat, vielleicht ein Leerzeichen.',
    deploymentMissing: 'Geben Sie den Namen einer Bereitstellung ein.',
    temperatureWrong: 'Geben Sie eine Zahl von 0,6 bis 1,2 in Schritten von 0,05 ein.',
    temperatureHint: 'Nur die Vorschauversion der API kennt sie.',
    voiceHint: 'Hat sie einmal gesprochen, behält eine Sitzung ihre Stimme.',
    notSignedIn: 'Geben Sie einen API-Schlüssel ein, oder melden Sie sich erst bei diesem Server an.',
    refused: '{host} lehnt ab ({status}): {message}',
    unreachable: '{host} ist nicht erreichbar. Stimmt die Adresse, und läuft der Server?',
    blocked: 'Diese Seite darf nur mit {page} sprechen. Um {host} zu erreichen, kopieren Sie sie auf eine eigene Website.',
    full: '{host} kennt Schlüssel und Bereitstellung, öffnet jetzt aber keine Sitzung: Vielleicht sind alle belegt. Versuchen Sie es gleich noch einmal.',
    secretRefused: '{host} lehnt dieses Clientgeheimnis ab: Vielleicht wurde es schon verwendet, gilt für eine andere Bereitstellung oder andere Seiten, oder alle Sitzungen sind belegt.',
    closed: '{host} hat die Sitzung beendet ({reason}).',
    microphoneBlocked: 'Das Mikrofon ist blockiert: Erlauben Sie es dieser Seite neben der Adresse, und wählen Sie dann Aufzeichnen.',
    microphoneMissing: 'Es gibt kein Mikrofon. Schließen Sie eines an, und wählen Sie dann Aufzeichnen.',
    microphoneInUse: 'Das Mikrofon lässt sich nicht öffnen: Vielleicht benutzt es ein anderes Programm.',
    microphoneInsecure: 'Browser geben das Mikrofon nur Seiten von https:// und von localhost.',
    microphoneGone: 'Das Mikrofon wurde getrennt oder entzogen.',
    microphoneFailed: 'Das Mikrofon lässt sich nicht öffnen: {message}',
    fault: 'Die Seite hat versagt: {message}',
    notUnderstood: '(nicht verstanden)',
    answerFailed: 'Die Antwort ist fehlgeschlagen.',
    interrupted: 'unterbrochen bei {seconds} s',
  },
  pt: {
    title: 'Áudio em tempo real: exemplo',
    endpoint: 'Ponto de extremidade',
    key: 'Chave de API',
    keyHint: 'Uma chave ou um segredo de cliente. Vai apenas ao ponto de extremidade e não é guardada.',
    deployment: 'Implantação',
    version: 'Versão da API',
    record: 'Gravar',
    stop: 'Parar',
    instructions: 'Mensagem do sistema',
    pirate: 'Você sempre fala como um pirata amigável.',
    temperature: 'Temperatura',
    voice: 'Voz',
    voiceOfServer: '(padrão)',
    conversation: 'Conversa',
    silent: 'Selecione Gravar e fale.',
    clear: 'Limpar tudo',
    ready: 'Pronto para começar',
    connecting: 'Conectando …',
    recording: 'Ouvindo: fale',
    endpointMissing: 'Insira um ponto de extremidade, como https://my-resource.example.com.',
    endpointWrong: 'Isto não é um endereço: ele deve começar com https:// ou http://.',
    keyMissing: 'Insira uma chave ou um segredo de cliente desse ponto de extremidade.',
    keyWrong: 'Há um caractere que nenhuma chave tem, talvez um espaço.',
    deploymentMissing: 'Insira o nome de uma implantação.',
    temperatureWrong: 'Insira um número de 0,6 a 1,2 em passos de 0,05.',
    temperatureHint: 'Somente a versão prévia da API aceita uma.',
    voiceHint: 'Depois de falar, uma sessão mantém a sua voz.',
    notSignedIn: 'Insira uma chave de API ou entre primeiro neste servidor.',
    refused: '{host} recusou ({status}): {message}',
    unreachable: 'Não é possível alcançar {host}. O endereço está certo e o servidor está em execução?',
    blocked: 'Esta página só pode falar com {page}. Para alcançar {host}, copie a página para um site seu.',
    full: '{host} conhece a chave e a implantação, mas não abre sessão agora: talvez todas estejam ocupadas. Tente de novo daqui a pouco.',
    secretRefused: '{host} recusou este segredo de cliente: talvez já tenha sido usado, seja para outra implantação ou outras páginas, ou todas as sessões estejam ocupadas.',
    closed: '{host} encerrou a sessão ({reason}).',
    microphoneBlocked: 'O microfone está bloqueado: permita-o para esta página ao lado do endereço e selecione Gravar.',
    microphoneMissing: 'Não há microfone. Conecte um e selecione Gravar.',
    microphoneInUse: 'Não é possível abrir o microfone: talvez outro programa o esteja usando.',
    microphoneInsecure: 'Os navegadores só dão o microfone a páginas de https:// e de localhost.',
    microphoneGone: 'O microfone foi desconectado ou retirado.',
    microphoneFailed: 'Não é possível abrir o microfone: {message}',
    fault: 'A página falhou: {message}',
    notUnderstood: '(não entendido)',
    answerFailed: 'A resposta falhou.',
    interrupted: 'interrompido aos {seconds} s',
  },
  ru: {
    title: 'Аудио в реальном времени: пример',
    endpoint: 'Конечная точка',
    key: 'Ключ API',
    keyHint: 'Ключ или секрет клиента. Отправляется только конечной точке и не запоминается.',
    deployment: 'Развертывание',
    version: 'Версия API',
    record: 'Запись',
    stop: 'Остановить',
    instructions: 'Системное сообщение',
    pirate: 'Вы всегда говорите как дружелюбный пират.',
    temperature: 'Температура',
    voice: 'Голос',
    voiceOfServer: '(по умолчанию)',
    conversation: 'Разговор',
    silent: 'Нажмите «Запись» и говорите.',
    clear: 'Очистить все',
    ready: 'Готово к началу',
    connecting: 'Подключение …',
    recording: 'Слушаю: говорите',
    endpointMissing: 'Введите конечную точку, например https://my-resource.example.com.',
    endpointWrong: 'Это не адрес: он должен начинаться с https:// или http://.',
    keyMissing: 'Введите ключ или секрет клиента этой конечной точки.',
    keyWrong: 'В нем есть знак, которого не бывает в ключах, возможно, пробел.',
    deploymentMissing: 'Введите имя развертывания.',
    temperatureWrong: 'Введите число от 0,6 до 1,2 с шагом 0,05.',
    temperatureHint: 'Ее принимает только предварительная версия API.',
    voiceHint: 'После первого ответа голос сеанса не меняется.',
    notSignedIn: 'Введите ключ API или сначала войдите на этот сервер.',
    refused: '{host} отказывает ({status}): {message}',
    unreachable: 'Узел {host} недоступен. Верен ли адрес и работает ли сервер?',
    blocked: 'Эта страница может обращаться только к {page}. Чтобы обратиться к {host}, скопируйте ее на свой сайт.',
    full: '{host} знает ключ и развертывание, но сейчас не открывает сеанс: возможно, все заняты. Повторите чуть позже.',
    secretRefused: '{host} не принимает этот секрет клиента: возможно, он уже использован, предназначен для другого развертывания или других страниц, либо все сеансы заняты.',
    closed: '{host} завершает сеанс ({reason}).',
    microphoneBlocked: 'Микрофон заблокирован: разрешите его этой странице рядом с адресом и нажмите «Запись».',
    microphoneMissing: 'Микрофона нет. Подключите его и нажмите «Запись».',
    microphoneInUse: 'Не удается открыть микрофон: возможно, он занят другой программой.',
    microphoneInsecure: 'Браузеры дают микрофон только страницам https:// и localhost.',
    microphoneGone: 'Микрофон отключен или отозван.',
    microphoneFailed: 'Не удается открыть микрофон: {message}',
    fault: 'Сбой страницы: {message}',
    notUnderstood: '(не распознано)',
    answerFailed: 'Ответ не удался.',
    interrupted: 'прервано на {seconds} с',
  },
  sv: {
    title: 'Ljud i realtid: exempel',
    endpoint: 'Slutpunkt',
    key: 'API-nyckel',
    keyHint: 'En nyckel eller klienthemlighet. Den går bara till slutpunkten och sparas inte.',
    deployment: 'Distribution',
    version: 'API-version',
    record: 'Spela in',
    stop: 'Stoppa',
    instructions: 'Systemmeddelande',
    pirate: 'Du talar alltid som en vänlig pirat.',
    temperature: 'Temperatur',
    voice: 'Röst',
    voiceOfServer: '(standard)',
    conversation: 'Samtal',
    silent: 'Välj Spela in och tala.',
    clear: 'Rensa allt',
    ready: 'Redo att starta',
    connecting: 'Ansluter …',
    recording: 'Lyssnar: tala',
    endpointMissing: 'Ange en slutpunkt, till exempel https://my-resource.example.com.',
    endpointWrong: 'Det är ingen adress: den måste börja med https:// eller http://.',
    keyMissing: 'Ange en nyckel eller klienthemlighet för slutpunkten.',
    keyWrong: 'Den innehåller ett tecken som ingen nyckel har, kanske ett blanksteg.',
    deploymentMissing: 'Ange namnet på en distribution.',
    temperatureWrong: 'Ange ett tal från 0,6 till 1,2 i steg om 0,05.',
    temperatureHint: 'Bara förhandsversionen av API:et tar emot den.',
    voiceHint: 'När en session har talat behåller den sin röst.',
    notSignedIn: 'Ange en API-nyckel eller logga först in på servern.',
    refused: '{host} nekade ({status}): {message}',
    unreachable: '{host} kan inte nås. Stämmer adressen, och är servern i gång?',
    blocked: 'Den här sidan får bara tala med {page}. Kopiera sidan till en egen webbplats för att nå {host}.',
    full: '{host} känner igen nyckeln och distributionen men öppnar ingen session nu: alla kan vara upptagna. Försök igen om en stund.',
    secretRefused: '{host} nekade klienthemligheten: den kan redan vara använd, gälla en annan distribution eller andra sidor, eller så är alla sessioner upptagna.',
    closed: '{host} avslutade sessionen ({reason}).',
    microphoneBlocked: 'Mikrofonen är blockerad: tillåt den för sidan bredvid adressen och välj Spela in.',
    microphoneMissing: 'Det finns ingen mikrofon. Anslut en och välj Spela in.',
    microphoneInUse: 'Mikrofonen kan inte öppnas: ett annat program kanske använder den.',
    microphoneInsecure: 'Webbläsare ger mikrofonen bara till sidor på https:// och localhost.',
    microphoneGone: 'Mikrofonen kopplades från eller togs bort.',
    microphoneFailed: 'Mikrofonen kan inte öppnas: {message}',
    fault: 'Sidan misslyckades: {message}',
    notUnderstood: '(uppfattades inte)',
    answerFailed: 'Svaret misslyckades.',
    interrupted: 'avbröts vid {seconds} s',
  },
};

// ?lang= decides, else the first language of the browser that is here.
const language = [new URLSearchParams(location.search).get('lang'), ...navigator.languages, 'en']
  .map((tag) => tag?.split('-')[0])
  .find((tag) => Object.hasOwn(TEXTS, tag));

start();
