// What is tried with every client. A scene gives what the client made of it.

import { readFile } from 'node:fs/promises';

const WEATHER = {
  type: 'function',
  name: 'get_weather',
  description: 'Get the weather of a city.',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
  },
};

export const scenes = {
  async writing(line, dialect) {
    const deltas = line.all(`${dialect.text}.delta`);
    await configured(line, dialect.settings({ speaks: false }));
    line.write('good morning');
    const { response } = await line.until('response.done');
    return { words: joined(deltas), status: response.status };
  },

  async speaking(line, dialect, { speech }) {
    const spoken = new Answer(line, dialect);
    await configured(line, dialect.settings({ speaks: true, detects: { type: 'server_vad' } }));
    line.speak(await readFile(speech));
    const heard = await line.until('conversation.item.input_audio_transcription.completed');
    await line.until('response.done');
    return { heard: heard.transcript, ...spoken.observed() };
  },

  async pressing(line, dialect, { speech }) {
    const spoken = new Answer(line, dialect);
    await configured(line, dialect.settings({ speaks: true }));
    line.speak(await readFile(speech));
    line.say('input_audio_buffer.commit');
    line.say('response.create');
    await line.until('response.done');
    return spoken.observed();
  },

  async calling(line, dialect) {
    const deltas = line.all('response.function_call_arguments.delta');
    await configured(line, dialect.settings({ speaks: false, tools: [WEATHER] }));
    line.write('What is the weather in Paris?');
    const { call_id, arguments: given } = await line.until('response.function_call_arguments.done');
    const { response } = await line.until('response.done');
    const output = JSON.stringify({ sky: 'clear' });
    line.say('conversation.item.create', {
      item: { type: 'function_call_output', call_id, output },
    });
    line.say('response.create');
    const { text } = await line.until(`${dialect.text}.done`);
    await line.until('response.done');
    return { deltas: joined(deltas), given, name: response.output[0].name, text };
  },

  async erring(line, dialect) {
    await configured(line, dialect.settings({ speaks: false }));
    line.say('conversation.item.delete', { event_id: 'mine', item_id: 'nowhere' });
    const error = await line.until('error');
    line.write('good morning');
    const { response } = await line.until('response.done');
    return { error: error.error, status: response.status };
  },
};

async function configured(line, session) {
  await line.until('session.created');
  line.say('session.update', { session });
  await line.until('session.updated');
}

// What is said from now on.
class Answer {
  constructor(line, dialect) {
    this.transcripts = line.all(`${dialect.transcript}.delta`);
    this.audio = line.all(`${dialect.audio}.delta`);
  }

  observed() {
    const sizes = this.audio.map(({ delta }) => Buffer.from(delta, 'base64').length);
    return { words: joined(this.transcripts), bytes: sizes.reduce((sum, size) => sum + size, 0) };
  }
}

const joined = (deltas) => deltas.map(({ delta }) => delta).join('');
