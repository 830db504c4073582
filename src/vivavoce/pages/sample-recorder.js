// The microphone's half of the sample, in the audio thread: hands over PCM16, 100 ms at a time.

const CHUNK = sampleRate / 10;

class Recorder extends AudioWorkletProcessor {
  #chunk = new Int16Array(CHUNK);
  #filled = 0;

  process([[microphone]]) {
    for (const sample of microphone ?? []) {
      this.#chunk[this.#filled++] = Math.max(-1, Math.min(1, sample)) * 32767;
      if (this.#filled === CHUNK) this.#handOver();
    }
    return true;
  }

  #handOver() {
    this.port.postMessage(this.#chunk, [this.#chunk.buffer]);
    this.#chunk = new Int16Array(CHUNK);
    this.#filled = 0;
  }
}

registerProcessor('sample-recorder', Recorder);
