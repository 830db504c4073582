// The speaker's half of the sample, in the audio thread: plays 24 kHz PCM16 as it comes, and knows
// how much of each item of the conversation has been played.
//
// Told:  { play: item id, samples: Int16Array }   more of that item
//        { end: item id }                         nothing more of it will come
//        { interrupt: true }                      silence, at once
// Tells: { interrupted: [{ item, samples }] }     what was not over then, and what was played of it

class Player extends AudioWorkletProcessor {
  // A ring: sample number n since the beginning is at n modulo its length.
  #ring = new Int16Array(30 * sampleRate);
  #played = 0;
  #written = 0;
  #items = []; // that are not over, in playing order: { id, begins, ended }
  #interrupted = null; // the item of which more may still be on its way

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data.play) this.#add(data.play, data.samples);
      if (data.end) this.#end(data.end);
      if (data.interrupt) this.#interrupt();
    };
  }

  process(_inputs, [[speaker]]) {
    const length = Math.min(speaker.length, this.#written - this.#played);
    for (let i = 0; i < length; i++) {
      speaker[i] = this.#ring[(this.#played + i) % this.#ring.length] / 32768;
    }
    this.#played += length;
    this.#forget();
    return true;
  }

  #add(id, samples) {
    if (id === this.#interrupted) return;
    const last = this.#items.at(-1);
    if (last?.id !== id) {
      if (last) last.ended = true;
      this.#items.push({ id, begins: this.#written, ended: false });
    }
    while (this.#written - this.#played + samples.length > this.#ring.length) this.#grow();
    const at = this.#written % this.#ring.length;
    const fits = this.#ring.length - at;
    this.#ring.set(samples.subarray(0, fits), at);
    this.#ring.set(samples.subarray(fits), 0);
    this.#written += samples.length;
  }

  #grow() {
    const larger = new Int16Array(2 * this.#ring.length);
    for (let n = this.#played; n < this.#written; n++) {
      larger[n % larger.length] = this.#ring[n % this.#ring.length];
    }
    this.#ring = larger;
  }

  #end(id) {
    const item = this.#items.find((each) => each.id === id);
    if (item) item.ended = true;
    this.#forget();
  }

  // Items that are over: nothing more comes, and everything was played.
  #forget() {
    while (this.#items[0]?.ended && this.#played >= (this.#items[1]?.begins ?? this.#written)) {
      this.#items.shift();
    }
  }

  #interrupt() {
    const interrupted = this.#items.map(({ id, begins }) => ({
      item: id,
      samples: Math.max(0, this.#played - begins),
    }));
    this.#interrupted = this.#items.at(-1)?.id ?? this.#interrupted;
    this.#items = [];
    this.#played = this.#written;
    this.port.postMessage({ interrupted });
  }
}

registerProcessor('sample-player', Player);
