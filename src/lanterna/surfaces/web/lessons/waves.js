// Lesson 15, hands on: paint a picture, and one layer paints it again from stripe patterns. Its weights are
// the best ones, found by least squares at once instead of by training.

import { button, choice, makeRandom, slider } from "lanterna/lessons/parts.js";
import { drawOn, pixels } from "lanterna/lessons/pixels.js";
import { set } from "lanterna/svg.js";
import { element, fixed } from "lanterna/words.js";

const SIDE = 40; // pixels
const SHOWN = 8; // patterns
const PAINTS = {
  red: [214, 69, 47],
  yellow: [244, 190, 70],
  green: [78, 140, 84],
  blue: [52, 94, 170],
  white: [245, 240, 228],
  black: [22, 24, 32],
};
const PENALTY = 1e-3; // on large weights, per pixel

/** The features of every pixel, row by row: 1, x and y, and the sines and cosines of random waves over the
    picture, `finest` of them across it or fewer.
    @param {number} side
    @param {number} count
    @param {number} finest
    @param {number} seed */
export function features(side, count, finest, seed = 0) {
  const random = makeRandom(seed);
  // Directions at random; from broad to fine, so that more waves add to those before.
  const waves = Array.from({ length: count }, () => {
    const [angle, size] = [Math.PI * random(), random()];
    return [Math.cos(angle), Math.sin(angle)].map((each) => Math.PI * each * (0.5 + (finest - 0.5) * size));
  });
  const columns = 3 + 2 * count;
  const all = new Float64Array(side * side * columns);
  for (let at = 0; at < side * side; at += 1) {
    const [x, y] = [at % side, Math.floor(at / side)].map((each) => ((each + 0.5) / side) * 2 - 1);
    all.set([1, x, y], at * columns);
    waves.forEach(([u, v], n) => {
      all[at * columns + 3 + 2 * n] = Math.sin(u * x + v * y);
      all[at * columns + 4 + 2 * n] = Math.cos(u * x + v * y);
    });
  }
  return { all, columns };
}

/** Factor the normal equations of features (Cholesky); `solve` returns the best weights for a target.
    @param {{ all: Float64Array, columns: number }} of */
export function leastSquares({ all, columns: n }) {
  const pixels_ = all.length / n;
  const lower = new Float64Array(n * n);
  for (let at = 0; at < pixels_; at += 1)
    for (let i = 0; i < n; i += 1) {
      const value = all[at * n + i];
      for (let j = 0; j <= i; j += 1) lower[i * n + j] += value * all[at * n + j];
    }
  for (let i = 0; i < n; i += 1) lower[i * n + i] += PENALTY * pixels_;
  for (let i = 0; i < n; i += 1)
    for (let j = 0; j <= i; j += 1) {
      let sum = lower[i * n + j];
      for (let k = 0; k < j; k += 1) sum -= lower[i * n + k] * lower[j * n + k];
      lower[i * n + j] = i === j ? Math.sqrt(sum) : sum / lower[j * n + j];
    }
  /** @param {(at: number) => number} target */
  return (target) => {
    const weights = new Float64Array(n);
    for (let at = 0; at < pixels_; at += 1) {
      const value = target(at);
      for (let i = 0; i < n; i += 1) weights[i] += value * all[at * n + i];
    }
    for (let i = 0; i < n; i += 1) {
      for (let k = 0; k < i; k += 1) weights[i] -= lower[i * n + k] * weights[k];
      weights[i] /= lower[i * n + i];
    }
    for (let i = n - 1; i >= 0; i -= 1) {
      for (let k = i + 1; k < n; k += 1) weights[i] -= lower[k * n + i] * weights[k];
      weights[i] /= lower[i * n + i];
    }
    return weights;
  };
}

/** @param {HTMLElement} host */
export function mount(host) {
  let [count, finest, colour] = [12, 4, "red"];
  const picture = landscape();
  let basis = features(SIDE, count, finest);
  let solve = leastSquares(basis);

  const dials = [
    slider("Waves", { min: 0, max: 60, integer: true, value: count }, (value) => {
      count = value;
      encode();
    }),
    slider("Finest wave", { min: 1, max: 16, step: 0.5, value: finest }, (value) => {
      finest = value;
      encode();
    }),
  ];
  const paints = choice("Paint", Object.keys(PAINTS), colour, (value) => {
    colour = value;
  });
  const mine = pixels("Your picture", SIDE, SIDE, { kind: "colours", role: "application" });
  const painted = pixels("What the layer paints", SIDE, SIDE, { kind: "colours" });
  const patterns = Array.from({ length: SHOWN }, (_, n) =>
    pixels(`Pattern ${n + 1}`, SIDE, SIDE, { kind: "signed" }),
  );
  set(mine.sheet, { "aria-label": "Your picture: paint with the pointer, or with arrow keys and Space" });
  const status = element("p", { class: "status", role: "status" });
  host.replaceChildren(
    element(
      "div",
      { class: "piece waves" },
      element("div", { class: "dials" }, ...dials),
      element(
        "div",
        { class: "two" },
        element("div", {}, element("h3", {}, "Your picture"), mine),
        element("div", {}, element("h3", {}, "From the waves"), painted),
      ),
      status,
      element("div", { class: "patterns" }, ...patterns),
      element(
        "div",
        { class: "tools" },
        element("span", { class: "hint" }, "Paint on the left:"),
        paints,
        button("The landscape again", () => {
          picture.set(landscape());
          fit();
        }),
      ),
    ),
  );

  function encode() {
    basis = features(SIDE, count, finest);
    solve = leastSquares(basis);
    patterns.forEach((board, n) => {
      board.hidden = n >= count;
      if (n < count)
        board.show(
          Float64Array.from({ length: SIDE * SIDE }, (_, at) => basis.all[at * basis.columns + 3 + 2 * n]),
        );
    });
    fit();
  }

  function fit() {
    const result = new Float64Array(picture.length);
    for (let channel = 0; channel < 3; channel += 1) {
      const weights = solve((at) => picture[3 * at + channel]);
      for (let at = 0; at < SIDE * SIDE; at += 1) {
        let sum = 0;
        for (let i = 0; i < basis.columns; i += 1) sum += weights[i] * basis.all[at * basis.columns + i];
        result[3 * at + channel] = Math.min(1, Math.max(0, sum));
      }
    }
    mine.show(picture);
    painted.show(result);
    const error = result.reduce((sum, each, at) => sum + (each - picture[at]) ** 2, 0) / result.length;
    const db = -10 * Math.log10(Math.max(1e-9, error));
    status.textContent =
      `With ${count ? `${count} waves` : "x and y alone"} it gets within ${fixed(db, 1)} dB, with ` +
      `${3 * basis.columns} weights.`;
  }

  drawOn(mine, SIDE, SIDE, (x, y) => {
    const paint = PAINTS[/** @type {keyof PAINTS} */ (colour)];
    for (let at = 0; at < SIDE * SIDE; at += 1) {
      const off = Math.hypot((at % SIDE) + 0.5 - x, Math.floor(at / SIDE) + 0.5 - y);
      if (off < 1.7)
        picture.set(
          paint.map((each) => each / 255),
          3 * at,
        );
    }
    fit();
  });
  encode();

  return {
    set() {},
    unmount() {
      for (const each of [mine, painted, ...patterns]) each.stop();
      host.replaceChildren();
    },
  };
}

/** A picture to begin with: an evening sky with a sun, hills and a tree. */
function landscape() {
  const picture = new Float64Array(3 * SIDE * SIDE);
  for (let at = 0; at < SIDE * SIDE; at += 1) {
    const [x, y] = [(at % SIDE) / SIDE, Math.floor(at / SIDE) / SIDE];
    let colour = [60 + 190 * y, 90 + 80 * y, 150 - 60 * y];
    if (Math.hypot(x - 0.68, y - 0.38) < 0.13) colour = [252, 214, 110];
    if (y > 0.68 + 0.1 * Math.sin(5 * x)) colour = [66, 104, 74];
    if (y > 0.82 - 0.12 * Math.sin(4 * x + 1)) colour = [38, 66, 56];
    if (Math.abs(x - 0.24) < 0.025 && y > 0.45 && y < 0.78) colour = [44, 34, 32];
    if (Math.hypot(x - 0.24, 0.8 * (y - 0.36)) < 0.13) colour = [92, 44, 42];
    picture.set(
      colour.map((each) => each / 255),
      3 * at,
    );
  }
  return picture;
}
