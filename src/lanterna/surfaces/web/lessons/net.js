// A small network of dense layers, its gradient by hand, and Adam (Kingma and Ba 2014, algorithm 1).
// What is learned is which of two classes a point is of: the cost is the cross-entropy of a sigmoid's answer.

import { normal } from "lanterna/lessons/parts.js";

/** @import { Chance } from "lanterna/lessons/parts.js" */

/** @typedef {{ from: number, to: number, weights: Float64Array, biases: Float64Array }} Layer

    @typedef {{ bend: string, layers: Layer[] }} Net */

/** @type {Record<string, [(x: number) => number, (x: number) => number]>} */
const BENDS = {
  relu: [(x) => Math.max(0, x), (x) => (x > 0 ? 1 : 0)],
  tanh: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2],
  sigmoid: [(x) => 1 / (1 + Math.exp(-x)), (x) => Math.exp(-Math.abs(x)) / (1 + Math.exp(-Math.abs(x))) ** 2],
  none: [(x) => x, () => 1],
};

/** Layers `{ from, to, weights, biases }` that join every node to every node of the next: weights are kept
    row by row, `weights[out * from + in]`. Between two layers stands a bend.
    @param {number[]} sizes
    @param {string} bend
    @param {Chance} random
    @returns {Net} */
export function network(sizes, bend, random) {
  /** @param {number} count
      @param {number} size */
  const drawn = (count, size) => Float64Array.from({ length: count }, () => normal(random) / Math.sqrt(size));
  return {
    bend,
    layers: sizes.slice(1).map((to, place) => ({
      from: sizes[place],
      to,
      weights: drawn(sizes[place] * to, sizes[place]),
      biases: drawn(to, to),
    })),
  };
}

/** How many connections it has, and how many numbers it learns.
    @param {Net} net */
export function counted({ layers }) {
  const links = layers.reduce((sum, { weights }) => sum + weights.length, 0);
  return { links, numbers: links + layers.reduce((sum, { biases }) => sum + biases.length, 0) };
}

/** Forward: each layer's sums before the bend, and what goes into the next. The last sum is the answer's
    logit.
    @param {Net} net
    @param {number[]} point */
function through({ layers, bend }, point) {
  const [squash] = BENDS[bend];
  /** @type {ArrayLike<number>[]} */
  const inputs = [point];
  const sums = layers.map(({ from, to, weights, biases }, place) => {
    const input = inputs[place];
    const sum = new Float64Array(to);
    for (let o = 0; o < to; o += 1) {
      sum[o] = biases[o];
      for (let i = 0; i < from; i += 1) sum[o] += weights[o * from + i] * input[i];
    }
    inputs.push(place < layers.length - 1 ? sum.map(squash) : sum);
    return sum;
  });
  return { inputs, sums };
}

/** How sure the network is that a point is of the second class: the logit, 0 where it cannot tell.
    @param {Net} net
    @param {number[]} point */
export const logit = (net, point) => through(net, point).sums[net.layers.length - 1][0];

/** The mean cost over points `[x, y]` of classes 0 and 1, and the gradient, layer by layer `{ weights, biases
    }`.
    @param {Net} net
    @param {number[][]} points
    @param {number[]} classes */
export function gradient(net, points, classes) {
  const { layers, bend } = net;
  const [, slope] = BENDS[bend];
  const found = layers.map(({ weights, biases }) => ({
    weights: new Float64Array(weights.length),
    biases: new Float64Array(biases.length),
  }));
  let cost = 0;
  points.forEach((point, n) => {
    const { inputs, sums } = through(net, point);
    const z = sums[sums.length - 1][0];
    cost += (Math.max(z, 0) - z * classes[n] + Math.log1p(Math.exp(-Math.abs(z)))) / points.length;
    /** @type {ArrayLike<number>} */
    let back = [(1 / (1 + Math.exp(-z)) - classes[n]) / points.length]; // of the cost by the last sum
    for (let place = layers.length - 1; place >= 0; place -= 1) {
      const { from, to, weights } = layers[place];
      const before = new Float64Array(from);
      for (let o = 0; o < to; o += 1) {
        found[place].biases[o] += back[o];
        for (let i = 0; i < from; i += 1) {
          found[place].weights[o * from + i] += back[o] * inputs[place][i];
          before[i] += back[o] * weights[o * from + i];
        }
      }
      back = place ? before.map((each, i) => each * slope(sums[place - 1][i])) : [];
    }
  });
  return { cost, layers: found };
}

/** A learner: each call of `step(points, classes)` is a step of Adam, and gives the cost before it.
    @param {Net} net
    @param {number} rate
    @returns {(points: number[][], classes: number[]) => number} */
export function learner(net, rate = 0.03) {
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
        const { speed, square } = state[place][part];
        found.layers[place][part].forEach((down, at) => {
          speed[at] = 0.9 * speed[at] + 0.1 * down;
          square[at] = 0.999 * square[at] + 0.001 * down * down;
          layer[part][at] -=
            (rate * speed[at]) / (1 - 0.9 ** count) / (Math.sqrt(square[at] / (1 - 0.999 ** count)) + 1e-8);
        });
      }
    });
    return found.cost;
  };
}

/** @param {{ length: number }} numbers */
const moments = ({ length }) => ({ speed: new Float64Array(length), square: new Float64Array(length) });
