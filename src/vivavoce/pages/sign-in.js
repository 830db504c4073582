/** Asks for the key, which becomes a cookie that no script can read. */

import { api, ApiError, find, frame } from "./shell.js";
import { translate } from "./text.js";

/** @import { Key } from "./text.js" */

frame();
const form = find("form", HTMLFormElement);
const field = find("#key", HTMLInputElement);
find("#example").textContent = `${location.origin}/sign-in?token=…`;
form.addEventListener("submit", signIn);
// The server shows this page under a link that it does not take.
if (new URLSearchParams(location.search).has("token")) refuse("sign_in.link_used");
field.focus();

/** @param {SubmitEvent} event */
async function signIn(event) {
  event.preventDefault();
  try {
    await api("/sign-in", { method: "POST", body: { key: field.value } });
    location.replace("/");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) refuse("sign_in.wrong");
    else find("#refusal").textContent = `${error.message} ${error.advice}`;
    field.select();
  }
}

/** @param {Key} why */
function refuse(why) {
  const words = document.createElement("span");
  words.dataset.text = why;
  find("#refusal").replaceChildren(words);
  translate(find("#refusal"));
}
