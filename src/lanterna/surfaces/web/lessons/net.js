// A small dense network for two classes, its backward pass, and Adam (Kingma and Ba 2014, algorithm 1).
// The loss is the binary cross-entropy of a sigmoid.

import { normal } from "lanterna/lessons/parts.js";

/** @import { Random } from "lanterna/lessons/parts.js" */

/** @typedef {{ from: number, to: number, weights: Float64Array, biases: Float64Array }} Layer

    @typedef {{ activation: string, layers: Layer[] }} Net */

/** @type {Record<string, [(x: number) => number, (x: number) => number]>} */
// Each activation with its derivative.
const ACTIVATIONS = {
  relu: [(x) => Math.max(0, x), (x) => (x > 0 ? 1 : 0)],
  tanh: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2],
  sigmoid: [(x) => 1 / (1 + Math.exp(-x)), (x) => Math.exp(-Math.abs(x)) / (1 + Math.exp(-Math.abs(x))) ** 2],
  none: [(x) => x, () => 1],
};

/** Create fully connected layers with an activation between them. Weights are stored row by row:
    `weights[out * from + in]`.
    @param {number[]} sizes
    @param {string} activation
    @param {Random} random
    @returns {Net} */
export function network(sizes, activation, random) {
  /** @param {number} count
      @param {number} size */
  const initial = (count, size) =>
    Float64Array.from({ length: count }, () => normal(random) / Math.sqrt(size));
  return {
    activation,
    layers: sizes.slice(1).map((to, place) => ({
      from: sizes[place],
      to,
      weights: initial(sizes[place] * to, sizes[place]),
      biases: initial(to, to),
    })),
  };
}

/** Count the connections, and all parameters.
    @param {Net} net */
export function countParameters({ layers }) {
  const connections = layers.reduce((sum, { weights }) => sum + weights.length, 0);
  return {
    connections,
    parameters: connections + layers.reduce((sum, { biases }) => sum + biases.length, 0),
  };
}

/** Run the forward pass: each layer's inputs, and its sums before the activation. The last sum is the logit.
    @param {Net} net
    @param {number[]} point */
function forward({ layers, activation }, point) {
  const [apply] = ACTIVATIONS[activation];
  /** @type {ArrayLike<number>[]} */
  const inputs = [point];
  const sums = layers.map(({ from, to, weights, biases }, place) => {
    const input = inputs[place];
    const sum = new Float64Array(to);
    for (let o = 0; o < to; o += 1) {
      sum[o] = biases[o];
      for (let i = 0; i < from; i += 1) sum[o] += weights[o * from + i] * input[i];
    }
    inputs.push(place < layers.length - 1 ? sum.map(apply) : sum);
    return sum;
  });
  return { inputs, sums };
}

/** Return the logit of the second class for a point; 0 means undecided.
    @param {Net} net
    @param {number[]} point */
export const logit = (net, point) => forward(net, point).sums[net.layers.length - 1][0];

/** Return the mean loss over points `[x, y]` of classes 0 and 1, and the gradient of each layer's weights and
    biases.
    @param {Net} net
    @param {number[][]} points
    @param {number[]} classes */
export function gradient(net, points, classes) {
  const { layers, activation } = net;
  const [, derivative] = ACTIVATIONS[activation];
  const found = layers.map(({ weights, biases }) => ({
    weights: new Float64Array(weights.length),
    biases: new Float64Array(biases.length),
  }));
  let loss = 0;
  points.forEach((point, n) => {
    const { inputs, sums } = forward(net, point);
    const z = sums[sums.length - 1][0];
    loss += (Math.max(z, 0) - z * classes[n] + Math.log1p(Math.exp(-Math.abs(z)))) / points.length;
    /** @type {ArrayLike<number>} */
    let grad = [(1 / (1 + Math.exp(-z)) - classes[n]) / points.length]; // d loss / d logit
    for (let place = layers.length - 1; place >= 0; place -= 1) {
      const { from, to, weights } = layers[place];
      const before = new Float64Array(from);
      for (let o = 0; o < to; o += 1) {
        found[place].biases[o] += grad[o];
        for (let i = 0; i < from; i += 1) {
          found[place].weights[o * from + i] += grad[o] * inputs[place][i];
          before[i] += grad[o] * weights[o * from + i];
        }
      }
      grad = place ? before.map((each, i) => each * derivative(sums[place - 1][i])) : [];
    }
  });
  return { loss, layers: found };
}

/** Return a function that takes one step of Adam on points and classes, and returns the loss before it.
    @param {Net} net
    @param {number} rate
    @returns {(points: number[][], classes: number[]) => number} */
export function makeOptimiser(net, rate = 0.03) {
  const state = net.layers.map(({ weights, biases }) => ({
    weights: moments(weights),
    biases: moments(biases),
  }));
  let count = 0;
  return (points, classes) => {
    const found = gradient(net, points, classes);
    count += 1;
    net.layers.forEach((layer, place) => {
      for (const part of /** @type {const} */ (["weights", "biases"])) {
        const { mean, square } = state[place][part];
        found.layers[place][part].forEach((grad, at) => {
          mean[at] = 0.9 * mean[at] + 0.1 * grad;
          square[at] = 0.999 * square[at] + 0.001 * grad * grad;
          layer[part][at] -=
            (rate * mean[at]) / (1 - 0.9 ** count) / (Math.sqrt(square[at] / (1 - 0.999 ** count)) + 1e-8);
        });
      }
    });
    return found.loss;
  };
}

/** @param {{ length: number }} numbers */
const moments = ({ length }) => ({ mean: new Float64Array(length), square: new Float64Array(length) });
