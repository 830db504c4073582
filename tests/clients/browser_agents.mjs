// A page with a session of the agents SDK over its WebRTC transport, from its bundle for browsers.

import {
  OpenAIRealtimeWebRTC,
  RealtimeAgent,
  RealtimeSession,
  tool,
} from './node_modules/@openai/agents-realtime/dist/bundle/openai-realtime-agents.mjs';
import { Ear } from './browser_ear.mjs';
import { Story } from './browser_story.mjs';

const audioElement = document.querySelector('audio');

class Caller {
  story = new Story();
  ear = new Ear();
  called = []; // the cities whose weather was asked for
  errors = []; // that the session reported
  lines = []; // what the agent said, each time it was done

  #transport;
  #session;

  async connect({ url, key, model }) {
    this.#transport = new OpenAIRealtimeWebRTC({ baseUrl: url, audioElement });
    this.#transport.on('connection_change', (status) => this.#changed(status));
    const agent = new RealtimeAgent({
      name: 'Clerk',
      instructions: 'Be brief.',
      tools: [this.#weather()],
    });
    this.#session = new RealtimeSession(agent, { transport: this.#transport, model });
    this.#session.on('error', ({ error }) => this.errors.push(String(error?.message ?? error)));
    this.#session.on('agent_end', (_context, _agent, text) => this.lines.push(text));
    await this.#session.connect({ apiKey: key });
    this.ear.listen(audioElement.srcObject);
    return { status: 201, location: this.#transport.callId, said: '' };
  }

  async speak() {
    const [sender] = this.#transport.connectionState.peerConnection.getSenders();
    sender.track.stop();
    const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
    await sender.replaceTrack(microphone.getTracks()[0]);
  }

  write(text) {
    this.#session.sendMessage(text);
  }

  interrupt() {
    this.#session.interrupt();
  }

  hangUp() {
    this.#session?.close();
  }

  get history() {
    return this.#session.history;
  }

  #changed(status) {
    if (status === 'disconnected') this.story.end('the transport disconnected');
    if (status !== 'connecting') return;
    const { dataChannel } = this.#transport.connectionState;
    dataChannel.addEventListener('message', ({ data }) => this.story.tell(JSON.parse(data)));
  }

  #weather() {
    return tool({
      name: 'get_weather',
      description: 'Get the weather of a city.',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string' } },
        required: ['city'],
        additionalProperties: false,
      },
      execute: async ({ city }) => {
        this.called.push(city);
        return `clear in ${city}`;
      },
    });
  }
}

window.caller = new Caller();
