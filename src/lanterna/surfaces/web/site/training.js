// A fully connected network that is trained in the page: 784 pixels, hidden units, ten answers.
//
// The arithmetic is that of `lanterna train dense`: rectified linear units, softmax and cross-entropy, AdamW
// (Loshchilov and Hutter 2019) with weight decay on the weights only. Sums are computed with 64 bits, numbers
// stored with 32. This file imports nothing, so that it can also be the source of a worker (`serve`).

/** @typedef {(Float32Array | Float64Array)} Pixels - 28 × 28 numbers in [0, 1], row by row

    @typedef {object} Weights
    @property {number} units - hidden ones
    @property {Float32Array} hidden - pixel after pixel, the weights to each unit
    @property {Float32Array} hiddenBias
    @property {Float32Array} output - unit after unit, the weights to each answer
    @property {Float32Array} outputBias

    @typedef {{ pixels: Pixels, written: number, read: number, share: number }} Reading

    @typedef {object} Progress
    @property {number} done - the share of the time that has passed
    @property {number} steps
    @property {number} examples
    @property {number} loss - the mean since the last report
    @property {number} accuracy - on variants that it does not learn from
    @property {Reading[]} hardest - the variants that are read worst, the worst first
    @property {Weights} weights

    @typedef {{ drawings: Pixels[], labels: number[], seconds: number, seed: number }} Task */

const SIDE = 28;
const PIXELS = SIDE * SIDE;
const ANSWERS = 10;
const UNITS = 128; // hidden ones, as in `lanterna train dense`
const BATCH = 64;
const RATE = 0.003;
const WARM_UP = 50; // steps
const DECAY = 0.01; // of the weights
const [MEAN_DECAY, SQUARE_DECAY, EPSILON] = [0.9, 0.999, 1e-7];
const REPORT_EVERY = 200; // ms
const CHECKED = 10; // variants of each drawing that are only read
const MAX_SHIFT = 2; // pixels
const MAX_TURN = Math.PI / 15;
const PARTS = /** @type {const} */ (["hidden", "hiddenBias", "output", "outputBias"]);

/** Random numbers in [0, 1) that a seed determines (mulberry32).
    @param {number} seed */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** New weights: normal with variance 2 / inputs (He et al. 2015), biases zero.
    @param {number} units
    @param {() => number} random
    @returns {Weights} */
export function newWeights(units, random) {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  /** @param {number} inputs
      @param {number} outputs */
  const start = (inputs, outputs) =>
    Float32Array.from({ length: inputs * outputs }, () => normal() * Math.sqrt(2 / inputs));
  return {
    units,
    hidden: start(PIXELS, units),
    hiddenBias: new Float32Array(units),
    output: start(units, ANSWERS),
    outputBias: new Float32Array(ANSWERS),
  };
}

/** The outputs of the hidden units and the probabilities of the answers, into `hidden` and `shares`.
    @param {Weights} weights
    @param {Pixels} pixels
    @param {Float64Array} hidden
    @param {Float64Array} shares */
function forward(weights, pixels, hidden, shares) {
  const { units } = weights;
  hidden.set(weights.hiddenBias);
  for (let pixel = 0, row = 0; pixel < PIXELS; pixel++, row += units) {
    const value = pixels[pixel];
    if (value === 0) continue; // most of a digit is empty
    for (let unit = 0; unit < units; unit++) hidden[unit] += value * weights.hidden[row + unit];
  }
  shares.set(weights.outputBias);
  for (let unit = 0; unit < units; unit++) {
    if (hidden[unit] <= 0) hidden[unit] = 0;
    else for (let k = 0; k < ANSWERS; k++) shares[k] += hidden[unit] * weights.output[unit * ANSWERS + k];
  }
  const largest = Math.max(...shares);
  let total = 0;
  for (let k = 0; k < ANSWERS; k++) total += shares[k] = Math.exp(shares[k] - largest);
  for (let k = 0; k < ANSWERS; k++) shares[k] /= total;
}

/** The probability of each digit.
    @param {Weights} weights
    @param {Pixels} pixels */
export function read(weights, pixels) {
  const shares = new Float64Array(ANSWERS);
  forward(weights, pixels, new Float64Array(weights.units), shares);
  return shares;
}

/** A function that trains the weights in place: one step of AdamW on a batch. It returns the mean loss.
    @param {Weights} weights */
export function makeTrainer(weights) {
  const { units } = weights;
  const hidden = new Float64Array(units);
  const shares = new Float64Array(ANSWERS);
  const atHidden = new Float64Array(units); // the gradients of the hidden units' inputs
  const states = PARTS.map((name) => {
    const [gradient, mean, square] = [0, 1, 2].map(() => new Float32Array(weights[name].length));
    return { values: weights[name], gradient, mean, square, decay: name.endsWith("Bias") ? 0 : DECAY };
  });
  const [ofHidden, ofHiddenBias, ofOutput, ofOutputBias] = states.map(({ gradient }) => gradient);
  let step = 0;

  /** Add the gradients of one example.
      @param {Pixels} pixels
      @param {number} label
      @param {number} count - of the examples in the batch */
  function backward(pixels, label, count) {
    for (let k = 0; k < ANSWERS; k++) {
      shares[k] = (shares[k] - (k === label ? 1 : 0)) / count; // now the gradient of the logit
      ofOutputBias[k] += shares[k];
    }
    for (let unit = 0; unit < units; unit++) {
      atHidden[unit] = 0;
      if (hidden[unit] === 0) continue;
      for (let k = 0, at = unit * ANSWERS; k < ANSWERS; k++, at++) {
        ofOutput[at] += hidden[unit] * shares[k];
        atHidden[unit] += weights.output[at] * shares[k];
      }
      ofHiddenBias[unit] += atHidden[unit];
    }
    for (let pixel = 0, row = 0; pixel < PIXELS; pixel++, row += units) {
      const value = pixels[pixel];
      if (value === 0) continue;
      for (let unit = 0; unit < units; unit++) ofHidden[row + unit] += value * atHidden[unit];
    }
  }

  /** @param {number} rate */
  function update(rate) {
    step += 1;
    const size = rate / (1 - MEAN_DECAY ** step);
    const correction = Math.sqrt(1 - SQUARE_DECAY ** step);
    for (const { values, gradient, mean, square, decay } of states) {
      for (let i = 0; i < values.length; i++) {
        const g = gradient[i];
        mean[i] += (1 - MEAN_DECAY) * (g - mean[i]);
        square[i] = SQUARE_DECAY * square[i] + (1 - SQUARE_DECAY) * g * g;
        const scale = Math.sqrt(square[i]) / correction + EPSILON;
        values[i] = values[i] * (1 - rate * decay) - (size * mean[i]) / scale;
      }
      gradient.fill(0);
    }
  }

  /** @param {Pixels[]} batch
      @param {number[]} labels
      @param {number} rate */
  return (batch, labels, rate) => {
    let loss = 0;
    batch.forEach((pixels, i) => {
      forward(weights, pixels, hidden, shares);
      loss -= Math.log(Math.max(shares[labels[i]], 1e-30)) / batch.length;
      backward(pixels, labels[i], batch.length);
    });
    update(rate);
    return loss;
  };
}

/** Variants of a drawing: each is shifted, turned and drawn with a thicker or thinner pen.
    @param {Pixels} drawing
    @param {() => number} random */
export function makeVariants(drawing, random) {
  const thick = spread(drawing, Math.max);
  const thin = spread(drawing, Math.min);
  const between = (/** @type {number} */ reach) => reach * (2 * random() - 1);
  return () => {
    const pen = between(0.9);
    const turn = between(MAX_TURN);
    const [shiftX, shiftY] = [between(MAX_SHIFT), between(MAX_SHIFT)];
    const other = pen < 0 ? thin : thick;
    const blended = drawing.map((value, i) => value + Math.abs(pen) * (other[i] - value));
    const [cos, sin, middle] = [Math.cos(turn), Math.sin(turn), (SIDE - 1) / 2];
    const variant = new Float32Array(PIXELS);
    for (let y = 0, i = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++, i++) {
        const [right, down] = [x - middle - shiftX, y - middle - shiftY];
        variant[i] = sample(blended, middle + cos * right + sin * down, middle + cos * down - sin * right);
      }
    }
    return variant;
  };
}

/** The largest or the smallest of each pixel and its four neighbours.
    @param {Pixels} pixels
    @param {(...values: number[]) => number} choose */
function spread(pixels, choose) {
  return pixels.map((value, i) => {
    const at = (/** @type {boolean} */ inside, /** @type {number} */ place) => (inside ? pixels[place] : 0);
    const [x, y] = [i % SIDE, Math.floor(i / SIDE)];
    return choose(
      value,
      at(x > 0, i - 1),
      at(x < SIDE - 1, i + 1),
      at(y > 0, i - SIDE),
      at(y < SIDE - 1, i + SIDE),
    );
  });
}

/** The value between four pixels, zero outside of the picture.
    @param {Pixels} pixels
    @param {number} x
    @param {number} y */
function sample(pixels, x, y) {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  if (left < 0 || top < 0 || left > SIDE - 2 || top > SIDE - 2) return 0;
  const [across, down, i] = [x - left, y - top, top * SIDE + left];
  const above = pixels[i] + across * (pixels[i + 1] - pixels[i]);
  const below = pixels[i + SIDE] + across * (pixels[i + SIDE + 1] - pixels[i + SIDE]);
  return above + down * (below - above);
}

/** Train a network on variants of drawings for some seconds; yields its progress a few times a second.
    @param {Task} task
    @param {() => number} now - in ms
    @returns {Generator<Progress, void>} */
export function* learn({ drawings, labels, seconds, seed }, now = () => performance.now()) {
  const random = randomFrom(seed);
  const weights = newWeights(UNITS, random);
  const trainOn = makeTrainer(weights);
  const makers = drawings.map((drawing) => makeVariants(drawing, random));
  const checked = makers.flatMap((make, i) =>
    Array.from({ length: CHECKED }, () => ({ pixels: make(), written: labels[i] })),
  );
  const begun = now();
  let [steps, reported, reportedAt, loss] = [0, 0, begun, 0];
  for (let done = 0; done < 1;) {
    const chosen = Array.from({ length: BATCH }, () => Math.floor(random() * makers.length));
    const rate = RATE * Math.min(1, (steps + 1) / WARM_UP) * (1 - done);
    loss += trainOn(
      chosen.map((i) => makers[i]()),
      chosen.map((i) => labels[i]),
      rate,
    );
    steps += 1;
    const time = now();
    done = Math.min(1, (time - begun) / (1000 * seconds));
    if (done === 1 || time - reportedAt > REPORT_EVERY || steps === 1) {
      const readings = checked.map((each) => readingOf(weights, each)).sort((a, b) => a.certain - b.certain);
      yield {
        done,
        steps,
        examples: steps * BATCH,
        loss: loss / (steps - reported),
        accuracy: readings.filter((each) => each.read === each.written).length / readings.length,
        hardest: readings.slice(0, 10),
        weights: copyOf(weights),
      };
      [reported, reportedAt, loss] = [steps, now(), 0];
    }
  }
}

/** @param {Weights} weights
    @param {{ pixels: Pixels, written: number }} variant */
function readingOf(weights, { pixels, written }) {
  const shares = read(weights, pixels);
  const best = shares.indexOf(Math.max(...shares));
  // Misread digits come first, the surest mistake at the top; then the least sure of those that are right.
  const certain = best === written ? shares[best] : -shares[best];
  return { pixels, written, read: best, share: shares[best], certain };
}

/** @param {Weights} weights
    @returns {Weights} */
function copyOf(weights) {
  const { units, hidden, hiddenBias, output, outputBias } = weights;
  return {
    units,
    hidden: hidden.slice(),
    hiddenBias: hiddenBias.slice(),
    output: output.slice(),
    outputBias: outputBias.slice(),
  };
}

/** The weights from all pixels to one hidden unit.
    @param {Weights} weights
    @param {number} unit */
export const kernelOf = (weights, unit) =>
  Float32Array.from({ length: PIXELS }, (_, pixel) => weights.hidden[pixel * weights.units + unit]);

/** A file of the network as `lanterna read --network` opens it: safetensors, with the plan in its metadata.
    @param {Weights} weights */
export function networkFile(weights) {
  const { units, hiddenBias, output, outputBias } = weights;
  const kernels = Array.from({ length: units }, (_, unit) => kernelOf(weights, unit));
  const rows = Array.from({ length: ANSWERS }, (_, k) => output.filter((_, i) => i % ANSWERS === k));
  /** @type {[string, number[], Float32Array[]][]} */
  const tensors = [
    ["layers.hidden1.bias", [units], [hiddenBias]],
    ["layers.hidden1.weight", [units, PIXELS], kernels],
    ["layers.output.bias", [ANSWERS], [outputBias]],
    ["layers.output.weight", [ANSWERS, units], rows],
  ];
  const plan = JSON.stringify({ network: "dense", hidden: [units] });
  /** @type {Record<string, object>} */
  const header = { __metadata__: { plan } };
  let end = 0;
  for (const [name, shape] of tensors) {
    const start = end;
    end += 4 * shape.reduce((product, side) => product * side, 1);
    header[name] = { dtype: "F32", shape, data_offsets: [start, end] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const first = 8 + Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(first + end).fill(32, 0, first);
  new DataView(file.buffer).setBigUint64(0, BigInt(first - 8), true);
  file.set(json, 8);
  const numbers = new Float32Array(file.buffer, first); // every browser's machine is little-endian
  numbers.set(tensors.flatMap(([, , parts]) => parts.map((part) => Array.from(part))).flat());
  return file;
}

/** Train in a worker: a message with a task starts, one with `stop` ends it; each answer is a `Progress`.
    @param {{ onmessage: unknown, postMessage: (message: unknown) => void }} scope */
export function serve(scope) {
  let current = 0;
  scope.onmessage = async (/** @type {{ data: Task & { stop?: boolean } }} */ { data }) => {
    const mine = (current += 1);
    if (data.stop) return;
    for (const progress of learn(data)) {
      scope.postMessage(progress);
      await new Promise((resolve) => setTimeout(resolve)); // messages arrive in between
      if (mine !== current) return;
    }
  };
}
