// Lesson 18, hands on: paint, see the maps of eight features and their Gram matrix, shuffle the picture, and let
// noise find its way to the same Gram matrix.

import { backward, mapsOf } from "lanterna/lessons/convolve.js";
import { button, choice, makeRandom, onArrowKeys, plane } from "lanterna/lessons/parts.js";
import { drawOn, pixels } from "lanterna/lessons/pixels.js";
import { placeIn, set, svg } from "lanterna/svg.js";
import { contextOf } from "lanterna/canvas.js";
import { element, fixed, percent, precise } from "lanterna/words.js";

/** @import { Layer } from "lanterna/lessons/convolve.js" */
/** @import { Sheet } from "lanterna/lessons/parts.js" */

const SIDE = 40; // pixels
const SQUARES = 4; // along each side of a shuffled picture
const STEPS = 150;
const RATE = 0.05;
const PAINTS = {
  red: [206, 62, 44],
  yellow: [240, 190, 76],
  green: [70, 132, 82],
  blue: [44, 84, 160],
  white: [244, 238, 224],
};
const LINES = {
  "upright lines": [-1, 2, -1, -1, 2, -1, -1, 2, -1],
  "level lines": [-1, -1, -1, 2, 2, 2, -1, -1, -1],
  "lines up": [-1, -1, 2, -1, 2, -1, 2, -1, -1],
  "lines down": [2, -1, -1, -1, 2, -1, -1, -1, 2],
};
const COLOURS = { light: [1, 1, 1], red: [2, -1, -1], green: [-1, 2, -1], blue: [-1, -1, 2] };
export const NAMES = [...Object.keys(COLOURS), ...Object.keys(LINES)];

/** @type {Layer} */
export const LAYER = {
  size: 3,
  channels: 3,
  kernels: [
    ...Object.values(COLOURS).map((each) =>
      each.flatMap((share) => [0, 0, 0, 0, share / (each[1] === 1 ? 3 : 1.5), 0, 0, 0, 0]),
    ),
    ...Object.values(LINES).map((each) => [...each, ...each, ...each].map((weight) => weight / 9)),
  ],
};

/** The Gram matrix of maps, row by row: the mean product of every two.
    @param {Float64Array[]} maps */
export const gramOf = (maps) =>
  maps.flatMap((one) =>
    maps.map((other) => one.reduce((sum, each, at) => sum + each * other[at], 0) / one.length),
  );

/** |a − b|² / (|a|² + |b|²): 0 if they are the same, 1 if they have nothing in common.
    @param {number[]} one
    @param {number[]} other */
export function difference(one, other) {
  const length = (/** @type {number[]} */ values) => values.reduce((sum, each) => sum + each * each, 0);
  return length(one.map((each, at) => each - other[at])) / Math.max(1e-12, length(one) + length(other));
}

/** The squared distance of a picture's Gram matrix from another, and its gradient with respect to the picture.
    @param {Float64Array} picture - its red, then its green, then its blue
    @param {number[]} target
    @param {number} side */
export function distance(picture, target, side) {
  const maps = mapsOf(LAYER, picture, side);
  const off = gramOf(maps).map((each, at) => each - target[at]);
  const count = maps.length;
  const slopes = maps.map((map, i) =>
    map.map(
      (_, at) => (4 / map.length) * maps.reduce((sum, other, j) => sum + off[i * count + j] * other[at], 0),
    ),
  );
  return {
    loss: off.reduce((sum, each) => sum + each * each, 0),
    gradient: backward(LAYER, maps, slopes, side),
  };
}

/** @param {HTMLElement} host */
export function mount(host) {
  let [colour, seed, running] = ["red", 0, 0];
  let picture = drawn("strokes");
  let before = picture; // the last shuffle
  let noise = picture;
  /** @type {[number, number]} */
  let here = [0, 1]; // of the matrix
  let found = { maps: /** @type {Float64Array[]} */ ([]), gram: /** @type {number[]} */ ([]) };

  const paints = choice("Paint", Object.keys(PAINTS), colour, (value) => {
    colour = value;
  });
  const mine = pixels("The picture", SIDE, SIDE, { kind: "colours", role: "application" });
  const texture = pixels("Noise, changed", SIDE, SIDE, { kind: "colours" });
  const boards = NAMES.map((name) => pixels(`Where there is: ${name}`, SIDE, SIDE));
  const matrix = plane("The Gram matrix", draw, { role: "application", className: "matrix" });
  const [pair, status] = [0, 1].map(() => element("p", { class: "status", role: "status" }));
  const run = button("From noise", () => (running ? pause() : begin()), { class: "primary" });
  set(mine.sheet, { "aria-label": "The picture: paint with the pointer, or with arrow keys and Space" });
  const figures = boards.map((board, n) =>
    element("div", {}, board, element("p", { class: "hint" }, `${n + 1} ${NAMES[n]}`)),
  );
  host.replaceChildren(
    element(
      "div",
      { class: "piece gram" },
      element(
        "div",
        { class: "dials" },
        element("span", {}, "Begin with"),
        ...["strokes", "bricks", "dots"].map((name) =>
          button(name, () => {
            picture = drawn(name);
            restore();
          }),
        ),
        element("span", {}, "Paint"),
        paints,
      ),
      element(
        "div",
        { class: "three" },
        element("div", {}, element("h3", {}, "The picture"), mine),
        element("div", {}, element("h3", {}, "Its Gram matrix"), matrix),
        element("div", {}, element("h3", {}, "From noise"), texture),
      ),
      pair,
      element("h3", {}, "Its maps: the brighter, the more of a feature"),
      element("div", { class: "maps" }, ...figures),
      element(
        "div",
        { class: "tools" },
        button("Shuffle the squares", () => {
          before = picture;
          picture = shuffled(picture, makeRandom((seed += 1)));
          update();
          const [old, now] = [before, picture].map((each) => mapsOf(LAYER, each, SIDE));
          status.textContent =
            `Place by place, the maps differ by ${percent(difference(flat(old), flat(now)))}; the Gram ` +
            `matrix differs by ${percent(difference(gramOf(old), gramOf(now)))}.`;
        }),
        run,
        button("New noise", restore),
      ),
      status,
    ),
  );

  function begin() {
    run.textContent = "Pause";
    noise = makeNoise((seed += 1));
    const [mean, square] = [0, 1].map(() => new Float64Array(noise.length));
    const first = distance(noise, found.gram, SIDE).loss;
    let step = 0;
    const tick = () => {
      const { loss, gradient } = distance(noise, found.gram, SIDE);
      step += 1;
      const rate = RATE * (1 - step / (STEPS + 1));
      noise = noise.map((each, at) => {
        mean[at] = 0.9 * mean[at] + 0.1 * gradient[at]; // Adam, as in lesson 6
        square[at] = 0.999 * square[at] + 0.001 * gradient[at] ** 2;
        const size = Math.sqrt(square[at] / (1 - 0.999 ** step)) + 1e-12;
        return Math.min(1, Math.max(0, each - (rate * mean[at]) / (1 - 0.9 ** step) / size));
      });
      texture.show(interleaved(noise));
      status.textContent =
        `Step ${step}: the noise’s Gram matrix is ${precise(Math.max(1, Math.sqrt(first / loss)), 2)} ` +
        "times closer to the picture’s than at first.";
      if (step >= STEPS || !host.isConnected) pause();
      else running = requestAnimationFrame(tick);
    };
    running = requestAnimationFrame(tick);
  }

  function pause() {
    cancelAnimationFrame(running);
    running = 0;
    run.textContent = "From noise";
  }

  function restore() {
    pause();
    noise = makeNoise((seed += 1));
    texture.show(interleaved(noise));
    status.textContent = "Shuffle the picture, or let noise change until it has the same Gram matrix.";
    update();
  }

  function update() {
    const maps = mapsOf(LAYER, picture, SIDE);
    found = { maps, gram: gramOf(maps) };
    mine.show(interleaved(picture));
    boards.forEach((board, n) => board.show(maps[n].map((each) => Math.sqrt(each))));
    matrix.redraw();
    show();
  }

  /** @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function draw(sheet, width, height) {
    const count = NAMES.length;
    const cell = Math.min(width, height) / (count + 0.8);
    const most = Math.sqrt(Math.max(1e-12, ...found.gram));
    const at = (/** @type {number} */ n) => (n + 0.8) * cell;
    const label = (/** @type {number} */ n, /** @type {number} */ x, /** @type {number} */ y) =>
      svg(
        "text",
        { class: "name", x, y, "text-anchor": "middle", "dominant-baseline": "central" },
        `${n + 1}`,
      );
    sheet.replaceChildren(
      ...NAMES.flatMap((_, n) => [
        label(n, at(n) + cell / 2, 0.4 * cell),
        label(n, 0.4 * cell, at(n) + cell / 2),
      ]),
      ...found.gram.map((each, n) =>
        svg("rect", {
          class: "entry",
          x: at(n % count) + 1,
          y: at(Math.floor(n / count)) + 1,
          width: cell - 2,
          height: cell - 2,
          "fill-opacity": Math.sqrt(Math.max(0, each)) / most,
        }),
      ),
      svg("rect", { class: "window", x: at(here[1]), y: at(here[0]), width: cell, height: cell }),
    );
  }

  function show() {
    const [row, column] = here;
    const share = found.gram[row * NAMES.length + column];
    pair.textContent =
      row === column
        ? `${row + 1} and itself: how much of ${NAMES[row]} there is, ${fixed(share, 3)}.`
        : `${row + 1} and ${column + 1}: ${NAMES[row]} and ${NAMES[column]} in the same places, ` +
          `${fixed(share, 3)}.`;
    figures.forEach((each, n) => set(each, { "data-chosen": n === row || n === column }));
    set(matrix.sheet, { "aria-label": `The Gram matrix. ${pair.textContent}` });
  }

  /** @param {number} row
      @param {number} column */
  function point(row, column) {
    here = /** @type {[number, number]} */ (
      [row, column].map((each) => Math.min(NAMES.length - 1, Math.max(0, Math.floor(each))))
    );
    matrix.redraw();
    show();
  }
  set(matrix.sheet, { tabindex: 0 });
  matrix.sheet.addEventListener("pointermove", (event) => {
    const cell = Math.min(matrix.clientWidth, matrix.clientHeight) / (NAMES.length + 0.8);
    const [x, y] = placeIn(event, matrix.sheet).map((each) => each / cell - 0.8);
    point(y, x);
  });
  onArrowKeys(matrix.sheet, (dx, dy) => point(here[0] - dy, here[1] + dx));
  drawOn(mine, SIDE, SIDE, (x, y) => {
    picture = picture.slice();
    for (let at = 0; at < SIDE * SIDE; at += 1)
      if (Math.hypot((at % SIDE) + 0.5 - x, Math.floor(at / SIDE) + 0.5 - y) < 1.5)
        PAINTS[/** @type {keyof PAINTS} */ (colour)].forEach((each, n) => {
          picture[n * SIDE * SIDE + at] = each / 255;
        });
    update();
  });
  restore();

  return {
    set() {},
    unmount() {
      pause();
      for (const each of [mine, texture, matrix, ...boards]) each.stop();
      host.replaceChildren();
    },
  };
}

const flat = (/** @type {Float64Array[]} */ maps) => maps.flatMap((each) => [...each]);

/** Red, green and blue of one pixel after another.
    @param {Float64Array} picture */
const interleaved = (picture) => picture.map((_, at) => picture[(at % 3) * SIDE * SIDE + Math.floor(at / 3)]);

/** Cut a picture into squares and put them together in another order.
    @param {Float64Array} picture
    @param {() => number} random */
function shuffled(picture, random) {
  const order = Array.from({ length: SQUARES ** 2 }, (_, n) => n)
    .map((n) => ({ n, key: random() }))
    .sort((one, other) => one.key - other.key)
    .map(({ n }) => n);
  const size = SIDE / SQUARES;
  return picture.map((_, at) => {
    const [channel, row, column] = [Math.floor(at / SIDE ** 2), Math.floor(at / SIDE) % SIDE, at % SIDE];
    const from = order[Math.floor(row / size) * SQUARES + Math.floor(column / size)];
    const y = Math.floor(from / SQUARES) * size + (row % size);
    return picture[channel * SIDE ** 2 + y * SIDE + (from % SQUARES) * size + (column % size)];
  });
}

/** @param {number} seed */
function makeNoise(seed) {
  const random = makeRandom(seed);
  return Float64Array.from({ length: 3 * SIDE ** 2 }, () => 0.3 + 0.4 * random());
}

/** Something painted, its red, then its green, then its blue.
    @param {string} name */
function drawn(name) {
  const canvas = element("canvas", { width: SIDE, height: SIDE });
  const context = contextOf(canvas);
  const random = makeRandom(7);
  const paints = Object.values(PAINTS).map((each) => `rgb(${each.join(" ")})`);
  const any = () => paints[Math.floor(paints.length * random())];
  context.fillStyle = name === "bricks" ? paints[4] : paints[3];
  context.fillRect(0, 0, SIDE, SIDE);
  context.lineCap = "round";
  context.lineWidth = 2;
  for (let n = 0; n < 90; n += 1) {
    const [x, y] = [SIDE * random(), SIDE * random()];
    context.strokeStyle = context.fillStyle = any();
    if (name === "strokes") {
      context.beginPath();
      context.moveTo(x - 4, y + 4);
      context.lineTo(x + 4, y - 4);
      context.stroke();
    } else if (name === "dots") {
      context.beginPath();
      context.arc(x, y, 1.8, 0, 7);
      context.fill();
    }
  }
  if (name === "bricks")
    for (let row = 0; row < SIDE / 5; row += 1)
      for (let column = -1; column < SIDE / 10; column += 1) {
        context.fillStyle = random() < 0.8 ? paints[0] : paints[1];
        context.fillRect(10 * column + 5 * (row % 2), 5 * row, 9, 4);
      }
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  return Float64Array.from({ length: 3 * SIDE ** 2 }, (_, at) => {
    const [channel, place] = [Math.floor(at / SIDE ** 2), at % SIDE ** 2];
    return data[4 * place + channel] / 255;
  });
}
