// Plays one scene with the agents SDK, in the way that standard input names, and prints one line of
// JSON: what the session made of it, the errors it reported, and every server event.

import { readFile } from 'node:fs/promises';
import {
  OpenAIRealtimeWebSocket,
  RealtimeAgent,
  RealtimeSession,
  tool,
} from '@openai/agents/realtime';
import { z } from 'zod';
import { outcome, told, tell } from './report.mjs';

const called = [];
const weather = tool({
  name: 'get_weather',
  description: 'Get the weather of a city.',
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    called.push(city);
    return `clear in ${city}`;
  },
});

const scenes = {
  async writing(session) {
    session.sendMessage('good morning');
    await answered(session);
  },

  async calling(session) {
    session.sendMessage('What is the weather in Paris?');
    await answered(session);
    await answered(session);
  },

  async hearing(session, { speech }) {
    speak(session, await readFile(speech));
    await answered(session);
  },

  async stopping(session) {
    session.sendMessage('Talk at length.');
    await happened(session, 'audio');
    session.interrupt();
    await answered(session);
    await transported(session, 'conversation.item.truncated');
  },

  async bargingIn(session, { speech }) {
    session.sendMessage('Talk at length.');
    await happened(session, 'audio');
    speak(session, await readFile(speech));
    await transported(session, 'conversation.item.truncated');
    await answered(session);
  },
};

// A tenth of a second at a time.
function speak(session, pcm) {
  for (let start = 0; start < pcm.length; start += 4800) {
    session.sendAudio(Uint8Array.from(pcm.subarray(start, start + 4800)).buffer);
  }
}

const happened = (session, event) => new Promise((resolve) => session.once(event, resolve));

const answered = (session) => happened(session, 'agent_end');

const transported = (session, type) =>
  new Promise((resolve) => {
    const seen = (event) => {
      if (event.type !== type) return;
      session.off('transport_event', seen);
      resolve(event);
    };
    session.on('transport_event', seen);
  });

const settings = await told();
const transport = new OpenAIRealtimeWebSocket({ useInsecureApiKey: true });
const session = new RealtimeSession(
  new RealtimeAgent({ name: 'Clerk', instructions: 'Be brief.', tools: [weather] }),
  { transport },
);

const [frames, errors, ended] = [[], [], []];
let bytes = 0;
transport.on('connection_change', (status) => {
  if (status !== 'connecting') return;
  const { websocket } = transport.connectionState;
  websocket.addEventListener('message', ({ data }) => frames.push(JSON.parse(data)));
});
session.on('error', ({ error }) => errors.push({ message: String(error?.message), error }));
session.on('audio', ({ data }) => (bytes += data.byteLength));
session.on('agent_end', (_context, _agent, text) => ended.push(text));

const hungUp = new Promise((_resolve, reject) => {
  transport.on('connection_change', (status) => {
    if (status === 'disconnected') reject(new Error('the connection ended'));
  });
});

const conversation = session
  .connect({ apiKey: settings.key, url: settings.url })
  .then(() => scenes[settings.scene](session, settings));
const { failure } = await outcome(Promise.race([conversation, hungUp]));
const made = { bytes, called, ended, history: session.history };
session.close();
tell({ made, failure, errors, frames });
