// How loud it is what a page is told to play: measured by the browser's own analyser.

const TICK_MS = 10;
const LOUD = 0.005; // root mean square; full scale is 1
const WINDOW = 1024; // samples, about 20 ms

export class Ear {
  #awaited = new Set();
  #first = null; // when something was heard, by the page's clock in milliseconds
  #last = null;

  listen(stream) {
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, { fftSize: WINDOW });
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(WINDOW);
    setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      this.#hear(performance.now(), Math.hypot(...samples) / Math.sqrt(WINDOW));
    }, TICK_MS);
  }

  // Resolves when something is heard from now on.
  loud() {
    const since = performance.now();
    return this.#until(() => this.#last >= since);
  }

  // Resolves when nothing was heard for so long, counted from now on: to the milliseconds from the
  // first sound ever to the last one.
  quiet(ms) {
    const since = performance.now();
    return this.#until((now) => now - Math.max(this.#last, since) >= ms);
  }

  #hear(at, level) {
    if (level > LOUD) {
      this.#first ??= at;
      this.#last = at;
    }
    for (const each of this.#awaited) {
      if (!each.holds(at)) continue;
      this.#awaited.delete(each);
      each.resolve(this.#last - this.#first);
    }
  }

  #until(holds) {
    return new Promise((resolve) => this.#awaited.add({ holds, resolve }));
  }
}
