// How one number is computed: input × weights + bias, then each layer up to the next column.

import { drawMap, largest } from "lanterna/draw.js";
import { element, number, signed, unitName } from "lanterna/words.js";

/** @import { Layer } from "lanterna/compute.js" */
/** @import { Numbers } from "lanterna/draw.js" */
/** @import { Column, Model, Page } from "lanterna/flow.js" */
/** @import { PositionFocus } from "lanterna/panel.js" */

const MAX_LISTED = 3; // inputs that are listed; the others are summed up

/** The steps of computing a unit's value at a position, as elements.
    @param {Page} page
    @param {Model} model
    @param {PositionFocus} focus */
export function arithmetic(page, model, { column: k, unit, position }) {
  const column = model.columns[k];
  const layers = model.network?.layers ?? [];
  if (column.kind === "picture") return [];
  // From the last layer of the column back to the first: the index of this number in each.
  const path = [];
  let at = unit * column.height * column.width + (column.kind === "maps" ? position : 0);
  for (const index of (column.group ?? []).toReversed()) {
    const layer = layers[index];
    if (layer.kind === "flatten" || layer.kind === "dropout") continue;
    path.unshift({ layer, at, before: layers[index - 1] });
    if (layer.kind === "pool") at = layer.winner[at];
  }
  const where =
    column.kind === "maps"
      ? `At row ${Math.floor(position / column.width)}, column ${position % column.width}`
      : "Its sum";
  const steps = path.flatMap(({ layer, at: place, before }) => {
    if (layer.kind === "conv") return convSteps(page, model, k, layer, before, place);
    if (layer.kind === "linear") return linearSteps(page, model, k, layer, before, place);
    return [step(elementwiseText(layer, before, place), layer.out[place])];
  });
  const cut = path.some(({ layer, at: place }) =>
    layer.cut.has(Math.floor(place / (layer.out.length / layer.units))),
  );
  if (cut) steps.push(step("cut", 0));
  return [element("h3", {}, where), element("ol", {}, ...steps)];
}

/** @param {string} what
    @param {number} value */
function step(what, value) {
  return element("li", {}, element("span", {}, what), element("b", {}, `= ${number(value)}`));
}

/** What a layer without weights does to a number.
    @param {Layer} layer
    @param {Layer} before
    @param {number} place
    @returns {string} */
function elementwiseText(layer, before, place) {
  const unit = Math.floor(place / (layer.out.length / layer.units));
  const x = layer.kind === "pool" ? before.out[layer.winner[place]] : before.out[place];
  const short = number(x);
  const shift = signed(layer.shift?.[unit] ?? 0).replace(/^([+−])/, "$1 ");
  return {
    pool: `${layer.name}: the largest of ${layer.kernel ** 2}`,
    norm: `${layer.name}: ${short} × ${number(layer.scale?.[unit] ?? 1)} ${shift}`,
    relu: `${layer.name}: max(${short}, 0)`,
    relu6: `${layer.name}: ${short}, clipped to 0 to 6`,
    sigmoid: `${layer.name}: 1 / (1 + e^−(${short}))`,
    tanh: `${layer.name}: tanh(${short})`,
  }[layer.kind];
}

/** A convolution: patch, kernel and sum of the inputs that contribute most; then the others.
    @param {Page} page
    @param {Model} model
    @param {number} k
    @param {Layer} layer
    @param {Layer} before
    @param {number} place */
function convSteps(page, model, k, layer, before, place) {
  const [, height, width] = layer.shape;
  const [rows, columns] = layer.before;
  const size = layer.kernel;
  const to = Math.floor(place / (height * width));
  const [top, left] = [
    Math.floor((place % (height * width)) / width) - layer.padding,
    (place % width) - layer.padding,
  ];
  const inputs = Array.from({ length: layer.ins }, (_, from) => {
    const patch = new Float64Array(size * size);
    const kernel = new Float64Array(size * size);
    let sum = 0;
    for (let i = 0; i < size * size; i++) {
      const [y, x] = [top + Math.floor(i / size), left + (i % size)];
      patch[i] =
        y >= 0 && y < rows && x >= 0 && x < columns ? before.out[(from * rows + y) * columns + x] : 0;
      kernel[i] = layer.weight[(to * layer.ins + from) * size * size + i];
      sum += patch[i] * kernel[i];
    }
    return { from, patch, kernel, sum };
  }).sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum));
  const shown = inputs.slice(0, MAX_LISTED);
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
      layer,
      to,
      inputs.slice(MAX_LISTED).map(({ sum }) => sum),
      "maps",
      layer.out[place],
    ),
  ];
}

/** @param {Page} page
    @param {Model} model
    @param {number} k
    @param {Layer} layer
    @param {Layer} before
    @param {number} to */
function linearSteps(page, model, k, layer, before, to) {
  const each = before.out.length / layer.ins; // numbers per unit: several if maps were flattened
  const row = to * before.out.length;
  const inputs = Array.from({ length: layer.ins }, (_, from) => {
    let sum = 0;
    for (let i = from * each; i < (from + 1) * each; i++) sum += layer.weight[row + i] * before.out[i];
    return { from, sum };
  }).sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum));
  const source = model.columns[k - 1];
  const steps = inputs.slice(0, MAX_LISTED).map(({ from, sum }) => {
    const what =
      each === 1
        ? `${number(before.out[from])} × ${number(layer.weight[row + from])}`
        : `${each} × ${each} numbers`;
    return step(`${unitName(source, from)}: ${what}`, sum);
  });
  if (source.kind === "picture")
    steps.unshift(
      element(
        "li",
        { class: "patch" },
        weightsAsImage(page, layer.weight.subarray(row, row + before.out.length), source),
        element("span", {}, "its weights, one for each pixel"),
      ),
    );
  return [
    ...steps,
    ...total(
      layer,
      to,
      inputs.slice(MAX_LISTED).map(({ sum }) => sum),
      source.kind === "picture" ? "pixels" : source.kind,
      layer.out[to],
    ),
  ];
}

/** @param {Layer} layer
    @param {number} to
    @param {number[]} rest
    @param {string} what
    @param {number} sum */
function total(layer, to, rest, what, sum) {
  const steps = [];
  if (rest.length)
    steps.push(
      step(
        `${rest.length} other ${what}`,
        rest.reduce((a, b) => a + b, 0),
      ),
    );
  if (layer.bias) steps.push(step("bias", layer.bias[to]));
  steps.push(
    element(
      "li",
      { class: "total" },
      element("span", {}, `${layer.name}: total`),
      element("b", {}, `= ${number(sum)}`),
    ),
  );
  return steps;
}

/** A square of numbers, each on its colour in the picture.
    @param {Float64Array} values
    @param {number} size
    @param {Uint32Array} table */
function grid(values, size, table) {
  const max = largest(values) || 1;
  const cells = Array.from(values, (value) => {
    const packed = table[255 + Math.round((value / max) * 255)];
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

/** One or two digits, without a leading zero, to fit a small square.
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
