// Contributions in a network that is not piecewise linear (sigmoid, tanh): activation × gradient does not add
// up there, so gradients are integrated along the line from the empty picture to this one, by the trapezium
// rule.
//
// Integrated gradients (Sundararajan et al. 2017, equation 1) for the picture, conductance (Dhamdhere et al.
// 2018, equation 2) for units and connections, as `lanterna.probes.paths` does. Contributions and the answer
// to the empty picture then add up to the answer, but for an error that falls with the number of steps.

import { KINDS, backward, forward } from "lanterna/compute.js";

/** @import { Network, Layer } from "lanterna/compute.js" */

/** @typedef {object} Integration - a layer's additional buffers while gradients are integrated
    @property {Float64Array} contributions - contributions by number
    @property {{ out: Float64Array, grad: Float64Array }} last - the previous step's values
    @property {Float64Array} linkSums - to the links
    @property {Float64Array} change - the change of each number in this step
    @property {Float64Array} scratch
    @property {Float64Array} meanGrad

    @typedef {Layer & Integration} Integrated */

/** Fill every layer's `given` (contributions by number) and `links`; gives the answer to the empty picture.
    @param {Network} network
    @param {ArrayLike<number>} pixels
    @param {number} answer
    @param {number | null} against
    @param {number} steps */
export function integrate(network, pixels, answer, against, steps) {
  const layers = /** @type {Integrated[]} */ (network.layers);
  for (const layer of layers) {
    layer.contributions ??= new Float64Array(layer.out.length);
    layer.contributions.fill(0);
    layer.last ??= { out: new Float64Array(layer.out.length), grad: new Float64Array(layer.out.length) };
    if (layer.links) (layer.linkSums ??= new Float64Array(layer.links.length)).fill(0);
    layer.change ??= new Float64Array(layer.out.length);
    layer.scratch ??= new Float64Array(layer.out.length);
  }
  let empty = 0;
  const scaled = new Float64Array(pixels.length);
  for (let step = 0; step <= steps; step++) {
    for (let i = 0; i < pixels.length; i++) scaled[i] = (pixels[i] * step) / steps;
    const logits = forward(network, scaled);
    backward(network, answer, against);
    if (step === 0) empty = logits[answer] - (against === null ? 0 : logits[against]);
    else layers.forEach((layer, i) => addStep(layer, layers[i - 1]));
    for (const { last, out, grad } of layers) {
      last.out.set(out);
      last.grad.set(grad);
    }
  }
  for (const layer of layers) if (layer.links) layer.links.set(layer.linkSums);
  return empty;
}

/** One step along the line: each number's change times its mean gradient.
    @param {Integrated} layer
    @param {Integrated} source */
function addStep(layer, source) {
  const { out, grad, last, contributions, change } = layer;
  const meanGrad = layer.links ? (layer.meanGrad ??= new Float64Array(out.length)) : null;
  for (let i = 0; i < out.length; i++) {
    const mean = (grad[i] + last.grad[i]) / 2;
    change[i] = out[i] - last.out[i];
    contributions[i] += change[i] * mean;
    if (meanGrad) meanGrad[i] = mean;
  }
  if (!meanGrad) return;
  // Weight × gradient of the weight for the change of the input: `backward` computes it from these two.
  KINDS[layer.kind].backward({ ...layer, grad: meanGrad }, source.change, source.scratch);
  for (let i = 0; i < layer.links.length; i++) layer.linkSums[i] += layer.links[i];
}
