/** The frame of every page: header, pickers, who is signed in, what is told to everybody. */

import { api, ApiError } from "./api.js";
import { choose, language, LANGUAGES, text, translate } from "./text.js";

export { api, ApiError };

/** @import { Home } from "./types.d.ts" */
/** @import { Key, Language } from "./text.js" */

/** What the pages are called, in the order of the header. @type {Map<string, Key>} */
const PAGES = new Map([
  ["/", "frame.home"],
  ["/sample", "frame.sample"],
]);

const FRAME = `
  <a class="skip" href="#content" data-text="frame.skip"></a>
  <a class="brand" href="/">
    <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
      <path d="M8 14v4M12 10.5v11M16 7v18M20 11.5v9M24 14v4"/>
    </svg>
    Viva Voce
  </a>
  <nav data-label="frame.pages"><ul></ul></nav>
  <button type="button" id="sign-out" data-text="frame.sign_out" hidden></button>
  <div class="pickers">
    <select id="language" data-label="frame.language"></select>
    <select id="theme" data-label="frame.theme">
      <option value="auto" data-text="frame.theme_auto"></option>
      <option value="light" data-text="frame.theme_light"></option>
      <option value="dark" data-text="frame.theme_dark"></option>
    </select>
  </div>`;

/** Put the frame around the page, in the language and colours of whoever reads it. */
export function frame() {
  const header = find("header");
  header.innerHTML = FRAME;
  const picker = find("#language", HTMLSelectElement);
  for (const [code, name] of Object.entries(LANGUAGES)) {
    const option = new Option(name, code, false, code === language());
    option.lang = code;
    picker.add(option);
  }
  picker.addEventListener("change", () => choose(/** @type {Language} */ (picker.value)));
  chooseColours(find("#theme", HTMLSelectElement));
  find("#sign-out").addEventListener("click", signOut);
  document.body.append(region("status", "spoken"), region("alert", "toasts"));
  translate(document);
}

/**
 * The frame, and what the server tells of itself to whoever is signed in. Whoever is not is asked
 * for the key, and there is no more of this page.
 *
 * @returns {Promise<Home>}
 */
export async function enter() {
  frame();
  try {
    /** @type {Home} */
    const home = await api("/api/home");
    showPages(home);
    return home;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) askForKey();
    else toast(error);
    return new Promise(() => {});
  }
}

/** Whoever reads this is not signed in, or is no longer: the server asks for the key. */
export function askForKey() {
  location.replace(`/sign-in?lang=${language()}`);
}

/**
 * Tell of something that went wrong, until it is dismissed.
 *
 * @param {ApiError | string} what
 */
export function toast(what) {
  const note = document.createElement("div");
  const words = document.createElement("p");
  const refused = what instanceof ApiError;
  words.textContent = refused ? `${what.message} ${what.advice}`.trim() : what;
  const dismiss = document.createElement("button");
  dismiss.type = "button";
  dismiss.dataset.text = "frame.dismiss";
  dismiss.addEventListener("click", () => note.remove());
  note.append(words, dismiss);
  translate(note);
  find("#toasts").append(note);
}

/**
 * Tell whoever cannot see what just happened; nothing is shown.
 *
 * @param {string} words
 */
export function announce(words) {
  find("#spoken").textContent = words;
}

/**
 * The one element that is there: a page without it is broken.
 *
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} selector
 * @param {new () => T} [kind]
 * @param {ParentNode} [within]
 * @returns {T}
 */
export function find(selector, kind, within = document) {
  const found = within.querySelector(selector);
  if (found instanceof (kind ?? HTMLElement)) return /** @type {T} */ (found);
  throw new Error(`the page has no ${selector}`);
}

/** @param {Home} home */
function showPages({ pages, key }) {
  const there = [...PAGES].filter(([path]) => pages.includes(path));
  const links = there.map(([path, name]) => {
    const link = document.createElement("a");
    link.href = path;
    link.dataset.text = name;
    if (path === location.pathname) link.setAttribute("aria-current", "page");
    const item = document.createElement("li");
    item.append(link);
    return item;
  });
  const list = find("nav ul");
  list.replaceChildren(...links);
  translate(list);
  find("#sign-out").hidden = key === null;
}

/** @param {HTMLSelectElement} picker */
function chooseColours(picker) {
  picker.value = document.documentElement.dataset.theme ?? "auto";
  picker.addEventListener("change", () => {
    document.documentElement.dataset.theme = picker.value;
    localStorage.setItem("vivavoce.theme", picker.value);
  });
}

async function signOut() {
  try {
    await api("/sign-out", { method: "POST" });
    location.assign("/");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(error);
  }
}

/**
 * @param {string} role
 * @param {string} id
 */
function region(role, id) {
  const made = document.createElement("div");
  made.role = role;
  made.id = id;
  return made;
}
