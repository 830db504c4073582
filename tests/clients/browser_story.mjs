// What a server told a page, in order, and the waiting for what it tells next.

export class Story {
  frames = []; // every server event so far, with the time at which it came

  #read = 0;
  #over = null;
  #wake = () => {};

  tell(event) {
    this.frames.push({ at: performance.now(), event });
    this.#wake();
  }

  // Nothing more will be told.
  end(reason) {
    this.#over ??= reason;
    this.#wake();
  }

  // The next event of that type after those that were awaited before.
  async until(type) {
    for (;;) {
      while (this.#read < this.frames.length) {
        const { event } = this.frames[this.#read++];
        if (event.type === type) return event;
      }
      if (this.#over !== null) throw new Error(`no ${type} any more: ${this.#over}`);
      await this.#more();
    }
  }

  // Why it is over, once it is.
  async ended() {
    while (this.#over === null) await this.#more();
    return this.#over;
  }

  #more() {
    const wake = this.#wake;
    return new Promise((resolve) => {
      this.#wake = () => {
        wake();
        resolve();
      };
    });
  }
}
