/** What the pages ask of their server. The cookie of whoever is signed in goes along by itself. */

import { text } from "./text.js";

/** The server said no, or nothing at all (`status` 0). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string | null} code
   * @param {string} message
   */
  constructor(status, code, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }

  /** What a person can do about it. */
  get advice() {
    if (this.status === 0) return text("error.unreachable_advice");
    if (this.status === 401) return text("error.sign_in_advice");
    if (this.status === 429 || this.status === 503) return text("error.busy_advice");
    return this.status >= 500 ? text("error.log_advice") : "";
  }
}

/**
 * What the server answers; ApiError if it refuses. `body`, if there is one, is sent as JSON.
 * The caller names the type of the answer.
 *
 * @param {string} path
 * @param {{method?: string, body?: unknown, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export async function api(path, { method = "GET", body, signal } = {}) {
  /** @type {RequestInit} */
  const request = { method, headers: { Accept: "application/json" }, cache: "no-store" };
  if (signal) request.signal = signal;
  if (body !== undefined) {
    request.headers = { Accept: "application/json", "Content-Type": "application/json" };
    request.body = JSON.stringify(body);
  }
  const answer = await answered(path, request);
  const json = (answer.headers.get("Content-Type") ?? "").includes("json");
  const told = json ? await answer.json() : null;
  if (answer.ok) return told;
  const { code = null, message = answer.statusText } = told?.error ?? {};
  throw new ApiError(answer.status, code, message);
}

/**
 * @param {string} path
 * @param {RequestInit} request
 */
async function answered(path, request) {
  try {
    return await fetch(path, request);
  } catch (failure) {
    if (request.signal?.aborted) throw failure;
    throw new ApiError(0, null, text("error.unreachable"));
  }
}
