// Lesson 16, hands on: one loop, two uses. The same gradient changes a picture until the network reads it as
// another digit, or changes the network until it reads the picture so.

import { contextOf } from "lanterna/canvas.js";
import { backward, read, SIDE, STROKES, trained } from "lanterna/lessons/digits.js";
import { button, choice, player, slider } from "lanterna/lessons/parts.js";
import { addDab, digitBars, drawOn, pixels } from "lanterna/lessons/pixels.js";
import { set } from "lanterna/svg.js";
import { element, percent } from "lanterna/words.js";

/** @import { Reading, Weights } from "lanterna/lessons/digits.js" */

const MORE = "more activity";
const MOST_STEPS = 400;

/** The gradient that a goal sends back from the network: of a class, or of more active hidden units.
    @param {Reading} reading
    @param {number | string} goal */
export function wanted({ shares, hidden }, goal) {
  return goal === MORE
    ? { hidden: hidden.map((each) => -each) }
    : { logits: shares.map((share, digit) => share - (digit === Number(goal) ? 1 : 0)) };
}

/** Change a picture a little, so that it comes closer to the goal: where the gradient is largest by `rate`.
    The gradient is smoothed, as strokes are wider than a pixel.
    @param {Weights} weights
    @param {Float64Array} picture
    @param {number | string} goal
    @param {number} rate */
export function changePicture(weights, picture, goal, rate) {
  const reading = read(weights, picture);
  const gradient = smoothed(backward(weights, reading, wanted(reading, goal)).picture);
  const largest = Math.max(1e-9, ...gradient.map(Math.abs));
  return picture.map((value, at) => Math.min(1, Math.max(0, value - (rate * gradient[at]) / largest)));
}

/** Change the weights a little, so that the picture comes closer to the goal.
    @param {Weights} weights
    @param {Float64Array} picture
    @param {number | string} goal
    @param {number} rate
    @returns {Weights} */
export function changeWeights(weights, picture, goal, rate) {
  const reading = read(weights, picture);
  const gradients = backward(weights, reading, wanted(reading, goal)).weights;
  return weights.map((each, part) => each.map((value, at) => value - rate * gradients[part][at]));
}

/** @param {Float64Array} values */
const smoothed = (values) =>
  values.map((value, at) => {
    const [row, column] = [Math.floor(at / SIDE), at % SIDE];
    const near = (/** @type {number} */ y, /** @type {number} */ x) =>
      y < 0 || y >= SIDE || x < 0 || x >= SIDE ? 0 : values[y * SIDE + x];
    const sides =
      near(row - 1, column) + near(row + 1, column) + near(row, column - 1) + near(row, column + 1);
    return 0.4 * value + 0.15 * sides;
  });

/** @param {HTMLElement} host */
export function mount(host) {
  let weights = trained();
  let start = written(4);
  let picture = start.slice();
  let [what, steps, rate] = ["the picture", 0, 0.05];
  /** @type {number | string} */
  let goal = 9;

  const changing = choice("What changes", ["the picture", "the weights"], what, (value) => {
    what = value;
    restore();
  });
  const goals = choice("The goal", [...STROKES.map((_, digit) => digit), MORE], goal, (value) => {
    goal = value;
    update();
  });
  const dial = slider("Step size", { min: 0.01, max: 0.5, log: true, value: rate }, (value) => {
    rate = value;
  });
  const run = player("Run", host, () => {
    const from = steps;
    return () => {
      step();
      update();
      const sure = goal !== MORE && read(weights, picture).shares[Number(goal)] > 0.99;
      return !sure && steps - from < MOST_STEPS;
    };
  });
  const board = pixels("The picture", SIDE, SIDE, { role: "application" });
  const changes = pixels("What has changed", SIDE, SIDE, { kind: "signed" });
  const bars = digitBars("The network’s answer");
  const changed = element("h3", {}, "Changed so far");
  const status = element("p", { class: "status", role: "status" });
  set(board.sheet, { "aria-label": "The picture: draw with the pointer, or with arrow keys and Space" });
  host.replaceChildren(
    element(
      "div",
      { class: "piece loop" },
      element("div", { class: "dials" }, element("span", {}, "Change"), changing, dial),
      element("div", { class: "dials" }, element("span", {}, "until it is"), goals),
      element(
        "div",
        { class: "three" },
        element("div", {}, element("h3", {}, "The picture"), board),
        element("div", {}, changed, changes),
        element("div", {}, element("h3", {}, "Its answer"), bars),
      ),
      status,
      element(
        "div",
        { class: "tools" },
        run,
        button("One step", () => {
          run.pause();
          step();
          update();
        }),
        button("Start again", restore),
        button("Empty paper", () => {
          start = new Float64Array(SIDE * SIDE);
          restore();
        }),
        ...[4, 7].map((digit) =>
          button(`Write a ${digit}`, () => {
            start = written(digit);
            restore();
          }),
        ),
      ),
    ),
  );

  function step() {
    if (what === "the picture") picture = changePicture(weights, picture, goal, rate);
    else weights = changeWeights(weights, picture, goal, 0.2 * rate);
    steps += 1;
  }

  function restore() {
    run.pause();
    weights = trained();
    picture = start.slice();
    steps = 0;
    update();
  }

  function update() {
    const { shares, digit, hidden } = read(weights, picture);
    board.show(picture);
    bars.show(shares);
    if (what === "the picture") {
      changed.textContent = "Changed so far";
      changes.show(picture.map((value, at) => value - start[at]));
    } else {
      const before = trained()[0];
      const change = weights[0].map((value, at) => value - before[at]);
      const sizes = hidden.map((_, unit) =>
        change
          .subarray(unit * SIDE * SIDE, (unit + 1) * SIDE * SIDE)
          .reduce((sum, each) => sum + each * each, 0),
      );
      const most = sizes.indexOf(Math.max(...sizes));
      changed.textContent = "Changed: a unit’s weights";
      const shown = change.subarray(most * SIDE * SIDE, (most + 1) * SIDE * SIDE);
      const largest = Math.max(0.05, ...shown.map(Math.abs));
      changes.show(shown.map((each) => each / largest));
    }
    const energy = hidden.reduce((sum, each) => sum + each * each, 0) / 2;
    const answer =
      goal === MORE ? `activity ${energy.toFixed(0)}` : `${goal} has ${percent(shares[Number(goal)])}`;
    const after = steps === 1 ? "1 step" : `${steps} steps`;
    status.textContent = `${after}: read as ${digit}, ${percent(shares[digit])} sure; ${answer}.`;
  }

  drawOn(board, SIDE, SIDE, (x, y) => {
    addDab(start, SIDE, SIDE, x, y, 0.7);
    picture = start.slice();
    steps = 0;
    update();
  });
  restore();

  return {
    set() {},
    unmount() {
      run.pause();
      for (const each of [board, changes, bars]) each.stop();
      host.replaceChildren();
    },
  };
}

/** A digit as somebody might write it.
    @param {number} digit */
function written(digit) {
  const edge = 8 * SIDE;
  const canvas = element("canvas", { width: edge, height: edge });
  const context = contextOf(canvas);
  context.translate(edge / 2, edge / 2);
  context.scale(1.05, 1.05);
  context.translate(-50, -50);
  [context.lineWidth, context.lineCap, context.lineJoin] = [9, "round", "round"];
  context.stroke(new Path2D(STROKES[digit]));
  const { data } = context.getImageData(0, 0, edge, edge);
  return Float64Array.from({ length: SIDE * SIDE }, (_, at) => {
    let sum = 0;
    for (let y = 0; y < 8; y += 1)
      for (let x = 0; x < 8; x += 1)
        sum += data[4 * ((8 * Math.floor(at / SIDE) + y) * edge + 8 * (at % SIDE) + x) + 3];
    return sum / (255 * 64);
  });
}
