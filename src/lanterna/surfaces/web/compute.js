// A digit network in plain JavaScript: forward, backward, and every part's contribution to one answer.
//
// A network is a list of layers, each with its output (`out`) and the gradient of the answer with respect to
// it (`grad`), both Float64Array and allocated once, so that a moving pen causes no allocations. Pictures are
// channel after channel, row after row, as in PyTorch. The first layer is the picture itself.
//
// Contributions: of a unit, activation × gradient; of a connection, weight × gradient of that weight, summed
// over positions and taps for the maps of a convolution; of a bias, bias × gradient. For a network of
// piecewise linear layers the units of any layer and the offsets behind them add up to the answer.

/** @import { Arrays } from "lanterna/arrays.js" */

/** @typedef {object} LayerDescription - as `export_network.py` packs it
    @property {string} name
    @property {string} kind
    @property {number[]} shape - of its output: `[maps, height, width]` or `[units]`
    @property {string} [weight] - the names of its arrays
    @property {string} [bias]
    @property {string} [scale]
    @property {string} [shift]
    @property {number} [kernel]
    @property {number} [padding]
    @property {number[]} [before] - height and width of its input

    @typedef {object} LayerValues
    @property {string} name
    @property {string} kind
    @property {number[]} shape
    @property {Float64Array} out - its output, channel after channel
    @property {Float64Array} grad - the gradient of the answer with respect to the output
    @property {number} units
    @property {number} offset
    @property {Set<number>} cut - units whose output is set to zero
    @property {Set<number>} cutLinks - connections whose weights are set to zero: to × units before + from
    @property {Float32Array} weight - of a convolution or a linear layer, after cuts
    @property {Float32Array} original - the weight before cuts
    @property {Float32Array | null} bias
    @property {number} ins - units of the layer before
    @property {Float64Array} links - each connection's contribution, to × from
    @property {Float32Array} scale - of a norm
    @property {Float32Array} shift
    @property {Int32Array} winner - of a pooling: the index of each output's input
    @property {number} kernel
    @property {number} padding
    @property {number[]} before

    @typedef {LayerValues & Partial<import("lanterna/integrate.js").Integration>} Layer - its kind determines
        which of these it has

    @typedef {object} Network
    @property {Layer[]} layers - the first is the picture
    @property {string[]} classes
    @property {boolean} exact - whether it is piecewise linear, so that contributions add up to the answer
    @property {Map<string, number>} at - the layers' places, by name

    @typedef {object} Kind
    @property {(layer: Layer, x: Float64Array) => void} forward
    @property {(layer: Layer, x: Float64Array, gradIn: Float64Array) => void} backward */

/** How each kind of layer computes: `forward(layer, x)` fills `layer.out`; `backward(layer, x, gradIn)` adds
    to `gradIn`, fills `layer.links` where the layer has weights, and sets `layer.offset`.
    @type {Record<string, Kind>} */
export const KINDS = {
  conv: { forward: convForward, backward: convBackward },
  linear: { forward: linearForward, backward: linearBackward },
  pool: { forward: poolForward, backward: poolBackward },
  norm: { forward: normForward, backward: normBackward },
  flatten: {
    forward: (layer, x) => layer.out.set(x),
    backward: (layer, _, gradIn) => gradIn.set(layer.grad),
  },
  relu: activationKind(
    (v) => (v > 0 ? v : 0),
    (v) => (v > 0 ? 1 : 0),
  ),
  relu6: activationKind(
    (v) => (v > 6 ? 6 : v > 0 ? v : 0),
    (v) => (v > 0 && v < 6 ? 1 : 0),
  ),
  sigmoid: activationKind(
    (v) => 1 / (1 + Math.exp(-v)),
    (_, y) => y * (1 - y),
  ),
  tanh: activationKind(Math.tanh, (_, y) => 1 - y * y),
};
KINDS.dropout = KINDS.flatten; // the identity at inference

const SATURATING = new Set(["sigmoid", "tanh"]); // not piecewise linear

/** A network from its description (`export_network.py`) and the arrays that it names.
    @param {{ input: number[], layers: LayerDescription[], classes: string[] }} description
    @param {Arrays} arrays
    @returns {Network} */
export function makeNetwork(description, arrays) {
  const [channels, side] = description.input;
  const layers = [
    makeLayer({ name: "picture", kind: "picture", shape: [channels, side, side] }, arrays, null),
  ];
  for (const each of description.layers) layers.push(makeLayer(each, arrays, layers[layers.length - 1]));
  return {
    layers,
    classes: description.classes,
    exact: !layers.some((layer) => SATURATING.has(layer.kind)),
    at: new Map(layers.map((layer, index) => [layer.name, index])),
  };
}

/** @param {LayerDescription} description
    @param {Arrays} arrays
    @param {Layer | null} before
    @returns {Layer} */
function makeLayer(description, arrays, before) {
  const { shape } = description;
  const size = shape.reduce((product, each) => product * each, 1);
  const { weight, bias, scale, shift, ...rest } = description;
  const layer = /** @type {Layer} */ ({
    ...rest,
    out: new Float64Array(size),
    grad: new Float64Array(size),
    units: unitsOf(description, before, size),
    offset: 0,
    cut: new Set(),
    cutLinks: new Set(),
  });
  if (weight && before) {
    layer.original = layer.weight = floats(arrays, weight);
    layer.bias = bias ? floats(arrays, bias) : null;
    layer.ins = before.units;
    layer.links = new Float64Array(layer.units * layer.ins);
  }
  if (scale && shift) {
    layer.scale = floats(arrays, scale);
    layer.shift = floats(arrays, shift);
  }
  if (description.kind === "pool") layer.winner = new Int32Array(size);
  return layer;
}

/** @param {Arrays} arrays
    @param {string} name */
const floats = (arrays, name) => /** @type {Float32Array} */ (arrays[name]);

/** How many units a layer has. A flattened map is still one unit of several positions; a flattened picture is
    as many units as it has pixels.
    @param {LayerDescription} description
    @param {Layer | null} before
    @param {number} size */
function unitsOf({ kind, shape }, before, size) {
  if (!before || (kind !== "flatten" && (shape.length === 3 || kind === "linear"))) return shape[0];
  return kind === "flatten" && before.kind === "picture" ? size : before.units;
}

/** Run the network on a picture in [0, 1]; returns the logits.
    @param {Network} network
    @param {ArrayLike<number>} pixels */
export function forward(network, pixels) {
  const { layers } = network;
  layers[0].out.set(pixels);
  zeroCutUnits(layers[0], layers[0].out);
  for (let i = 1; i < layers.length; i++) {
    KINDS[layers[i].kind].forward(layers[i], layers[i - 1].out);
    zeroCutUnits(layers[i], layers[i].out);
  }
  return layers[layers.length - 1].out;
}

/** Gradients of one logit, or of one minus another, with respect to every layer's output; and with them every
    connection's contribution (`links`, to × from) and every layer's `offset`. After `forward`.
    @param {Network} network
    @param {number} answer
    @param {number | null} against */
export function backward(network, answer, against = null) {
  const { layers } = network;
  for (const layer of layers) layer.grad.fill(0);
  const last = layers[layers.length - 1];
  last.grad[answer] += 1;
  if (against !== null) last.grad[against] -= 1;
  for (let i = layers.length - 1; i > 0; i--) {
    zeroCutUnits(layers[i], layers[i].grad);
    layers[i].offset = 0;
    KINDS[layers[i].kind].backward(layers[i], layers[i - 1].out, layers[i - 1].grad);
  }
  zeroCutUnits(layers[0], layers[0].grad);
}

/** Each unit's contribution: the sum over its positions of activation × gradient.
    @param {Layer} layer
    @param {Float64Array} into */
export function contributions(layer, into = new Float64Array(layer.units)) {
  const positions = layer.out.length / layer.units;
  for (let unit = 0, i = 0; unit < layer.units; unit++) {
    let sum = 0;
    for (const end = i + positions; i < end; i++) sum += layer.out[i] * layer.grad[i];
    into[unit] = sum;
  }
  return into;
}

/** The contributions of the units of layer `index` and of the offsets of later layers, and the answer.
    @param {Network} network
    @param {number} index
    @param {number} answer
    @param {number | null} against */
export function sum(network, index, answer, against = null) {
  const { layers } = network;
  const layer = layers[index];
  let units = 0;
  for (let i = 0; i < layer.out.length; i++) units += layer.out[i] * layer.grad[i];
  let offsets = 0;
  for (let i = index + 1; i < layers.length; i++) offsets += layers[i].offset;
  const logits = layers[layers.length - 1].out;
  return { units, offsets, logit: logits[answer] - (against === null ? 0 : logits[against]) };
}

/** Probabilities of logits (softmax).
    @param {Float64Array} logits */
export function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** Set the weights from unit `from` to unit `to` of a layer to zero, or restore them.
    @param {Layer} layer
    @param {number} to
    @param {number} from
    @param {boolean} isCut */
export function cutLink(layer, to, from, isCut = true) {
  const key = to * layer.ins + from;
  if (isCut) layer.cutLinks.add(key);
  else layer.cutLinks.delete(key);
  const each = layer.original.length / (layer.units * layer.ins); // weights of one connection
  layer.weight = layer.cutLinks.size ? layer.original.slice() : layer.original;
  for (const cut of layer.cutLinks) layer.weight.fill(0, cut * each, (cut + 1) * each);
}

/** Restore everything that was cut.
    @param {Network} network */
export function restoreAll(network) {
  for (const layer of network.layers) {
    layer.cut.clear();
    layer.cutLinks.clear();
    if (layer.original) layer.weight = layer.original;
  }
}

/** @param {Layer} layer
    @param {Float64Array} values */
function zeroCutUnits(layer, values) {
  if (!layer.cut.size) return;
  const positions = values.length / layer.units;
  for (const unit of layer.cut) values.fill(0, unit * positions, (unit + 1) * positions);
}

/** Each output map: its bias, and every kernel slid over its input map (stride 1, zeros around the edge).
    @type {Kind["forward"]} */
function convForward(layer, x) {
  const { out, weight, bias, padding, ins, units } = layer;
  const [, height, width] = layer.shape;
  const k = layer.kernel;
  const [rows, columns] = [height + k - 1 - 2 * padding, width + k - 1 - 2 * padding]; // of the input
  const area = height * width;
  for (let to = 0; to < units; to++) {
    const o = to * area;
    out.fill(bias ? bias[to] : 0, o, o + area);
    for (let from = 0; from < ins; from++) {
      const source = from * rows * columns;
      for (let ky = 0; ky < k; ky++) {
        const y0 = Math.max(0, padding - ky);
        const y1 = Math.min(height, rows + padding - ky);
        for (let kx = 0; kx < k; kx++) {
          const w = weight[((to * ins + from) * k + ky) * k + kx];
          if (w === 0) continue;
          const x0 = Math.max(0, padding - kx);
          const x1 = Math.min(width, columns + padding - kx);
          for (let y = y0; y < y1; y++) {
            const shift = source + (y + ky - padding) * columns + kx - padding;
            const row = o + y * width;
            for (let c = x0; c < x1; c++) out[row + c] += w * x[shift + c];
          }
        }
      }
    }
  }
}

/** Skips positions without a gradient: before a pooling layer, at least three in four.
    @type {Kind["backward"]} */
function convBackward(layer, x, gradIn) {
  const { grad, weight, bias, padding, ins, units, links } = layer;
  const [, height, width] = layer.shape;
  const k = layer.kernel;
  const [rows, columns] = [height + k - 1 - 2 * padding, width + k - 1 - 2 * padding];
  const area = height * width;
  links.fill(0);
  let offset = 0;
  for (let to = 0; to < units; to++) {
    for (let at = 0; at < area; at++) {
      const g = grad[to * area + at];
      if (g === 0) continue;
      if (bias) offset += bias[to] * g;
      const top = Math.floor(at / width) - padding;
      const left = (at % width) - padding;
      const ky0 = Math.max(0, -top);
      const ky1 = Math.min(k, rows - top);
      const kx0 = Math.max(0, -left);
      const kx1 = Math.min(k, columns - left);
      for (let from = 0; from < ins; from++) {
        const kernel = (to * ins + from) * k * k;
        let contribution = 0;
        for (let ky = ky0; ky < ky1; ky++) {
          const row = (from * rows + top + ky) * columns + left;
          for (let kx = kx0; kx < kx1; kx++) {
            const gradient = weight[kernel + ky * k + kx] * g;
            gradIn[row + kx] += gradient;
            contribution += gradient * x[row + kx];
          }
        }
        links[to * ins + from] += contribution;
      }
    }
  }
  layer.offset = offset;
}

/** @type {Kind["forward"]} */
function linearForward(layer, x) {
  const { out, weight, bias } = layer;
  const inputs = x.length;
  for (let to = 0; to < out.length; to++) {
    let sum = bias ? bias[to] : 0;
    const row = to * inputs;
    for (let i = 0; i < inputs; i++) sum += weight[row + i] * x[i];
    out[to] = sum;
  }
}

/** @type {Kind["backward"]} */
function linearBackward(layer, x, gradIn) {
  const { grad, weight, bias, ins, units, links } = layer;
  const positions = x.length / ins; // of one unit before: several where maps were flattened
  links.fill(0);
  for (let to = 0; to < units; to++) {
    const g = grad[to];
    if (g === 0) continue;
    if (bias) layer.offset += bias[to] * g;
    let i = 0;
    for (let from = 0; from < ins; from++) {
      let contribution = 0;
      for (const end = i + positions; i < end; i++) {
        const gradient = weight[to * x.length + i] * g;
        gradIn[i] += gradient;
        contribution += gradient * x[i];
      }
      links[to * ins + from] = contribution;
    }
  }
}

/** The largest of each window of `kernel` × `kernel`, the first of equals, as PyTorch chooses.
    @type {Kind["forward"]} */
function poolForward(layer, x) {
  const { out, winner, kernel: k } = layer;
  const [maps, height, width] = layer.shape;
  const [rows, columns] = layer.before;
  for (let map = 0, o = 0; map < maps; map++) {
    for (let y = 0; y < height; y++) {
      for (let c = 0; c < width; c++, o++) {
        let best = (map * rows + y * k) * columns + c * k;
        for (let ky = 0; ky < k; ky++) {
          for (let kx = 0; kx < k; kx++) {
            const i = (map * rows + y * k + ky) * columns + c * k + kx;
            if (x[i] > x[best]) best = i;
          }
        }
        winner[o] = best;
        out[o] = x[best];
      }
    }
  }
}

/** @type {Kind["backward"]} */
function poolBackward(layer, _, gradIn) {
  for (let o = 0; o < layer.grad.length; o++) gradIn[layer.winner[o]] += layer.grad[o];
}

/** Batch norm at inference: each map times γ / σ, plus β − μ γ / σ.
    @type {Kind["forward"]} */
function normForward(layer, x) {
  const positions = x.length / layer.units;
  for (let unit = 0, i = 0; unit < layer.units; unit++) {
    const scale = layer.scale[unit];
    const shift = layer.shift[unit];
    for (const end = i + positions; i < end; i++) layer.out[i] = x[i] * scale + shift;
  }
}

/** @type {Kind["backward"]} */
function normBackward(layer, x, gradIn) {
  const positions = x.length / layer.units;
  for (let unit = 0, i = 0; unit < layer.units; unit++) {
    let total = 0;
    for (const end = i + positions; i < end; i++) {
      total += layer.grad[i];
      gradIn[i] = layer.grad[i] * layer.scale[unit];
    }
    layer.offset += layer.shift[unit] * total;
  }
}

/** An elementwise activation. Its offset is its tangent's value at zero: 6 for a saturated ReLU6.
    @param {(x: number) => number} f
    @param {(x: number, y: number) => number} derivative
    @returns {Kind} */
function activationKind(f, derivative) {
  return {
    forward(layer, x) {
      for (let i = 0; i < x.length; i++) layer.out[i] = f(x[i]);
    },
    backward(layer, x, gradIn) {
      for (let i = 0; i < x.length; i++) {
        const g = layer.grad[i];
        if (g === 0) continue;
        const d = derivative(x[i], layer.out[i]);
        gradIn[i] = g * d;
        layer.offset += g * (layer.out[i] - d * x[i]);
      }
    },
  };
}
