// Lesson 14, hands on: ten scores, the probabilities that softmax makes of them, the loss, and one step of
// training, which moves each score by its probability too much or too little.

import { softmax } from "lanterna/lessons/digits.js";
import { button, choice, onArrowKeys, onDrag, plane, slider } from "lanterna/lessons/parts.js";
import { arrow, axis, set, svg } from "lanterna/svg.js";
import { element, fixed, percent } from "lanterna/words.js";

/** @import { Sheet } from "lanterna/lessons/parts.js" */

const REACH = 6; // of a score, both ways
const DIGITS = Array.from({ length: 10 }, (_, digit) => digit);

/** Return the probabilities, the loss, and the gradient of each score.
    @param {Float64Array} scores
    @param {number} right */
export function lossOf(scores, right) {
  const shares = softmax(scores);
  return {
    shares,
    loss: -Math.log(shares[right]),
    gradient: shares.map((share, digit) => share - (digit === right ? 1 : 0)),
  };
}

/** @param {HTMLElement} host */
export function mount(host) {
  let right = 3;
  let scores = Float64Array.from([0.4, -1, 1.2, 0.5, -0.8, 2.1, -0.3, 0.2, 2.6, 0.6]);
  let rate = 3;
  let steps = 0;

  const answers = choice("The right answer", DIGITS, right, (value) => {
    right = value;
    update();
  });
  const dial = slider("Learning rate", { min: 0.1, max: 10, log: true, value: rate }, (value) => {
    rate = value;
    update();
  });
  const board = plane("Scores and probabilities", draw, { role: "group" });
  const status = element("p", { class: "status", role: "status" });
  const knobs = DIGITS.map((digit) => {
    const knob = svg("g", { class: "knob", role: "slider", tabindex: 0, "aria-label": `Score of ${digit}` });
    set(knob, { "aria-valuemin": -REACH, "aria-valuemax": REACH });
    const change = (/** @type {number} */ value) => {
      scores[digit] = Math.min(REACH, Math.max(-REACH, Number(value.toFixed(1))));
      steps = 0;
      update();
    };
    onDrag(knob, board.sheet, (_, y) => change(board.sheet.axes.y.back(y)));
    onArrowKeys(knob, (dx, dy) => change(scores[digit] + 0.1 * (dx + dy)));
    return knob;
  });
  const step = () => {
    const { gradient } = lossOf(scores, right);
    scores = scores.map((score, digit) => Math.min(REACH, Math.max(-REACH, score - rate * gradient[digit])));
    steps += 1;
    update();
  };
  host.replaceChildren(
    element(
      "div",
      { class: "piece loss" },
      element("div", { class: "dials" }, element("span", {}, "The right answer"), answers, dial),
      board,
      status,
      element(
        "div",
        { class: "tools" },
        button("One step", step, { class: "primary" }),
        button("All scores 0", () => {
          scores.fill(0);
          steps = 0;
          update();
        }),
        element("span", { class: "hint" }, "Drag a score. Arrows show where the next step moves it."),
      ),
    ),
  );

  function update() {
    const { shares, loss } = lossOf(scores, right);
    const best = shares.indexOf(Math.max(...shares));
    status.textContent =
      `${steps ? `After ${steps === 1 ? "one step" : `${steps} steps`}: ` : ""}` +
      `${percent(shares[right])} for the right answer, ${right}, so the loss is ${fixed(loss, 2)}. ` +
      `${best === right ? "It is read correctly." : `It is read as ${best}.`}`;
    board.redraw();
  }

  /** @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function draw(sheet, width, height) {
    const { shares, gradient } = lossOf(scores, right);
    const each = width / 10;
    const split = 0.62 * height;
    const y = axis(-REACH, REACH, split - 8, 22);
    const bars = axis(0, 1, height - 26, split + 34);
    const zero = y(0);
    const drawn = DIGITS.flatMap((digit) => {
      const x = each * (digit + 0.5);
      const score = y(scores[digit]);
      const move = y(scores[digit] - rate * gradient[digit]) - score;
      knobs[digit].replaceChildren(
        svg("rect", { class: "hit", x: each * digit, width: each, y: 22, height: split - 30 }),
        svg("circle", { class: "ball", cx: x, cy: score, r: Math.min(9, 0.3 * each) }),
      );
      set(knobs[digit], {
        "aria-valuenow": scores[digit].toFixed(1),
        "aria-valuetext": `${fixed(scores[digit], 1)}, probability ${percent(shares[digit])}`,
      });
      return [
        svg("rect", {
          class: "bar",
          "data-best": digit === right,
          x: x - 0.28 * each,
          width: 0.56 * each,
          y: bars(shares[digit]),
          height: Math.max(1, bars(0) - bars(shares[digit])),
        }),
        svg("line", { class: "wire", x1: x, x2: x, y1: zero, y2: score, "stroke-width": 2 }),
        svg("path", {
          class: "next",
          "data-sign": gradient[digit] < 0 ? 1 : -1,
          d: Math.abs(move) > 1.5 ? arrow(x + 0.3 * each, score, 0, move) : "",
        }),
        svg("text", { class: "sign", x, y: height - 6 }, `${digit}`),
        svg(
          "text",
          { class: "share", x, y: bars(shares[digit]) - 5, "text-anchor": "middle" },
          each < 48 && shares[digit] < 0.1 ? "" : percent(shares[digit]),
        ),
      ];
    });
    sheet.replaceChildren(
      svg("line", { class: "rule", x1: 0, x2: width, y1: zero, y2: zero }),
      svg("text", { class: "name", x: 0, y: 12 }, "scores (logits)"),
      svg("text", { class: "name", x: 0, y: split + 12 }, "probabilities (softmax)"),
      ...drawn,
      ...knobs,
    );
    sheet.axes = { x: axis(0, 10, 0, width), y };
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
