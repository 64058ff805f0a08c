// Lesson 8, hands on: a deep network before it has learned anything, and how much of a correction arrives at
// each of its layers on the way back.

import { button, choice, makeRandom, normal, plane, slider } from "lanterna/lessons/parts.js";
import { set, svg } from "lanterna/svg.js";
import { element } from "lanterna/words.js";

/** @import { Sheet } from "lanterna/lessons/parts.js" */

const [UNITS, EXAMPLES] = [32, 16];
const DIMMEST = 1e-6; // a lamp that gets less than this share is out

/** Each activation: the function, its derivative from the output, and its mean for sums around 0.
    @type {Record<string, [(x: number) => number, (out: number) => number, number]>} */
const ACTIVATIONS = {
  sigmoid: [(x) => 1 / (1 + Math.exp(-x)), (out) => out * (1 - out), 0.5],
  tanh: [Math.tanh, (out) => 1 - out * out, 0],
  ReLU: [(x) => Math.max(0, x), (out) => (out > 0 ? 1 : 0), 0],
};

/** Return the outputs of each hidden layer for one example, and the root mean square of the gradient of each
    layer's weights, relative to the last layer's. Weights are Xavier's times `gain`; with `centred`, biases
    cancel the mean of a layer's inputs.
    @param {string} activation
    @param {number} depth
    @param {number} gain
    @param {boolean} centred
    @param {number} seed */
export function corrections(activation, depth, gain, centred, seed) {
  const [apply, slope, mean] = ACTIVATIONS[activation];
  const random = makeRandom(seed);
  const layers = Array.from({ length: depth + 1 }, () => ({
    weights: Float64Array.from({ length: UNITS * UNITS }, () => (gain * normal(random)) / Math.sqrt(UNITS)),
    squares: 0,
  }));
  /** @type {Float64Array[]} */
  let shown = [];
  for (let n = 0; n < EXAMPLES; n += 1) {
    const outputs = [Float64Array.from({ length: UNITS }, () => normal(random))];
    layers.forEach(({ weights }, place) => {
      const input = outputs[place];
      const off = centred && place ? mean : 0;
      outputs.push(
        Float64Array.from({ length: UNITS }, (_, unit) => {
          let sum = 0;
          for (let i = 0; i < UNITS; i += 1) sum += weights[unit * UNITS + i] * (input[i] - off);
          return place < depth ? apply(sum) : sum;
        }),
      );
    });
    if (!n) shown = outputs.slice(1, -1);
    let grad = Float64Array.from({ length: UNITS }, () => normal(random)); // of the last layer's sums
    for (let place = depth; place >= 0; place -= 1) {
      const { weights } = layers[place];
      const input = outputs[place];
      const before = new Float64Array(UNITS);
      for (let unit = 0; unit < UNITS; unit += 1)
        for (let i = 0; i < UNITS; i += 1) {
          layers[place].squares += (grad[unit] * input[i]) ** 2;
          before[i] += grad[unit] * weights[unit * UNITS + i];
        }
      grad = place ? before.map((each, i) => each * slope(input[i])) : before;
    }
  }
  const sizes = layers.map(({ squares }) => Math.sqrt(squares));
  return { outputs: shown, shares: sizes.map((size) => size / sizes[depth]) };
}

/** A number of two digits: 2.6, 1,700, 300,000.
    @param {number} value */
const rounded = (value) => value.toLocaleString("en", { maximumSignificantDigits: 2 });

/** How many times smaller than 1, or larger: ÷ 80,000, × 1.3.
    @param {number} share */
const times = (share) => (share < 1 ? `÷ ${rounded(1 / share)}` : `× ${rounded(share)}`);

/** @param {HTMLElement} host */
export function mount(host) {
  let [activation, depth, gain, centred, seed] = ["sigmoid", 8, 1, false, 0];
  const activations = choice("Activation", Object.keys(ACTIVATIONS), activation, (value) => {
    activation = value;
    update();
  });
  const dials = [
    slider("Hidden layers", { min: 1, max: 12, integer: true, value: depth }, (value) => {
      depth = value;
      update();
    }),
    slider("First weights times", { min: 0.25, max: 8, log: true, value: gain }, (value) => {
      gain = value;
      update();
    }),
  ];
  const means = choice("Biases", ["biases 0", "biases cancel the mean"], "biases 0", (value) => {
    centred = value !== "biases 0";
    update();
  });
  const again = button("Other first weights", () => {
    seed += 1;
    update();
  });
  const board = plane("The layers", draw, { className: "layers-of" });
  const status = element("p", { class: "status", role: "status" });
  host.replaceChildren(
    element(
      "div",
      { class: "piece chain" },
      element("div", { class: "dials" }, activations, ...dials, means, again),
      board,
      status,
    ),
  );
  let found = corrections(activation, depth, gain, centred, seed);

  function update() {
    found = corrections(activation, depth, gain, centred, seed);
    const [first] = found.shares;
    status.textContent =
      `At the first layer the correction is ${rounded(first < 1 ? 1 / first : first)} times ` +
      `${first < 1 ? "smaller than" : "as large as"} at the last. ` +
      (first < 0.001
        ? "That layer learns nothing."
        : first > 100
          ? "That is too loud: one step would throw its weights away."
          : first < 0.05
            ? "That layer learns slowly."
            : "That layer can learn.");
    board.redraw();
  }

  /** @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function draw(sheet, width, height) {
    const each = width / (depth + 1);
    const cell = Math.min(each / 5, (height - 110) / 8);
    const bright = (/** @type {number} */ share) =>
      Math.min(1, Math.max(0, 1 - Math.log10(Math.max(share, 1e-30)) / Math.log10(DIMMEST)));
    sheet.replaceChildren(
      ...found.shares.flatMap((share, place) => {
        const x = each * (place + 0.5);
        const radius = Math.min(20, 0.34 * each);
        const cells = Array.from(found.outputs[place] ?? [], (value, unit) =>
          svg("rect", {
            class: value < 0 ? "cell against" : "cell",
            x: x + ((unit % 4) - 2) * cell,
            y: 8 + Math.floor(unit / 4) * cell,
            width: cell - 1,
            height: cell - 1,
            opacity: 0.08 + 0.92 * Math.min(1, Math.abs(value)),
          }),
        );
        const y = height - 62;
        return [
          ...cells,
          svg("circle", { class: "lamp", cx: x, cy: y, r: radius }),
          svg("circle", { class: "glow", cx: x, cy: y, r: radius, opacity: bright(share) }),
          svg(
            "text",
            { class: "value", x: Math.max(x, 36), y: height - 22 },
            each < 64 && place && place < depth ? "" : times(share),
          ),
          svg(
            "text",
            { class: "name", x, y: height - 4, "text-anchor": "middle" },
            place === depth ? "last" : each < 36 && place ? "" : place ? `${place + 1}` : "first",
          ),
        ];
      }),
    );
    set(sheet, {
      "aria-label":
        `${depth} hidden layers of ${activation}; the correction at each layer, relative to the last one, ` +
        `first to last: ${found.shares.map(times).join(", ")}`,
    });
  }
  update();

  return {
    set() {},
    unmount() {
      board.stop();
      host.replaceChildren();
    },
  };
}
