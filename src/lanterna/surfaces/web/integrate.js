// Contributions in a network that is not piecewise linear (sigmoid, tanh): there gradients at one picture do
// not add up, so they are integrated along the line from the empty picture to this one, by the trapezium
// rule.
//
// Integrated gradients (Sundararajan et al. 2017, equation 1) for the picture, conductance (Dhamdhere et al.
// 2018, equation 2) for units and connections, as `lanterna.probes.paths` does. Contributions and the answer
// to the empty picture then add up to the answer, but for an error that falls with the number of steps.

import { KINDS, backward, forward } from "lanterna/compute.js";

/** @import { Network, Layer } from "lanterna/compute.js" */

/** @typedef {object} Integration - what a layer has besides while gradients are integrated
    @property {Float64Array} given - contributions by number
    @property {{ out: Float64Array, grad: Float64Array }} last - of the step before
    @property {Float64Array} added - to the links
    @property {Float64Array} pace - how far each number moved in this step
    @property {Float64Array} spare
    @property {Float64Array} slope

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
    layer.given ??= new Float64Array(layer.out.length);
    layer.given.fill(0);
    layer.last ??= { out: new Float64Array(layer.out.length), grad: new Float64Array(layer.out.length) };
    if (layer.links) (layer.added ??= new Float64Array(layer.links.length)).fill(0);
    layer.pace ??= new Float64Array(layer.out.length);
    layer.spare ??= new Float64Array(layer.out.length);
  }
  let empty = 0;
  const scaled = new Float64Array(pixels.length);
  for (let step = 0; step <= steps; step++) {
    for (let i = 0; i < pixels.length; i++) scaled[i] = (pixels[i] * step) / steps;
    const logits = forward(network, scaled);
    backward(network, answer, against);
    if (step === 0) empty = logits[answer] - (against === null ? 0 : logits[against]);
    else layers.forEach((layer, i) => pass(layer, layers[i - 1]));
    for (const { last, out, grad } of layers) {
      last.out.set(out);
      last.grad.set(grad);
    }
  }
  for (const layer of layers) if (layer.links) layer.links.set(layer.added);
  return empty;
}

/** One step along the line: how far each number moved, times the mean gradient on the way.
    @param {Integrated} layer
    @param {Integrated} source */
function pass(layer, source) {
  const { out, grad, last, given, pace } = layer;
  const slope = layer.links ? (layer.slope ??= new Float64Array(out.length)) : null;
  for (let i = 0; i < out.length; i++) {
    const mean = (grad[i] + last.grad[i]) / 2;
    pace[i] = out[i] - last.out[i];
    given[i] += pace[i] * mean;
    if (slope) slope[i] = mean;
  }
  if (!slope) return;
  // Weight × gradient of the weight, for the step that the input took: what `backward` does, with these two.
  KINDS[layer.kind].backward({ ...layer, grad: slope }, source.pace, source.spare);
  for (let i = 0; i < layer.links.length; i++) layer.added[i] += layer.links[i];
}
