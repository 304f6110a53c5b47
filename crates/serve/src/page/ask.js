// Requests to the server, with its key where it wants one.

const STORED = "verdict-key";
let key = stored();

/** Why the server doesn't answer a request: `status` 0 where there was no answer at all. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  /** Whether the same request may be answered a little later. */
  get passes() {
    return [0, 429, 503].includes(this.status);
  }
}

/** Keeps a key for this tab and says so to whoever listens for "key". */
export function useKey(value) {
  key = value;
  try {
    sessionStorage.setItem(STORED, value);
  } catch {
    // Storage is off: the key lives as long as the page.
  }
  document.dispatchEvent(new Event("key"));
}

export function hasKey() {
  return key !== "";
}

/** The headers that every request needs. */
export function headers() {
  return key === "" ? {} : { Authorization: `Bearer ${key}` };
}

/** A JSON answer, or null for none: GET without a body, else POST. Throws `Refused`, or an `AbortError` by `signal`. */
export async function ask(path, body, signal) {
  const request = { headers: headers(), cache: "no-store", signal };
  if (body !== undefined) {
    request.method = "POST";
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let response, text;
  try {
    response = await fetch(path, request);
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server does not answer.");
  }
  if (!response.ok) throw refusal(response.status, text);
  return response.status === 204 ? null : JSON.parse(text);
}

/** The error of an answer, in the server's words. A 401 is told to whoever listens for "key-wanted". */
export function refusal(status, text) {
  if (status === 401) document.dispatchEvent(new Event("key-wanted"));
  let message = text.trim();
  try {
    message = JSON.parse(text).error ?? message;
  } catch {
    // A proxy in between may answer with a page of its own.
    message = message.startsWith("<") ? "" : message;
  }
  return new Refused(status, message || `The server answers with status ${status}.`);
}

function stored() {
  try {
    return sessionStorage.getItem(STORED) ?? "";
  } catch {
    return "";
  }
}
