/** The first page: is the server ready, where is it, and how does one begin. */

import { api, ApiError, askForKey, enter, find } from "./shell.js";
import { isKey, text, translate } from "./text.js";
import * as snippets from "./snippets.js";
import "./elements/copy-button.js";

/** @import { Deployment, Engine, Home } from "./types.d.ts" */
/** @import { Key } from "./text.js" */

// How soon it is asked again how the server is: while it changes, and while all is well.
const RESTLESS_MS = 1000;
const CALM_MS = 10_000;
const PLACEHOLDER = "KEY";
const NONE_NEEDED = "none-needed"; // clients refuse to start without any
const HIDDEN = "•".repeat(16);

/** What the pages that can be tried are for. @type {Map<string, [Key, Key]>} */
const TRIED = new Map([["/sample", ["frame.sample", "home.sample"]]]);

let home = await enter();
let reachable = true;
let keyShown = false;

document.addEventListener("language", show);
find("#show-key").addEventListener("click", () => {
  keyShown = !keyShown;
  show();
});
tabs();
show();
find("main").hidden = false;
await watch();

/** Ask again and again how the server is; nobody is asked for a page that nobody sees. */
async function watch() {
  for (;;) {
    const calm = reachable && home.state === "ready";
    await new Promise((resolve) => setTimeout(resolve, calm ? CALM_MS : RESTLESS_MS));
    if (document.hidden) await seen();
    if (!(await asked())) return;
  }
}

/** Whether whoever reads this is still signed in. */
async function asked() {
  const before = JSON.stringify([home, reachable]);
  try {
    home = await api("/api/home");
    reachable = true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) {
      askForKey();
      return false;
    }
    reachable = false;
  }
  // What did not change is left alone: somebody may be selecting it.
  if (JSON.stringify([home, reachable]) !== before) show();
  return true;
}

async function seen() {
  await new Promise((resolve) =>
    document.addEventListener("visibilitychange", resolve, { once: true }),
  );
}

function show() {
  showState();
  showAddresses();
  showPrograms();
  find("#engines").replaceChildren(...home.engines.map(engineRow));
  find("#deployments").replaceChildren(...home.deployments.map(deploymentRow));
  showLinks();
}

function showState() {
  const state = reachable ? home.state : "unreachable";
  find("#how").dataset.status = reachable ? home.state : "failed";
  find("#state").textContent = text(`home.${state}`);
  find("#more").textContent = text(`home.${state}_more`, { version: home.version });
}

function showAddresses() {
  const { addresses, key } = home;
  find("#http").textContent = addresses.http;
  find("#ws").textContent = addresses.ws;
  find("#key").textContent = key === null ? text("home.no_key") : keyShown ? key : HIDDEN;
  find("#key").classList.toggle("none", key === null);
  find("#show-key").ariaPressed = String(keyShown);
  find("#show-key").hidden = key === null;
  const copy = find("#copy-key");
  copy.hidden = key === null;
  Object.assign(copy, { value: key });
}

function showPrograms() {
  const { addresses, deployments, key } = home;
  const filled = key === null ? NONE_NEEDED : keyShown ? key : PLACEHOLDER;
  const model = (deployments.find(({ name }) => name === "gpt-realtime") ?? deployments[0])?.name;
  if (model === undefined) return;
  find("#python code").textContent = snippets.python(addresses.http, filled, model);
  find("#javascript code").textContent = snippets.javascript(addresses.ws, filled, model);
  find("#curl code").textContent = snippets.curl(addresses.http, filled, model);
  const about = key === null ? "needs_no_key" : keyShown ? "filled_in" : "placeholder";
  find("#about-key").textContent = text(`home.${about}`);
}

/** @param {Engine} engine */
function engineRow(engine) {
  const row = copyOf("#engine");
  const well = engine.status === "ready" || engine.status === "loading";
  row.dataset.status = well ? engine.status : "failed";
  const slot = `slot.${engine.slot}`;
  find(".what", HTMLElement, row).textContent = isKey(slot) ? text(slot) : engine.slot;
  const { name, version } = engine;
  find(".who", HTMLElement, row).textContent =
    engine.status === "ready" ? version : `${name} ${version}`;
  const status = `status.${engine.status}`;
  find(".how", HTMLElement, row).textContent = text(isKey(status) ? status : "status.failed");
  return row;
}

/** @param {Deployment} deployment */
function deploymentRow({ name, model, recipe, served_by }) {
  const row = document.createElement("tr");
  const told = /** @type {[Key, string][]} */ ([
    ["home.name", name],
    ["home.model", model],
    ["home.recipe", recipe],
    ["home.served_by", served_by],
  ]);
  for (const [column, value] of told) {
    const cell = document.createElement(column === "home.name" ? "th" : "td");
    if (column === "home.name") cell.setAttribute("scope", "row");
    cell.dataset.column = text(column); // shown where there is no room for columns
    cell.textContent = value;
    row.append(cell);
  }
  return row;
}

function showLinks() {
  const there = [...TRIED].filter(([path]) => home.pages.includes(path));
  const links = there.map(([path, [name, purpose]]) => {
    const item = copyOf("#link");
    find("a", HTMLAnchorElement, item).href = path;
    find("strong", HTMLElement, item).dataset.text = name;
    find("span", HTMLElement, item).dataset.text = purpose;
    return item;
  });
  const section = find("#pages");
  section.hidden = links.length === 0;
  find("ul", HTMLElement, section).replaceChildren(...links);
  translate(section);
}

/** Tabs as one expects them: arrows walk, one of them is on the way of the tabulator. */
function tabs() {
  const all = [...document.querySelectorAll("[role=tab]")].filter((tab) => tab instanceof HTMLElement);

  /** @param {HTMLElement} chosen */
  const choose = (chosen) => {
    for (const tab of all) {
      tab.ariaSelected = String(tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      find(`#${tab.getAttribute("aria-controls")}`).classList.toggle("chosen", tab === chosen);
    }
    find("#copy-program").setAttribute("for", `program-${chosen.getAttribute("aria-controls")}`);
  };

  all.forEach((tab, at) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      const next = step && all.at((at + step) % all.length);
      if (!next) return;
      choose(next);
      next.focus();
    });
  });
  if (all[0]) choose(all[0]);
}

/** @param {string} template */
function copyOf(template) {
  const made = find(template, HTMLTemplateElement).content.firstElementChild?.cloneNode(true);
  return /** @type {HTMLElement} */ (made);
}
