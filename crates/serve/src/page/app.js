// The page of the server: what is written is answered as it is typed, files come back labeled.

import * as about from "./about.js";
import { ask, hasKey, useKey } from "./ask.js";
import * as file from "./file.js";
import * as live from "./live.js";
import { byId, element } from "./show.js";

/** Milliseconds before a server that didn't answer is asked again. */
const AGAIN_AFTER = 2000;

let keyWanted = false;

document.addEventListener("key-wanted", () => {
  const error = byId("key-error");
  // The first time no key was sent, or the one of an earlier server.
  error.hidden = !keyWanted;
  if (keyWanted) error.textContent = "This is not the server's key.";
  if (!keyWanted || byId("key-section").hidden) byId("key-section").hidden = false;
  if (!keyWanted) byId("key").focus();
  keyWanted = true;
  program();
});

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value.trim());
  describe();
});

live.start();
file.start();
program();
describe();

async function describe() {
  try {
    const model = await ask("ui/model");
    byId("trouble").hidden = true;
    byId("key-section").hidden = true;
    about.show(model);
    live.describe(model);
    file.describe(model);
  } catch (error) {
    if (error.status === 401) return;
    byId("trouble").hidden = false;
    byId("trouble").replaceChildren(element("strong", {}, "Note"), ` ${error.message}`);
    if (error.passes) setTimeout(describe, AGAIN_AFTER);
  }
}

/** A request that can be copied to a terminal. */
function program() {
  const address = new URL("predict", document.baseURI).href;
  const key = keyWanted || hasKey() ? " \\\n  -H 'Authorization: Bearer KEY'" : "";
  byId("curl").textContent = `curl ${address} \\\n  -H 'Content-Type: application/json'${key} \\\n  -d '{"inputs": "A tender, funny and beautifully acted film."}'`;
}
