// A digit network in plain JavaScript: forward, backward, and what every part contributed to one answer.
//
// A network here is a list of stages, each with what it put out (`out`) and the gradient of the answer with
// respect to that (`grad`), both Float64Array and made once, so that nothing is allocated while a pen moves.
// Pictures are channel after channel, row after row, as in PyTorch. The first stage is the picture itself.
//
// Contributions: of a unit, activation × gradient; of a connection, weight × gradient of that weight, summed
// over positions and taps for the maps of a convolution; of a bias, bias × gradient. For a network of
// piecewise linear stages the units of any stage and the offsets behind them add up to the answer.

/** @import { Arrays } from "lanterna/arrays.js" */

/** @typedef {object} StageDescription - as `export_network.py` packs it
    @property {string} name
    @property {string} kind
    @property {number[]} shape - of what it puts out: `[maps, height, width]` or `[units]`
    @property {string} [weight] - the names of its arrays
    @property {string} [bias]
    @property {string} [scale]
    @property {string} [shift]
    @property {number} [kernel]
    @property {number} [padding]
    @property {number[]} [before] - height and width of what comes in

    @typedef {object} StageValues
    @property {string} name
    @property {string} kind
    @property {number[]} shape
    @property {Float64Array} out - what it put out, channel after channel
    @property {Float64Array} grad - the gradient of the answer with respect to that
    @property {number} units
    @property {number} offset
    @property {Set<number>} cut - units whose output is set to zero
    @property {Set<number>} cutLinks - connections whose weights are set to zero: to × units before + from
    @property {Float32Array} weight - of a convolution or a linear stage, as it is computed with
    @property {Float32Array} original - the same, before anything was cut
    @property {Float32Array | null} bias
    @property {number} ins - units of the stage before
    @property {Float64Array} links - what each connection gave, to × from
    @property {Float32Array} scale - of a norm
    @property {Float32Array} shift
    @property {Int32Array} winner - of a pooling: where each of its outputs came from
    @property {number} kernel
    @property {number} padding
    @property {number[]} before

    @typedef {StageValues & Partial<import("lanterna/integrate.js").Integration>} Stage - its kind says which
        of these it has

    @typedef {object} Network
    @property {Stage[]} stages - the first is the picture
    @property {string[]} classes
    @property {boolean} exact - whether it is piecewise linear, so that contributions add up to the answer
    @property {Map<string, number>} at - the stages' places, by name

    @typedef {object} Kind
    @property {(stage: Stage, x: Float64Array) => void} forward
    @property {(stage: Stage, x: Float64Array, gradIn: Float64Array) => void} backward */

/** How each kind of stage computes: `forward(stage, x)` fills `stage.out`; `backward(stage, x, gradIn)` adds
    to `gradIn`, fills `stage.links` where the stage has weights, and sets `stage.offset`.
    @type {Record<string, Kind>} */
export const KINDS = {
  conv: { forward: convForward, backward: convBackward },
  linear: { forward: linearForward, backward: linearBackward },
  pool: { forward: poolForward, backward: poolBackward },
  norm: { forward: normForward, backward: normBackward },
  flatten: {
    forward: (stage, x) => stage.out.set(x),
    backward: (stage, _, gradIn) => gradIn.set(stage.grad),
  },
  relu: bend(
    (v) => (v > 0 ? v : 0),
    (v) => (v > 0 ? 1 : 0),
  ),
  relu6: bend(
    (v) => (v > 6 ? 6 : v > 0 ? v : 0),
    (v) => (v > 0 && v < 6 ? 1 : 0),
  ),
  sigmoid: bend(
    (v) => 1 / (1 + Math.exp(-v)),
    (_, y) => y * (1 - y),
  ),
  tanh: bend(Math.tanh, (_, y) => 1 - y * y),
};
KINDS.dropout = KINDS.flatten; // at rest it changes nothing

const BENT = new Set(["sigmoid", "tanh"]); // not piecewise linear

/** A network from its description (`looking.py`) and the arrays it names.
    @param {{ input: number[], stages: StageDescription[], classes: string[] }} description
    @param {Arrays} arrays
    @returns {Network} */
export function makeNetwork(description, arrays) {
  const [channels, side] = description.input;
  const stages = [
    makeStage({ name: "picture", kind: "picture", shape: [channels, side, side] }, arrays, null),
  ];
  for (const each of description.stages) stages.push(makeStage(each, arrays, stages[stages.length - 1]));
  return {
    stages,
    classes: description.classes,
    exact: !stages.some((stage) => BENT.has(stage.kind)),
    at: new Map(stages.map((stage, index) => [stage.name, index])),
  };
}

/** @param {StageDescription} description
    @param {Arrays} arrays
    @param {Stage | null} before
    @returns {Stage} */
function makeStage(description, arrays, before) {
  const { shape } = description;
  const size = shape.reduce((product, each) => product * each, 1);
  const { weight, bias, scale, shift, ...rest } = description;
  const stage = /** @type {Stage} */ ({
    ...rest,
    out: new Float64Array(size),
    grad: new Float64Array(size),
    units: unitsOf(description, before, size),
    offset: 0,
    cut: new Set(),
    cutLinks: new Set(),
  });
  if (weight && before) {
    stage.original = stage.weight = floats(arrays, weight);
    stage.bias = bias ? floats(arrays, bias) : null;
    stage.ins = before.units;
    stage.links = new Float64Array(stage.units * stage.ins);
  }
  if (scale && shift) {
    stage.scale = floats(arrays, scale);
    stage.shift = floats(arrays, shift);
  }
  if (description.kind === "pool") stage.winner = new Int32Array(size);
  return stage;
}

/** @param {Arrays} arrays
    @param {string} name */
const floats = (arrays, name) => /** @type {Float32Array} */ (arrays[name]);

/** How many units a stage has. A flattened map is still one unit of several positions; a flattened picture is
    as many units as it has pixels.
    @param {StageDescription} description
    @param {Stage | null} before
    @param {number} size */
function unitsOf({ kind, shape }, before, size) {
  if (!before || (kind !== "flatten" && (shape.length === 3 || kind === "linear"))) return shape[0];
  return kind === "flatten" && before.kind === "picture" ? size : before.units;
}

/** Run the network on a picture in [0, 1]; gives the logits.
    @param {Network} network
    @param {ArrayLike<number>} pixels */
export function forward(network, pixels) {
  const { stages } = network;
  stages[0].out.set(pixels);
  silence(stages[0], stages[0].out);
  for (let i = 1; i < stages.length; i++) {
    KINDS[stages[i].kind].forward(stages[i], stages[i - 1].out);
    silence(stages[i], stages[i].out);
  }
  return stages[stages.length - 1].out;
}

/** Gradients of one logit, or of one minus another, with respect to every stage's output; and with them every
    connection's contribution (`links`, to × from) and every stage's `offset`. After `forward`.
    @param {Network} network
    @param {number} answer
    @param {number | null} against */
export function backward(network, answer, against = null) {
  const { stages } = network;
  for (const stage of stages) stage.grad.fill(0);
  const last = stages[stages.length - 1];
  last.grad[answer] += 1;
  if (against !== null) last.grad[against] -= 1;
  for (let i = stages.length - 1; i > 0; i--) {
    silence(stages[i], stages[i].grad);
    stages[i].offset = 0;
    KINDS[stages[i].kind].backward(stages[i], stages[i - 1].out, stages[i - 1].grad);
  }
  silence(stages[0], stages[0].grad);
}

/** How much each unit of a stage contributed: the sum over its positions of activation × gradient.
    @param {Stage} stage
    @param {Float64Array} into */
export function contributions(stage, into = new Float64Array(stage.units)) {
  const positions = stage.out.length / stage.units;
  for (let unit = 0, i = 0; unit < stage.units; unit++) {
    let sum = 0;
    for (const end = i + positions; i < end; i++) sum += stage.out[i] * stage.grad[i];
    into[unit] = sum;
  }
  return into;
}

/** What the units of stage `index` give, what the offsets behind them give, and the answer itself.
    @param {Network} network
    @param {number} index
    @param {number} answer
    @param {number | null} against */
export function sum(network, index, answer, against = null) {
  const { stages } = network;
  const stage = stages[index];
  let units = 0;
  for (let i = 0; i < stage.out.length; i++) units += stage.out[i] * stage.grad[i];
  let offsets = 0;
  for (let i = index + 1; i < stages.length; i++) offsets += stages[i].offset;
  const logits = stages[stages.length - 1].out;
  return { units, offsets, logit: logits[answer] - (against === null ? 0 : logits[against]) };
}

/** Probabilities of logits (softmax).
    @param {Float64Array} logits */
export function softmax(logits) {
  const most = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** Set the weights from unit `from` to unit `to` of a stage with weights to zero, or bring them back.
    @param {Stage} stage
    @param {number} to
    @param {number} from
    @param {boolean} isCut */
export function cutLink(stage, to, from, isCut = true) {
  const key = to * stage.ins + from;
  if (isCut) stage.cutLinks.add(key);
  else stage.cutLinks.delete(key);
  const each = stage.original.length / (stage.units * stage.ins); // weights of one connection
  stage.weight = stage.cutLinks.size ? stage.original.slice() : stage.original;
  for (const cut of stage.cutLinks) stage.weight.fill(0, cut * each, (cut + 1) * each);
}

/** Bring back everything that was cut.
    @param {Network} network */
export function restoreAll(network) {
  for (const stage of network.stages) {
    stage.cut.clear();
    stage.cutLinks.clear();
    if (stage.original) stage.weight = stage.original;
  }
}

/** @param {Stage} stage
    @param {Float64Array} values */
function silence(stage, values) {
  if (!stage.cut.size) return;
  const positions = values.length / stage.units;
  for (const unit of stage.cut) values.fill(0, unit * positions, (unit + 1) * positions);
}

/** Each output map: its bias, and every kernel slid over its input map (stride 1, zeros around the edge).
    @type {Kind["forward"]} */
function convForward(stage, x) {
  const { out, weight, bias, padding, ins, units } = stage;
  const [, height, width] = stage.shape;
  const k = stage.kernel;
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

/** Only positions with a gradient are visited: behind a pooling, one in four at most.
    @type {Kind["backward"]} */
function convBackward(stage, x, gradIn) {
  const { grad, weight, bias, padding, ins, units, links } = stage;
  const [, height, width] = stage.shape;
  const k = stage.kernel;
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
        let given = 0;
        for (let ky = ky0; ky < ky1; ky++) {
          const row = (from * rows + top + ky) * columns + left;
          for (let kx = kx0; kx < kx1; kx++) {
            const back = weight[kernel + ky * k + kx] * g;
            gradIn[row + kx] += back;
            given += back * x[row + kx];
          }
        }
        links[to * ins + from] += given;
      }
    }
  }
  stage.offset = offset;
}

/** @type {Kind["forward"]} */
function linearForward(stage, x) {
  const { out, weight, bias } = stage;
  const inputs = x.length;
  for (let to = 0; to < out.length; to++) {
    let sum = bias ? bias[to] : 0;
    const row = to * inputs;
    for (let i = 0; i < inputs; i++) sum += weight[row + i] * x[i];
    out[to] = sum;
  }
}

/** @type {Kind["backward"]} */
function linearBackward(stage, x, gradIn) {
  const { grad, weight, bias, ins, units, links } = stage;
  const positions = x.length / ins; // of one unit before: several where maps were flattened
  links.fill(0);
  for (let to = 0; to < units; to++) {
    const g = grad[to];
    if (g === 0) continue;
    if (bias) stage.offset += bias[to] * g;
    let i = 0;
    for (let from = 0; from < ins; from++) {
      let given = 0;
      for (const end = i + positions; i < end; i++) {
        const back = weight[to * x.length + i] * g;
        gradIn[i] += back;
        given += back * x[i];
      }
      links[to * ins + from] = given;
    }
  }
}

/** The largest of each window of `kernel` × `kernel`, the first of equals, as PyTorch chooses.
    @type {Kind["forward"]} */
function poolForward(stage, x) {
  const { out, winner, kernel: k } = stage;
  const [maps, height, width] = stage.shape;
  const [rows, columns] = stage.before;
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
function poolBackward(stage, _, gradIn) {
  for (let o = 0; o < stage.grad.length; o++) gradIn[stage.winner[o]] += stage.grad[o];
}

/** Batch norm at rest: each map times γ / σ, plus β − μ γ / σ.
    @type {Kind["forward"]} */
function normForward(stage, x) {
  const positions = x.length / stage.units;
  for (let unit = 0, i = 0; unit < stage.units; unit++) {
    const scale = stage.scale[unit];
    const shift = stage.shift[unit];
    for (const end = i + positions; i < end; i++) stage.out[i] = x[i] * scale + shift;
  }
}

/** @type {Kind["backward"]} */
function normBackward(stage, x, gradIn) {
  const positions = x.length / stage.units;
  for (let unit = 0, i = 0; unit < stage.units; unit++) {
    let total = 0;
    for (const end = i + positions; i < end; i++) {
      total += stage.grad[i];
      gradIn[i] = stage.grad[i] * stage.scale[unit];
    }
    stage.offset += stage.shift[unit] * total;
  }
}

/** A function applied to every number. What its tangent leaves at zero is its offset: 6 for a saturated
    ReLU6.
    @param {(x: number) => number} f
    @param {(x: number, y: number) => number} slope
    @returns {Kind} */
function bend(f, slope) {
  return {
    forward(stage, x) {
      for (let i = 0; i < x.length; i++) stage.out[i] = f(x[i]);
    },
    backward(stage, x, gradIn) {
      for (let i = 0; i < x.length; i++) {
        const g = stage.grad[i];
        if (g === 0) continue;
        const d = slope(x[i], stage.out[i]);
        gradIn[i] = g * d;
        stage.offset += g * (stage.out[i] - d * x[i]);
      }
    },
  };
}
