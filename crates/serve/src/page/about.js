// What the model is, what it was trained on and how good it is.

import { byId, counted, element, marks, percent, whole } from "./show.js";

export function show(about) {
  document.title = `${about.name} · Verdict`;
  byId("title").textContent = about.name;
  const best = about.evaluations[0];
  const trained = about.training;
  const parts = [about.label_names.join(", "), trained && `${trained.model} on ${trained.dataset}`];
  if (best) parts.push(`accuracy ${percent(best.accuracy)} on ${best.split}`);
  byId("subtitle").textContent = parts.filter(Boolean).join(" · ");
  const children = [pairs(about)];
  if (best) children.unshift(headline(best));
  for (const evaluation of about.evaluations) {
    if (evaluation.confusion_matrix.length > 0 && evaluation.confusion_matrix.length <= 12) children.push(...confusion(evaluation));
    // Notes of the data are recorded with both.
    children.push(marks(evaluation.notes.filter((note) => !trained?.notes.includes(note))));
  }
  byId("model").replaceChildren(...children.filter((child) => child !== ""));
}

function headline(evaluation) {
  const number = (name, value, detail) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value), element("dd", { class: "detail" }, detail));
  const on = `${counted(evaluation.examples, "text")} of ${evaluation.split}`;
  return element(
    "dl",
    { class: "headline" },
    number("Accuracy", percent(evaluation.accuracy), on),
    number("F1", percent(evaluation.f1), "weighted"),
    number("Loss", evaluation.loss === null ? "not finite" : evaluation.loss.toFixed(3), "mean cross-entropy"),
  );
}

function pairs(about) {
  const { training } = about;
  const unknown = "not known: the folder has no record of it";
  const rows = [
    ["Labels", about.label_names.join(", ")],
    ["Trained on", training ? `${training.dataset} (${training.source})` : unknown],
    ["Pretrained model", training ? training.model : unknown],
  ];
  if (training) {
    const how = `${counted(training.epochs, "epoch")}, ${counted(training.steps, "step")}, ${training.precision} on ${training.device}`;
    rows.push(["Training", how]);
  }
  if (about.evaluations.length === 0) rows.push(["How good it is", `${unknown} (hint: verdict evaluate scores it)`]);
  rows.push(["Longest text", `${whole(about.max_length)} tokens; what is longer is cut off`]);
  rows.push(["Computes in", `${about.dtype} on ${about.device}`]);
  const row = ([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value));
  const table = element("table", { class: "pairs" }, element("tbody", {}, ...rows.map(row)));
  const notes = training?.notes.length > 0 ? [marks(training.notes)] : [];
  return element("div", {}, table, ...notes);
}

/** The confusion matrix as a table: rows are true labels, columns the model's. */
function confusion({ split, dataset, label_names: names, confusion_matrix: counts }) {
  const heading = element("h3", {}, `Confusion: ${dataset}, ${split}`);
  const head = element("tr", {}, element("th", { scope: "col" }, "true \\ labeled"), ...names.map((name) => element("th", { scope: "col" }, name)));
  const rows = counts.map((row, truth) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    const cells = row.map((count) => {
      const share = total === 0 ? 0 : count / total;
      const cell = element("td", {}, whole(count), element("small", {}, total === 0 ? "–" : percent(share)));
      cell.style.setProperty("--share", percent(share).replace(" ", ""));
      return cell;
    });
    return element("tr", {}, element("th", { scope: "row" }, names[truth]), ...cells);
  });
  const table = element("table", { class: "confusion" }, element("thead", {}, head), element("tbody", {}, ...rows));
  const caption = element("p", { class: "caption" }, "A row is a true label: how many of its texts got which label.");
  return [heading, element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": `Confusion matrix of ${split}` }, table), caption];
}
