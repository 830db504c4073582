// A conversation through a realtime client of the openai package.

export class Line {
  frames = []; // every server event so far
  errors = []; // what the client gave to those who listen for errors

  #client;
  #read = 0;
  #failure = null;
  #wake = () => {};

  constructor(client) {
    this.#client = client;
    client.on('event', (event) => {
      this.frames.push(event);
      this.#wake();
    });
    client.on('error', (error) => {
      this.errors.push({ name: error.name, message: error.message, error: error.error ?? null });
      // What the server did not say happened to the connection.
      if (!error.error) this.#failure = error;
      this.#wake();
    });
    client.socket.addEventListener('close', ({ code, reason }) => {
      this.#failure ??= new Error(`the server hung up: ${code} ${reason}`);
      this.#wake();
    });
  }

  say(type, fields = {}) {
    this.#client.send({ type, ...fields });
  }

  // Say it in writing, and ask for an answer.
  write(text) {
    const content = [{ type: 'input_text', text }];
    this.say('conversation.item.create', { item: { type: 'message', role: 'user', content } });
    this.say('response.create');
  }

  // Send audio, a tenth of a second at a time.
  speak(pcm) {
    for (let start = 0; start < pcm.length; start += 4800) {
      const audio = pcm.subarray(start, start + 4800).toString('base64');
      this.say('input_audio_buffer.append', { audio });
    }
  }

  // The next event of that type after those that were awaited before.
  async until(type) {
    for (;;) {
      while (this.#read < this.frames.length) {
        const event = this.frames[this.#read++];
        if (event.type === type) return event;
      }
      if (this.#failure) throw this.#failure;
      await new Promise((resolve) => (this.#wake = resolve));
    }
  }

  // Every event of that type from now on, as the client gives them to who listens for that type.
  all(type) {
    const given = [];
    this.#client.on(type, (event) => given.push(event));
    return given;
  }

  close() {
    this.#client.close();
  }
}
