// A file that is sent to the server and comes back with a label for each row.

import { ask, headers, refusal } from "./ask.js";
import { bars, byId, counted, element, errorBox, marks, megabytes, whole } from "./show.js";

/** Milliseconds between two looks at how far the server is. */
const LOOK_EVERY = 400;

let limits = { max_file_bytes: Infinity };
/** The request that is under way. */
let request;
let lookTimer, address;

export function start() {
  const drop = byId("drop");
  byId("file").addEventListener("change", ({ target }) => {
    if (target.files.length > 0) send(target.files[0]);
    // The same file may be chosen again.
    target.value = "";
  });
  byId("file-cancel").addEventListener("click", () => {
    request?.abort();
    end(element("p", { class: "caption" }, "Cancelled."), "Cancelled.");
    byId("file").focus();
  });
  // Anywhere on the page: a file that misses the field must not replace the page.
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => {
    if (relatedTarget === null) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    dropped(event.dataTransfer);
  });
}

/** Takes the server's limits and the formats that it reads. */
export function describe(about) {
  limits = about.limits;
  const most = `${megabytes(limits.max_file_bytes)} and ${counted(limits.max_file_rows, "row")}`;
  byId("formats").textContent = `${about.formats}, at most ${most}.`;
}

function dropped(data) {
  if (data.files.length === 0) return;
  const isFolder = data.items[0]?.webkitGetAsEntry?.()?.isDirectory === true;
  if (isFolder) return end(errorBox(`${data.files[0].name} is a folder. Drop a file that is in it.`));
  if (data.files.length > 1) return end(errorBox(`${data.files.length} files were dropped. Drop one at a time.`));
  send(data.files[0]);
}

function send(file) {
  request?.abort();
  if (file.size > limits.max_file_bytes) {
    const sizes = `${file.name} has ${megabytes(file.size)}, and this server takes at most ${megabytes(limits.max_file_bytes)}.`;
    return end(errorBox(`${sizes}\nHint: split it, or label it with the command verdict predict --file ${file.name}`));
  }
  const id = randomId();
  const query = new URLSearchParams({ name: file.name, progress: id });
  const column = byId("text-column").value.trim();
  if (column !== "") query.set("text_column", column);
  const mine = new XMLHttpRequest();
  request = mine;
  mine.open("POST", `label?${query}`);
  for (const [name, value] of Object.entries(headers())) mine.setRequestHeader(name, value);
  mine.setRequestHeader("Content-Type", "application/octet-stream");
  mine.responseType = "blob";
  mine.upload.addEventListener("progress", ({ loaded, total }) => working(`Sending ${file.name}`, loaded, total));
  mine.upload.addEventListener("load", () => {
    working(`Reading ${file.name}`);
    look(mine, file, id);
  });
  mine.addEventListener("load", () => answered(mine, file));
  mine.addEventListener("error", () => {
    const message = "The connection broke off. Is the server running, and is the file still there?";
    if (mine === request) end(errorBox(message), message, tryAgain(file));
  });
  byId("file-result").replaceChildren();
  working(`Sending ${file.name}`, 0, file.size);
  mine.send(file);
}

/** Asks how far the server is until the answer is there. */
function look(mine, file, id) {
  clearTimeout(lookTimer);
  lookTimer = setTimeout(async () => {
    try {
      const { rows, rows_done } = (await ask(`label/progress?id=${id}`)) ?? { rows: 0 };
      if (mine !== request || mine.readyState === XMLHttpRequest.DONE) return;
      if (rows > 0) working(`Labeling ${file.name}: ${whole(rows_done)} of ${counted(rows, "row")}`, rows_done, rows);
    } catch {
      // The answer itself says what is wrong.
    }
    if (mine === request && mine.readyState !== XMLHttpRequest.DONE) look(mine, file, id);
  }, LOOK_EVERY);
}

async function answered(mine, file) {
  if (mine !== request) return;
  if (mine.status !== 200) {
    const { message, status } = refusal(mine.status, await mine.response.text());
    const needsColumn = message.includes("text_column");
    end(errorBox(message), message, tryAgain(file));
    if (needsColumn) byId("file-options").open = true;
    if (needsColumn && status === 422) byId("text-column").focus();
    return;
  }
  const { rows, labels, notes, name } = JSON.parse(mine.getResponseHeader("x-label-summary"));
  URL.revokeObjectURL(address);
  address = URL.createObjectURL(mine.response);
  const link = element("a", { class: "button", href: address, download: name, id: "file-download" }, `Download ${name}`);
  const shares = labels.map(([label, count]) => [label, rows === 0 ? 0 : count / rows, count]);
  const done = `${file.name}: ${counted(rows, "row")}, ${megabytes(mine.response.size)}`;
  end(element("p", { class: "done" }, done), `${done}. Ready to download.`, bars(shares, ([, , count]) => whole(count)), link, marks(notes));
  link.focus();
}

function tryAgain(file) {
  const button = element("button", { type: "button" }, `Try ${file.name} again`);
  button.addEventListener("click", () => send(file));
  return element("p", {}, button);
}

function working(what, done, total) {
  byId("file-work").hidden = false;
  byId("file-status").textContent = what;
  const progress = byId("file-progress");
  if (total === undefined) progress.removeAttribute("value");
  else Object.assign(progress, { max: Math.max(total, 1), value: done });
}

function end(result, spoken = result.textContent, ...more) {
  clearTimeout(lookTimer);
  request = undefined;
  byId("file-work").hidden = true;
  byId("file-result").replaceChildren(result, ...more.filter((child) => child !== ""));
  byId("file-spoken").textContent = spoken;
}

/** Unlike `crypto.randomUUID`, this is there without TLS too. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
