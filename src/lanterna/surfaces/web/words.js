// Text helpers: numbers, names of units, and a description of the view.

/** @import { Column, Model } from "lanterna/flow.js" */

/** @typedef {Record<string, string | number | boolean | null | undefined>} Attributes */

/** An element with attributes and children.
    @template {keyof HTMLElementTagNameMap} K
    @param {K} name
    @param {Attributes} attributes
    @param {...(Node | string)} children
    @returns {HTMLElementTagNameMap[K]} */
export function element(name, attributes = {}, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    if (value !== false && value != null) created.setAttribute(key, String(value));
  created.append(...children);
  return created;
}

/** The element inside `host` that matches a selector.
    @param {ParentNode} host
    @param {string} selector
    @returns {HTMLElement} */
export function within(host, selector) {
  return /** @type {HTMLElement} */ (host.querySelector(selector));
}

/** The message of an error.
    @param {unknown} error */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));

/** A number with about three significant digits, and a true minus sign.
    @param {number} value
    @param {number | null} places */
export function number(value, places = null) {
  const size = Math.abs(value);
  const digits =
    places ?? (size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 || size === 0 ? 2 : size >= 0.01 ? 3 : 4);
  const text = size.toFixed(digits);
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

/** A number with three significant digits: 0.00123, 12.3, 2.5 × 10⁻⁸.
    @param {unknown} value */
export function figure(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return String(value ?? "–");
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) {
    const [digits, power] = value.toExponential(2).split("e");
    return `${Number(digits)} × 10${superscript(power)}`.replace("-", "−");
  }
  const text = Number.isInteger(value)
    ? String(value)
    : String(Number(value.toPrecision(size >= 100 ? 4 : 3)));
  return text.replace("-", "−");
}

/** A number as `figure` formats it, with at most `places` decimals.
    @param {number} value
    @param {number} places */
export const fixed = (value, places) => figure(Number(value.toFixed(places)));

/** A number as `figure` formats it, with at most `digits` significant digits.
    @param {number} value
    @param {number} digits */
export const precise = (value, digits) => figure(Number(value.toPrecision(digits)));

/** A number that always shows its sign.
    @param {number} value
    @param {number | null} places */
export function signed(value, places = null) {
  const text = number(value, places);
  return text.startsWith("−") ? text : `+${text}`;
}

/** @param {number} share */
export function percent(share) {
  const hundred = 100 * share;
  return hundred >= 99.95
    ? "100 %"
    : hundred < 0.05
      ? "0 %"
      : `${hundred.toFixed(hundred < 10 || hundred > 99 ? 1 : 0)} %`;
}

/** @param {number} value */
export function count(value) {
  return value.toLocaleString("en");
}

/** "relu2, map 14"
    @param {Column} column
    @param {number} unit */
export function unitName(column, unit) {
  if (column.kind === "answers") return column.names?.[unit] ?? `answer ${unit}`;
  if (column.kind === "picture") {
    return column.count > 1
      ? `pixel in row ${Math.floor(unit / column.width)}, column ${unit % column.width}`
      : "the picture";
  }
  return `${column.name}, ${column.kind === "maps" ? "map" : "unit"} ${unit}`;
}

/** The share of the answer that a column's units contribute.
    @param {Model} model
    @param {number} k */
export function contributionText(model, k) {
  if (!model.answers().length) return "";
  const { units, logit } = model.sum(k);
  return `${number(units, 1)} of ${number(logit, 1)}`;
}

/** The explained answer: "4", or "4 rather than 9".
    @param {Model} model */
export function questionText(model) {
  const { answer, against } = model.question;
  return against === null
    ? model.classes[answer]
    : `${model.classes[answer]} rather than ${model.classes[against]}`;
}

/** How the parts add up, in one sentence.
    @param {Model} model */
export function sumText(model) {
  if (!model.answers().length) return "This network has no classes: these are the outputs of its layers.";
  const { units, offsets, logit } = model.sum(0);
  const what =
    model.question.against === null
      ? `the logit of ${questionText(model)}`
      : `the lead of ${model.classes[model.question.answer]} over ${model.classes[model.question.against]}`;
  const rest = model.exact ? "the biases" : "an empty picture";
  return (
    `The pixels contribute ${number(units)}, ${rest} ${number(offsets)}: ` +
    `together ${number(logit)}, ${what}.`
  );
}

/** A description of the view for screen readers.
    @param {Model} model
    @param {number} cuts */
export function summary(model, cuts) {
  if (!model.answers().length) return sumText(model);
  const best = model.answers().reduce((a, b) => (b.probability > a.probability ? b : a));
  const parts = [`Read as ${best.name}, ${percent(best.probability)}.`];
  const last = model.columns.length - 2;
  const given = model.contributions(last);
  const order = Array.from(given.keys()).sort((a, b) => given[b] - given[a]);
  const list = (units) => units.map((unit) => `${unit} (${signed(given[unit])})`).join(", ");
  const column = model.columns[last];
  const what =
    column.kind === "picture" ? "pixels" : `${column.kind === "maps" ? "maps" : "units"} of ${column.name}`;
  const pro = order.slice(0, 3).filter((unit) => given[unit] > 0);
  const con = order
    .slice(-3)
    .reverse()
    .filter((unit) => given[unit] < 0);
  if (pro.length) parts.push(`Strongest ${what} for ${questionText(model)}: ${list(pro)}.`);
  if (con.length) parts.push(`Strongest against: ${list(con)}.`);
  parts.push(sumText(model));
  if (cuts) parts.push(`${cuts} cut.`);
  return parts.join(" ");
}

/** The heading: the network's answer.
    @param {Model} model */
export function readingText(model) {
  if (!model.answers().length) return model.title ?? "";
  const best = model.answers().reduce((a, b) => (b.probability > a.probability ? b : a));
  return model.named
    ? `${best.name}, ${percent(best.probability)}`
    : `Read as ${best.name}, ${percent(best.probability)} sure`;
}

/** Whether the sum is exact, and its error.
    @param {Model} model */
export function exactness(model) {
  if (!model.answers().length) return model.note;
  const { units, offsets, logit } = model.sum(0);
  const gap = Math.abs(units + offsets - logit);
  const off = gap === 0 ? "to the last digit" : `off by ${small(gap)}`;
  const how = model.exact
    ? `For this one picture the network is linear, so the sum is exact (${off}) at every layer.`
    : `${model.note} (${off}).`;
  return model.why ? `${how} ${model.why}` : how;
}

/** A very small number: 4 × 10⁻¹⁵.
    @param {number} value */
function small(value) {
  if (value > 1e-3) return number(value);
  const [digit, power] = value.toExponential(0).split("e-");
  return `${digit} × 10⁻${superscript(power)}`;
}

/** An exponent: "-8" is "⁻⁸".
    @param {number | string} power */
export function superscript(power) {
  return String(power)
    .replace(/[-−]/, "⁻")
    .replace("+", "")
    .replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]);
}
