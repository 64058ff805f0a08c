// How one number came about: input × weights + bias, then what each stage of the layer makes of it.

import { drawMap, largest } from "lanterna/draw.js";
import { element, number, signed, unitName } from "lanterna/words.js";

/** @import { Stage } from "lanterna/compute.js" */
/** @import { Numbers } from "lanterna/draw.js" */
/** @import { Column, Model, Page } from "lanterna/flow.js" */
/** @import { Looked } from "lanterna/panel.js" */

const LISTED = 3; // inputs that are written out; the rest are one sum

/** The steps that lead to a unit's value at a position, as elements.
    @param {Page} page
    @param {Model} model
    @param {Looked} focus */
export function arithmetic(page, model, { column: k, unit, position }) {
  const column = model.columns[k];
  const stages = model.network?.stages ?? [];
  if (column.kind === "picture") return [];
  // From the last stage of the layer back to the first: where in each of them this number stood.
  const path = [];
  let at = unit * column.height * column.width + (column.kind === "maps" ? position : 0);
  for (const index of (column.group ?? []).toReversed()) {
    const stage = stages[index];
    if (stage.kind === "flatten" || stage.kind === "dropout") continue;
    path.unshift({ stage, at, before: stages[index - 1] });
    if (stage.kind === "pool") at = stage.winner[at];
  }
  const where =
    column.kind === "maps"
      ? `At row ${Math.floor(position / column.width)}, column ${position % column.width}`
      : "Its sum";
  const steps = path.flatMap(({ stage, at: place, before }) => {
    if (stage.kind === "conv") return convSteps(page, model, k, stage, before, place);
    if (stage.kind === "linear") return linearSteps(page, model, k, stage, before, place);
    return [step(bentText(stage, before, place), stage.out[place])];
  });
  const cut = path.some(({ stage, at: place }) =>
    stage.cut.has(Math.floor(place / (stage.out.length / stage.units))),
  );
  if (cut) steps.push(step("cut", 0));
  return [element("h3", {}, where), element("ol", {}, ...steps)];
}

/** @param {string} what
    @param {number} value */
function step(what, value) {
  return element("li", {}, element("span", {}, what), element("b", {}, `= ${number(value)}`));
}

/** What a stage without weights makes of a number.
    @param {Stage} stage
    @param {Stage} before
    @param {number} place
    @returns {string} */
function bentText(stage, before, place) {
  const unit = Math.floor(place / (stage.out.length / stage.units));
  const x = stage.kind === "pool" ? before.out[stage.winner[place]] : before.out[place];
  const short = number(x);
  const shift = signed(stage.shift?.[unit] ?? 0).replace(/^([+−])/, "$1 ");
  return {
    pool: `${stage.name}: the largest of ${stage.kernel ** 2}`,
    norm: `${stage.name}: ${short} × ${number(stage.scale?.[unit] ?? 1)} ${shift}`,
    relu: `${stage.name}: ${short}, or zero if less`,
    relu6: `${stage.name}: ${short}, kept within 0 and 6`,
    sigmoid: `${stage.name}: 1 / (1 + e^−(${short}))`,
    tanh: `${stage.name}: tanh(${short})`,
  }[stage.kind];
}

/** A convolution: for the inputs that matter most the patch, the kernel and their sum; then the rest.
    @param {Page} page
    @param {Model} model
    @param {number} k
    @param {Stage} stage
    @param {Stage} before
    @param {number} place */
function convSteps(page, model, k, stage, before, place) {
  const [, height, width] = stage.shape;
  const [rows, columns] = stage.before;
  const size = stage.kernel;
  const to = Math.floor(place / (height * width));
  const [top, left] = [
    Math.floor((place % (height * width)) / width) - stage.padding,
    (place % width) - stage.padding,
  ];
  const inputs = Array.from({ length: stage.ins }, (_, from) => {
    const patch = new Float64Array(size * size);
    const kernel = new Float64Array(size * size);
    let sum = 0;
    for (let i = 0; i < size * size; i++) {
      const [y, x] = [top + Math.floor(i / size), left + (i % size)];
      patch[i] =
        y >= 0 && y < rows && x >= 0 && x < columns ? before.out[(from * rows + y) * columns + x] : 0;
      kernel[i] = stage.weight[(to * stage.ins + from) * size * size + i];
      sum += patch[i] * kernel[i];
    }
    return { from, patch, kernel, sum };
  }).sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum));
  const shown = inputs.slice(0, LISTED);
  const steps = shown.map(({ from, patch, kernel, sum }) =>
    element(
      "li",
      { class: "patch" },
      element("span", { class: "from" }, unitName(model.columns[k - 1], from)),
      grid(patch, size, page.theme.light),
      element("span", {}, "×"),
      grid(kernel, size, page.theme.signed),
      element("b", {}, `= ${number(sum)}`),
    ),
  );
  return [
    ...steps,
    ...total(
      stage,
      to,
      inputs.slice(LISTED).map(({ sum }) => sum),
      "maps",
      stage.out[place],
    ),
  ];
}

/** @param {Page} page
    @param {Model} model
    @param {number} k
    @param {Stage} stage
    @param {Stage} before
    @param {number} to */
function linearSteps(page, model, k, stage, before, to) {
  const each = before.out.length / stage.ins; // numbers of one unit before: several where maps were flattened
  const row = to * before.out.length;
  const inputs = Array.from({ length: stage.ins }, (_, from) => {
    let sum = 0;
    for (let i = from * each; i < (from + 1) * each; i++) sum += stage.weight[row + i] * before.out[i];
    return { from, sum };
  }).sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum));
  const source = model.columns[k - 1];
  const steps = inputs.slice(0, LISTED).map(({ from, sum }) => {
    const what =
      each === 1
        ? `${number(before.out[from])} × ${number(stage.weight[row + from])}`
        : `${each} × ${each} numbers`;
    return step(`${unitName(source, from)}: ${what}`, sum);
  });
  if (source.kind === "picture")
    steps.unshift(
      element(
        "li",
        { class: "patch" },
        weightsAsImage(page, stage.weight.subarray(row, row + before.out.length), source),
        element("span", {}, "its weights, one for each pixel"),
      ),
    );
  return [
    ...steps,
    ...total(
      stage,
      to,
      inputs.slice(LISTED).map(({ sum }) => sum),
      source.kind === "picture" ? "pixels" : source.kind,
      stage.out[to],
    ),
  ];
}

/** @param {Stage} stage
    @param {number} to
    @param {number[]} rest
    @param {string} what
    @param {number} sum */
function total(stage, to, rest, what, sum) {
  const steps = [];
  if (rest.length)
    steps.push(
      step(
        `${rest.length} other ${what}`,
        rest.reduce((a, b) => a + b, 0),
      ),
    );
  if (stage.bias) steps.push(step("bias", stage.bias[to]));
  steps.push(
    element(
      "li",
      { class: "total" },
      element("span", {}, `${stage.name}: together`),
      element("b", {}, `= ${number(sum)}`),
    ),
  );
  return steps;
}

/** Numbers in a square, each on the colour that it has in the picture.
    @param {Float64Array} values
    @param {number} size
    @param {Uint32Array} table */
function grid(values, size, table) {
  const most = largest(values) || 1;
  const cells = Array.from(values, (value) => {
    const packed = table[255 + Math.round((value / most) * 255)];
    const [r, g, b] = [packed & 255, (packed >> 8) & 255, (packed >> 16) & 255];
    const ink = 0.299 * r + 0.587 * g + 0.114 * b > 128 ? "#101218" : "#f0eade";
    const cell = element("td", {}, short(value));
    cell.style.background = `rgb(${r},${g},${b})`;
    cell.style.color = ink;
    return cell;
  });
  const rows = Array.from({ length: size }, (_, y) =>
    element("tr", {}, ...cells.slice(y * size, (y + 1) * size)),
  );
  return element("table", { class: `grid of-${size}` }, ...rows);
}

/** One or two places, without a leading zero, to fit a small square.
    @param {number} value */
function short(value) {
  const text = Math.abs(value) >= 9.95 ? Math.abs(value).toFixed(0) : Math.abs(value).toFixed(1);
  return (value < 0 && Number(text) ? "−" : "") + text.replace(/^0\./, ".");
}

/** @param {Page} page
    @param {Numbers} weights
    @param {Column} source */
function weightsAsImage(page, weights, source) {
  const canvas = element("canvas", { class: "weights" });
  drawMap(canvas, weights, source.height, source.width, page.theme.signed);
  return canvas;
}
