// Lesson 10, hands on: move, resize and turn a digit. A tiny network reads it as it is, and normalised.

import { contextOf } from "lanterna/canvas.js";
import { halved, read, STROKES, trained } from "lanterna/lessons/digits.js";
import { choice, onArrowKeys, onDrag, slider } from "lanterna/lessons/parts.js";
import { digitBars, pixels } from "lanterna/lessons/pixels.js";
import { normalised } from "lanterna/pad.js";
import { set } from "lanterna/svg.js";
import { element, percent } from "lanterna/words.js";

const [SIDE, EDGE] = [28, 224]; // pixels of a digit, and of the canvas that it is drawn on
const REACH = 9; // pixels to each side
const SCALE = 1.85; // of a stroke's box: the digit is then 20 pixels tall, as MNIST's are

/** @param {HTMLElement} host */
export function mount(host) {
  const network = trained();
  const canvas = element("canvas", { width: EDGE, height: EDGE });
  const context = contextOf(canvas, { willReadFrequently: true });
  /** @type {number[][]} */
  let middles = [];
  let digit = 7;
  let [right, down, size, angle] = [0, 0, 1, 0];

  const digits = choice(
    "Digit",
    STROKES.map((_, each) => each),
    digit,
    (value) => {
      digit = value;
      update();
    },
  );
  const dials = {
    right: slider("To the side", { min: -REACH, max: REACH, step: 0.5, value: 0 }, (value) => {
      right = value;
      update();
    }),
    down: slider("Down", { min: -REACH, max: REACH, step: 0.5, value: 0 }, (value) => {
      down = value;
      update();
    }),
    size: slider("Size", { min: 0.4, max: 1.4, step: 0.05, value: 1 }, (value) => {
      size = value;
      update();
    }),
    angle: slider(
      "Turned by",
      { min: -90, max: 90, step: 5, value: 0, format: (value) => `${value}°` },
      (value) => {
        angle = value;
        update();
      },
    ),
  };
  const sides = ["As it is", "Normalised first"].map((name, place) => {
    const board = pixels(name, SIDE, SIDE, { role: place ? "img" : "application" });
    return { name, board, bars: digitBars(name), said: element("p", { class: "status", role: "status" }) };
  });
  const moved = sides[0].board;
  host.replaceChildren(
    element(
      "div",
      { class: "piece booth" },
      element("div", { class: "dials" }, digits),
      element(
        "div",
        { class: "two" },
        ...sides.map(({ name, board, bars, said }) =>
          element("div", {}, element("h3", {}, name), board, said, bars),
        ),
      ),
      element("div", { class: "dials" }, ...Object.values(dials)),
    ),
  );
  set(moved.sheet, { tabindex: 0, "aria-label": "The digit: drag it, or move it with the arrow keys" });

  /** Draw the digit on the canvas and return its ink, RGBA. `middle` is its centre of mass. */
  function drawn(middle = middles[digit]) {
    context.resetTransform();
    context.clearRect(0, 0, EDGE, EDGE);
    const scale = SCALE * size;
    context.translate(EDGE / 2 + 8 * right, EDGE / 2 + 8 * down);
    context.rotate((angle * Math.PI) / 180);
    context.scale(scale, scale);
    context.translate(-middle[0], -middle[1]);
    [context.lineWidth, context.lineCap, context.lineJoin] = [9, "round", "round"];
    context.stroke(new Path2D(STROKES[digit]));
    return context.getImageData(0, 0, EDGE, EDGE).data;
  }

  /** The centre of mass of the ink, in a stroke's box.
      @param {Uint8ClampedArray} rgba */
  function middleOf(rgba) {
    let [mass, x, y] = [0, 0, 0];
    for (let at = 0; at < EDGE * EDGE; at += 1) {
      const ink = rgba[4 * at + 3];
      mass += ink;
      x += ink * (at % EDGE);
      y += ink * Math.floor(at / EDGE);
    }
    return [x, y].map((sum) => 50 + (sum / mass - EDGE / 2) / SCALE);
  }

  /** Means of 8 × 8 pixels of the ink.
      @param {Uint8ClampedArray} rgba */
  const shrunk = (rgba) =>
    Float64Array.from({ length: SIDE * SIDE }, (_, at) => {
      let sum = 0;
      for (let y = 0; y < 8; y += 1)
        for (let x = 0; x < 8; x += 1)
          sum += rgba[4 * ((8 * Math.floor(at / SIDE) + y) * EDGE + 8 * (at % SIDE) + x) + 3];
      return sum / (255 * 64);
    });

  function update() {
    const ink = drawn();
    const pictures = [shrunk(ink), normalised(ink) ?? new Float64Array(SIDE * SIDE)];
    sides.forEach(({ board, bars, said }, place) => {
      const reading = read(network, halved(pictures[place]));
      board.show(pictures[place]);
      bars.show(reading.shares);
      said.textContent =
        `Read as ${reading.digit}, ${percent(reading.shares[reading.digit])} sure` +
        `${reading.digit === digit ? "." : `: it is a ${digit}.`}`;
    });
  }

  /** @param {number} x
      @param {number} y */
  function move(x, y) {
    [right, down] = [x, y].map((each) => Math.min(REACH, Math.max(-REACH, Math.round(2 * each) / 2)));
    dials.right.setValue(right);
    dials.down.setValue(down);
    update();
  }
  /** @type {[number, number, number, number]} */
  let from = [0, 0, 0, 0];
  onDrag(moved.sheet, moved.sheet, (px, py, event) => {
    if (event.type === "pointerdown") from = [px, py, right, down];
    const pixel = moved.clientWidth / SIDE;
    move(from[2] + (px - from[0]) / pixel, from[3] + (py - from[1]) / pixel);
  });
  onArrowKeys(moved.sheet, (dx, dy) => move(right + dx, down - dy));
  middles = STROKES.map((_, each) => {
    digit = each;
    return middleOf(drawn([50, 50]));
  });
  digit = 7;
  update();

  return {
    set() {},
    unmount() {
      for (const { board, bars } of sides) for (const each of [board, bars]) each.stop();
      host.replaceChildren();
    },
  };
}
