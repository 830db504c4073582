/** `<copy-button data-label="..." for="id">`: copies what that element holds, or its `value`. */

import { announce, find, toast } from "../shell.js";
import { text, translate } from "../text.js";

const ICONS = `
  <svg class="sheets" viewBox="0 0 20 20" aria-hidden="true">
    <rect x="7" y="7" width="9" height="9" rx="2"/><path d="M13 4.5H6A1.5 1.5 0 0 0 4.5 6v7"/>
  </svg>
  <svg class="tick" viewBox="0 0 20 20" aria-hidden="true"><path d="m4.5 10.5 4 4 7-8.5"/></svg>`;
const SHOWN_MS = 2000; // how long the tick stands

class CopyButton extends HTMLElement {
  /** What is copied, if not the text of the element named by `for`. @type {string | null} */
  value = null;

  connectedCallback() {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "icon";
    button.innerHTML = ICONS;
    button.dataset.label = this.getAttribute("label") ?? "copy.copy";
    button.addEventListener("click", () => this.#copy(button));
    this.replaceChildren(button);
    translate(this);
  }

  /** @param {HTMLButtonElement} button */
  async #copy(button) {
    const words = this.value ?? find(`#${this.getAttribute("for")}`).textContent ?? "";
    if (!(await copied(words))) return toast(text("copy.failed"));
    announce(text("copy.copied"));
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), SHOWN_MS);
  }
}

/**
 * Whether the clipboard took it.
 *
 * @param {string} words
 */
async function copied(words) {
  // Browsers give pages of plain http no clipboard, other than on this machine; they still have
  // the command of old.
  if (!navigator.clipboard) return copiedFromField(words);
  return navigator.clipboard.writeText(words).then(
    () => true,
    () => false,
  );
}

/** @param {string} words */
function copiedFromField(words) {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.className = "unseen";
  field.value = words;
  document.body.append(field);
  field.select();
  const took = document.execCommand("copy");
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return took;
}

customElements.define("copy-button", CopyButton);
