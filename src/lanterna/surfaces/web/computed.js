// What the page draws of a network that it computes itself: columns of units, and the links between them.
//
// A column goes from one layer with weights up to the next, and shows what the last layer before that put
// out. With `everyLayer` each layer is a column of its own. `recorded.js` gives the same for networks it
// cannot compute.

import * as compute from "lanterna/compute.js";
import { integrate } from "lanterna/integrate.js";

/** @import { Network, Layer } from "lanterna/compute.js" */
/** @import { Column, Model } from "lanterna/flow.js" */

/** @typedef {Column & { layer: number, mixing: number | null, group: number[] }} ComputedColumn */

const SAME = new Set(["flatten", "dropout"]); // nothing to see: what came in goes out

const STEPS = { resting: 64, moving: 8 }; // of the integration, where a network is not piecewise linear

/** The model of a computed network. `run` computes it all anew for a picture and an answer.
    @param {Network} network
    @param {boolean} everyLayer
    @returns {Model} */
export function computedModel(network, everyLayer = false) {
  const { layers } = network;
  const columns = makeColumns(layers, everyLayer);
  const given = columns.map((column) => new Float64Array(column.count));
  const products = columns.map((column) => new Float64Array(layers[column.layer].out.length));
  let question = { answer: 0, against: /** @type {number | null} */ (null) };
  let empty = 0; // the answer to the empty picture, where contributions are integrated from it
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
      "Its curved activations make this network no exact sum. Gradients are integrated from the empty " +
      `picture to this one instead, in ${STEPS.resting} steps, which add up but for an error`,
    run(pixels, answer, against, moving = false) {
      const logits = compute.forward(network, pixels);
      probabilities = compute.softmax(logits);
      question = { answer: answer ?? logits.indexOf(Math.max(...logits)), against };
      if (network.exact) compute.backward(network, question.answer, against);
      else
        empty = integrate(network, pixels, question.answer, against, moving ? STEPS.moving : STEPS.resting);
      columns.forEach(({ layer }, k) => {
        const { out, grad, units } = layers[layer];
        if (network.exact) for (let i = 0; i < out.length; i++) products[k][i] = out[i] * grad[i];
        else products[k].set(layers[layer].given ?? []);
        given[k].fill(0);
        const positions = out.length / units;
        for (let i = 0; i < out.length; i++) given[k][Math.floor(i / positions)] += products[k][i];
      });
    },
    answers: () => network.classes.map((name, index) => ({ name, index, probability: probabilities[index] })),
    values: (k) => layers[columns[k].layer].out,
    /** What to draw of a column: its activations, or per position what they contributed or their gradient. */
    shows(k, what) {
      const { out, grad } = layers[columns[k].layer];
      if (what === "activation") return { values: out, signed: false };
      if (what === "gradient") return { values: grad, signed: true };
      return { values: products[k], signed: true };
    },
    contributions: (k) => given[k],
    /** The links into column `k`: their contributions, to × from; one to one where nothing is mixed. */
    links(k) {
      const { mixing } = columns[k];
      if (mixing === null) return { values: given[k - 1], to: columns[k].count, from: 1, single: true };
      const layer = layers[mixing];
      return { values: layer.links, to: layer.units, from: layer.ins, single: false };
    },
    sum(k) {
      const found = compute.sum(network, columns[k].layer, question.answer, question.against);
      return network.exact ? found : { ...found, units: given[k].reduce((a, b) => a + b, 0), offsets: empty };
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
    const before = columns[columns.length - 1];
    const mixes = Boolean(layer.weight);
    const isPicture = index === 0 || (layer.kind === "flatten" && layers[index - 1].kind === "picture");
    if (isPicture) {
      columns.length = 0; // a flattened picture is the picture, pixel by pixel
      columns.push({
        ...asColumn(layer, index, null),
        kind: "picture",
        height: layers[0].shape[1],
        width: layers[0].shape[2],
      });
    } else if (mixes || (everyLayer && !SAME.has(layer.kind))) {
      columns.push(asColumn(layer, index, mixes ? index : null));
    } else {
      before.group.push(index);
      if (!SAME.has(layer.kind))
        Object.assign(before, asColumn(layer, index, before.mixing), { group: before.group });
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
    group: [index], // the layers that led from the column before to this one
    kind: height * width > 1 ? "maps" : "units",
    count: layer.units,
    height,
    width,
  };
}
