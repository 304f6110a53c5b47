// The answer to what is being written. Each change asks anew, and only the answer to the last one is shown.

import { ask } from "./ask.js";
import { bars, byId, counted, element, errorBox, marks, markTexts, percent, whole } from "./show.js";
import { forget, why } from "./why.js";

/** Milliseconds without a change before the server is asked. */
const PAUSE = 150;
/** Milliseconds without a change before the answer is read out. */
const SPOKEN_AFTER = 900;
/** Milliseconds before a server that was busy is asked again. */
const AGAIN_AFTER = 1000;
/** Lines of one request. */
const LINES_AT_ONCE = 32;
const MOST_LINES = 1000;
const REMEMBERED = 5000;

const EXAMPLES = [
  "A tender, funny and beautifully acted film.",
  "Two hours of my life that I will never get back.",
  "It begins slowly, but the ending makes up for everything.",
];

let model = { label_names: [], max_length: 0 };
/** The number of the last change. */
let latest = 0;
let timer, spokenTimer, request;
/** Answers by text, so that a line more doesn't ask for all lines again. */
const known = new Map();

export function start() {
  const text = byId("text");
  text.addEventListener("input", changed);
  byId("each-line").addEventListener("change", changed);
  document.addEventListener("key", changed);
  const example = (name, value, eachLine) => {
    const button = element("button", { type: "button", class: "quiet" }, name);
    button.addEventListener("click", () => {
      text.value = value;
      byId("each-line").checked = eachLine;
      changed();
    });
    byId("examples").append(button);
  };
  EXAMPLES.forEach((value) => example(value, value, false));
  example("All three, one a line", EXAMPLES.join("\n"), true);
  if (text.value !== "") changed();
}

/** Takes what is known of the model, for the order of its labels and its longest text. */
export function describe(about) {
  model = about;
}

function changed() {
  latest += 1;
  clearTimeout(timer);
  clearTimeout(spokenTimer);
  request?.abort();
  forget();
  const eachLine = byId("each-line").checked;
  byId("text-label").textContent = eachLine ? "Write or paste texts, one a line" : "Write or paste a text";
  const texts = eachLine ? lines() : [{ number: 1, text: byId("text").value }].filter(notBlank);
  if (texts.length === 0) return show(0);
  byId("answer").setAttribute("aria-busy", "true");
  timer = setTimeout(answer, PAUSE, latest, texts, eachLine);
}

/** Whether the server sees something in a text: blanks, control characters and accents alone are nothing to it. */
const notBlank = ({ text }) => /[^\s\p{Cc}\p{Mn}\u200B\u2060\uFEFF\uFFFD]/u.test(text);

function lines() {
  const all = byId("text").value.split("\n").map((text, at) => ({ number: at + 1, text: text.trim() }));
  return all.filter(notBlank);
}

async function answer(mine, texts, eachLine) {
  request = new AbortController();
  const asked = texts.slice(0, MOST_LINES);
  try {
    const answers = eachLine ? await answersTo(asked, mine) : [await answerTo(asked[0].text)];
    if (mine !== latest) return;
    if (eachLine) show(0, ...table(asked, answers, texts.length));
    else show(0, ...verdict(answers[0]), why(asked[0].text, answers[0].best.label));
    spokenTimer = setTimeout(speak, SPOKEN_AFTER, eachLine ? counts(answers).map(([label, , n]) => `${n} ${label}`).join(", ") : spoken(answers[0]));
  } catch (error) {
    if (mine !== latest || error.name === "AbortError") return;
    const again = error.passes ? AGAIN_AFTER : 0;
    if (error.status !== 401) show(again, errorBox(again ? `${error.message} Trying again …` : error.message));
    else show(0);
    if (again) timer = setTimeout(answer, again, mine, texts, eachLine);
  }
}

/** The scores of one text, and its marks. */
async function answerTo(text) {
  const { signal } = request;
  const scores = ask("predict", { inputs: text, truncate: true }, signal);
  const about = ask("ui/marks", { inputs: [text] }, signal);
  const [answer, [mark]] = await Promise.all([scores, about]);
  return { scores: ordered(answer), best: answer[0], mark };
}

/** The same for many, of which those that were asked before are remembered. */
async function answersTo(texts, mine) {
  const missing = [...new Set(texts.map(({ text }) => text))].filter((text) => !known.has(text));
  for (let at = 0; at < missing.length; at += LINES_AT_ONCE) {
    const part = missing.slice(at, at + LINES_AT_ONCE);
    const { signal } = request;
    const scores = ask("predict", { inputs: part.map((text) => [text]), truncate: true }, signal);
    const about = ask("ui/marks", { inputs: part }, signal);
    const [answers, found] = await Promise.all([scores, about]);
    if (mine !== latest) return [];
    part.forEach((text, row) => known.set(text, { scores: ordered(answers[row]), best: answers[row][0], mark: found[row] }));
    if (missing.length > 4 * LINES_AT_ONCE) byId("text-help").textContent = `${whole(at + part.length)} of ${counted(missing.length, "new line")}`;
  }
  const answers = texts.map(({ text }) => known.get(text));
  if (known.size > REMEMBERED) known.clear();
  return answers;
}

/** Scores in the order of the classes, so that bars keep their places; the best first where there are many. */
function ordered(scores) {
  const places = new Map(model.label_names.map((name, place) => [name, place]));
  const pairs = scores.map(({ label, score }) => [label, score]);
  return places.size > 6 ? pairs : pairs.sort(([a], [b]) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
}

function verdict({ scores, best, mark }) {
  const line = element("p", { class: "verdict" }, best.label, element("small", {}, percent(best.score)));
  return [line, bars(scores), marks(markTexts(mark, model.max_length))];
}

function table(texts, answers, found) {
  const head = element("tr", {}, ...["Line", "Text", "Label", "Probability"].map((name) => element("th", { scope: "col" }, name)));
  const rows = texts.map(({ number, text }, at) => {
    const { best, mark } = answers[at];
    const small = markTexts(mark, model.max_length).map((word) => element("span", { class: "small" }, word));
    const cells = [element("td", {}, text, ...small), element("td", {}, best.label), element("td", {}, percent(best.score))];
    return element("tr", {}, element("th", { scope: "row" }, whole(number)), ...cells);
  });
  const left = found - texts.length;
  const more = left > 0 ? marks([`${counted(left, "line")} more are not labeled here. Put them in a file and label that, below.`]) : "";
  const shares = bars(counts(answers), ([, , count]) => whole(count));
  const body = element("table", { class: "answers" }, element("thead", {}, head), element("tbody", {}, ...rows));
  return [shares, more, element("div", { class: "wide" }, body)];
}

/** Each label with its share and its number. */
function counts(answers) {
  const names = model.label_names.length > 0 ? model.label_names : [...new Set(answers.map(({ best }) => best.label))];
  const number = (name) => answers.filter(({ best }) => best.label === name).length;
  return names.map((name) => [name, number(name) / answers.length, number(name)]);
}

const spoken = ({ best, mark }) => [`${best.label}, ${percent(best.score)}.`, ...markTexts(mark, model.max_length)].join(" ");

function speak(text) {
  byId("spoken").textContent = text;
}

function show(again, ...children) {
  byId("text-help").textContent = "The answer follows as you type.";
  byId("answer").setAttribute("aria-busy", String(again > 0));
  byId("answer").replaceChildren(...children.filter((child) => child !== ""));
}
