// Elements of the page. Texts are set as texts, so none is ever read as HTML.

/** How many labels are shown one by one. */
const MOST_BARS = 12;

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children, which are elements or texts. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

export const percent = (share) => `${(100 * share).toFixed(1)} %`;
export const whole = (number) => Number(number).toLocaleString("en");
export const counted = (number, noun) => `${whole(number)} ${noun}${number === 1 ? "" : "s"}`;

export function megabytes(bytes) {
  return bytes < 1e5 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Shares of 1 with their names: a row each of name, bar and number. */
export function bars(shares, number = ([, share]) => percent(share)) {
  const list = element("div", { class: "bars" });
  for (const share of shares.slice(0, MOST_BARS)) {
    const bar = element("u");
    bar.style.width = percent(share[1]).replace(" ", "");
    list.append(element("span", {}, share[0]), element("i", { "aria-hidden": "true" }, bar), element("span", {}, number(share)));
  }
  const more = shares.length - MOST_BARS;
  if (more > 0) list.append(element("span", {}, `and ${counted(more, "label")} more`), element("span"), element("span"));
  return list;
}

/** A list of things to know, or nothing. */
export function marks(texts) {
  if (texts.length === 0) return "";
  const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
  return element("ul", { class: "marks" }, ...texts.map((text) => element("li", {}, sentence(text))));
}

export function errorBox(message) {
  return element("p", { class: "error" }, message.replace(/ \(hint: (.*)\)$/s, "\nHint: $1"));
}

/** What a label is worth less for, in words. */
export function markTexts(mark, maxLength) {
  const texts = [];
  if (mark.truncated) texts.push(`Cut off: the model reads the first ${whole(maxLength)} tokens, and this text has more.`);
  if (mark.nothing_known) texts.push("The vocabulary knows no word of this text; its label means nothing.");
  else if (mark.unknown_words > 0) texts.push(`${counted(mark.unknown_words, "word")} that the vocabulary doesn't know.`);
  return texts;
}
