// Why a text has its label: its words, blue with a straight line where they speak for it, orange with a wavy line where they
// speak against it.

import { ask } from "./ask.js";
import { element, errorBox, percent } from "./show.js";

/** A word weaker than this share of the strongest one is not marked. */
const WEAKEST = 0.05;
/** Words that are listed with their numbers, on either side. */
const LISTED = 5;
/** How far the numbers may be from what they should add up to. */
const COMPLETE = 0.01;

let request;

/** Gives up what was asked for, because another text is on the page. */
export function forget() {
  request?.abort();
}

/** A button that asks why a text has a label, and the place of the answer. */
export function why(text, label) {
  const button = element("button", { type: "button", class: "quiet" }, `Why ${label}?`);
  const place = element("div", { class: "why", "aria-live": "polite" });
  button.addEventListener("click", async () => {
    forget();
    request = new AbortController();
    place.replaceChildren(element("p", { class: "caption" }, "Asking the model about every word …"));
    try {
      place.replaceChildren(...answer(await ask("explain", { inputs: text, label, truncate: true }, request.signal)));
    } catch (error) {
      if (error.name !== "AbortError") place.replaceChildren(error.status === 401 ? "" : errorBox(error.message));
    }
  });
  return element("div", {}, button, place);
}

function answer({ text, label, words, completeness, truncated }) {
  const { logit, baseline_logit: baseline, relative_error: error } = completeness;
  const listed = [["For it", words.filter((word) => word.attribution > 0)], ["Against it", words.filter((word) => word.attribution < 0)]];
  const sides = listed.filter(([, side]) => side.length > 0);
  const exact = error <= COMPLETE ? `within ${percent(error)}` : `only within ${percent(error)}, so take them with care`;
  return [
    marked(text, words),
    ...sides.map(([name, side]) => element("p", { class: "listed", dir: "auto" }, `${name}: ${strongest(side)}`)),
    element("p", { class: "caption" },
      element("mark", { class: "for" }, "Blue with a straight line"), ` speaks for ${label}, `,
      element("mark", { class: "against" }, "orange with a wavy line"), " against it. The numbers add up to what the words do for ",
      `${label}, ${signed(logit - baseline)}, ${exact}.${truncated ? " The end of the text was cut off." : ""}`),
  ];
}

/** The text with its words marked. The server counts characters, and JavaScript half of some. */
function marked(text, words) {
  const characters = [...text];
  const part = (start, end) => characters.slice(start, end).join("");
  const most = Math.max(...words.map((word) => Math.abs(word.attribution)));
  const shown = element("blockquote", { dir: "auto" });
  let at = 0;
  for (const { start, end, attribution } of words) {
    shown.append(part(at, start));
    const strength = Math.abs(attribution) / most;
    if (strength >= WEAKEST) {
      const mark = element("mark", { class: attribution > 0 ? "for" : "against", title: signed(attribution) }, part(start, end));
      mark.style.setProperty("--strength", strength.toFixed(2));
      shown.append(mark);
    } else {
      shown.append(part(start, end));
    }
    at = end;
  }
  shown.append(part(at));
  return shown;
}

function strongest(words) {
  const sorted = [...words].sort((a, b) => Math.abs(b.attribution) - Math.abs(a.attribution));
  return sorted.slice(0, LISTED).map((word) => `${word.text} ${signed(word.attribution)}`).join(" · ");
}

const signed = (number) => (number < 0 ? "−" : "+") + Math.abs(number).toFixed(2);
