// The model of a network that the page computes: columns of units, and the links between them.
//
// A column is a layer with weights and the layers up to the next one with weights, and shows the output of
// the last of them. With `everyLayer` each layer is its own column. `recorded.js` has the same interface for
// networks that the page cannot compute.

import * as compute from "lanterna/compute.js";
import { integrate } from "lanterna/integrate.js";

/** @import { Network, Layer } from "lanterna/compute.js" */
/** @import { Column, Model } from "lanterna/flow.js" */

/** @typedef {Column & { layer: number, mixing: number | null, group: number[] }} ComputedColumn */

const IDENTITY = new Set(["flatten", "dropout"]); // layers whose output is their input

const STEPS = { resting: 64, moving: 8 }; // of the integration, where a network is not piecewise linear

/** The model of a computed network. `run` recomputes everything for a picture and an answer.
    @param {Network} network
    @param {boolean} everyLayer
    @returns {Model} */
export function computedModel(network, everyLayer = false) {
  const { layers } = network;
  const columns = makeColumns(layers, everyLayer);
  const contributions = columns.map((column) => new Float64Array(column.count));
  const byPosition = columns.map((column) => new Float64Array(layers[column.layer].out.length));
  let question = { answer: 0, against: /** @type {number | null} */ (null) };
  let empty = 0; // the answer to the empty picture, if contributions are integrated
  /** @type {number[]} */
  let probabilities = [];
  return {
    columns,
    computes: true,
    exact: network.exact,
    classes: network.classes,
    network,
    get logits() {
      return layers[layers.length - 1].out;
    },
    get question() {
      return question;
    },
    note:
      "This network has smooth activations, so the sum is not exact: gradients are integrated from " +
      `the empty picture to this one in ${STEPS.resting} steps`,
    run(pixels, answer, against, moving = false) {
      const logits = compute.forward(network, pixels);
      probabilities = compute.softmax(logits);
      question = { answer: answer ?? logits.indexOf(Math.max(...logits)), against };
      if (network.exact) compute.backward(network, question.answer, against);
      else
        empty = integrate(network, pixels, question.answer, against, moving ? STEPS.moving : STEPS.resting);
      columns.forEach(({ layer }, k) => {
        const { out, grad, units } = layers[layer];
        if (network.exact) for (let i = 0; i < out.length; i++) byPosition[k][i] = out[i] * grad[i];
        else byPosition[k].set(layers[layer].contributions ?? []);
        contributions[k].fill(0);
        const positions = out.length / units;
        for (let i = 0; i < out.length; i++) contributions[k][Math.floor(i / positions)] += byPosition[k][i];
      });
    },
    answers: () => network.classes.map((name, index) => ({ name, index, probability: probabilities[index] })),
    values: (k) => layers[columns[k].layer].out,
    /** The values to draw for a column: activations, or each position's contribution or gradient. */
    shows(k, what) {
      const { out, grad } = layers[columns[k].layer];
      if (what === "activation") return { values: out, signed: false };
      if (what === "gradient") return { values: grad, signed: true };
      return { values: byPosition[k], signed: true };
    },
    contributions: (k) => contributions[k],
    /** The contributions of the links into column `k`, to × from; one to one without mixing. */
    links(k) {
      const { mixing } = columns[k];
      if (mixing === null)
        return { values: contributions[k - 1], to: columns[k].count, from: 1, single: true };
      const layer = layers[mixing];
      return { values: layer.links, to: layer.units, from: layer.ins, single: false };
    },
    sum(k) {
      const found = compute.sum(network, columns[k].layer, question.answer, question.against);
      return network.exact
        ? found
        : { ...found, units: contributions[k].reduce((a, b) => a + b, 0), offsets: empty };
    },
  };
}

/** @param {Layer[]} layers
    @param {boolean} everyLayer
    @returns {ComputedColumn[]} */
function makeColumns(layers, everyLayer) {
  /** @type {ComputedColumn[]} */
  const columns = [];
  layers.forEach((layer, index) => {
    const previous = columns[columns.length - 1];
    const mixes = Boolean(layer.weight);
    const isPicture = index === 0 || (layer.kind === "flatten" && layers[index - 1].kind === "picture");
    if (isPicture) {
      columns.length = 0; // a flattened picture is the picture
      columns.push({
        ...asColumn(layer, index, null),
        kind: "picture",
        height: layers[0].shape[1],
        width: layers[0].shape[2],
      });
    } else if (mixes || (everyLayer && !IDENTITY.has(layer.kind))) {
      columns.push(asColumn(layer, index, mixes ? index : null));
    } else {
      previous.group.push(index);
      if (!IDENTITY.has(layer.kind))
        Object.assign(previous, asColumn(layer, index, previous.mixing), { group: previous.group });
    }
  });
  columns[columns.length - 1].kind = "answers";
  return columns;
}

/** @param {Layer} layer
    @param {number} index
    @param {number | null} mixing
    @returns {ComputedColumn} */
function asColumn(layer, index, mixing) {
  const [, height = 1, width = 1] = layer.shape;
  return {
    name: layer.name,
    layer: index,
    mixing,
    group: [index], // the layers from the previous column to this one
    kind: height * width > 1 ? "maps" : "units",
    count: layer.units,
    height,
    width,
  };
}
