// Lesson 18, hands on: paint, see the maps of the features and their Gram matrix, shuffle the picture, and
// let noise find its way to the same Gram matrix.

import { backward, mapsOf } from "lanterna/lessons/convolve.js";
import { button, choice, makeRandom, onArrowKeys, plane, player } from "lanterna/lessons/parts.js";
import { drawOn, pixels } from "lanterna/lessons/pixels.js";
import { placeIn, set, svg } from "lanterna/svg.js";
import { contextOf } from "lanterna/canvas.js";
import { element, fixed, percent, precise } from "lanterna/words.js";

/** @import { Layer } from "lanterna/lessons/convolve.js" */
/** @import { Sheet } from "lanterna/lessons/parts.js" */

const SIDE = 40; // pixels
const SIZE = 5; // of a kernel
const MARGIN = 24; // pixels around the matrix
const SQUARES = 4; // along each side of a shuffled picture
const STEPS = 150;
const RATE = 0.1;
const LEAST = 1e-4; // of an entry on the diagonal
const PAINTS = {
  red: [206, 62, 44],
  yellow: [240, 190, 76],
  green: [70, 132, 82],
  blue: [44, 84, 160],
  white: [244, 238, 224],
};
const COLOURS = ["red", "green", "blue"];
const LINES = { upright: 0, level: 90, rising: 45, falling: 135 }; // degrees across
const KINDS = ["spots", ...Object.keys(LINES)];
export const NAMES = COLOURS.flatMap((colour) => [
  `${colour} spots`,
  ...Object.keys(LINES).map((line) => `${line} ${colour} lines`),
]);

/** A kernel of `SIZE` × `SIZE` numbers from a function of the place, from the middle.
    @param {(x: number, y: number) => number} shape */
const kernel = (shape) =>
  Array.from({ length: SIZE ** 2 }, (_, at) =>
    shape((at % SIZE) - (SIZE - 1) / 2, Math.floor(at / SIZE) - (SIZE - 1) / 2),
  );

/** For each colour: how much of it is near a place, and lines of it through the place.
    @returns {Layer} */
function features() {
  const spot = kernel((x, y) => Math.exp(-(x * x + y * y) / 2));
  const sum = spot.reduce((all, each) => all + each, 0);
  const lines = Object.values(LINES).map((degrees) => {
    const [cos, sin] = [Math.cos, Math.sin].map((of) => of((degrees * Math.PI) / 180));
    const line = kernel((x, y) => {
      const [across, along] = [x * cos + y * sin, y * cos - x * sin];
      return (1 - 1.44 * across ** 2) * Math.exp(-0.72 * across ** 2 - 0.15 * along ** 2);
    });
    const mean = line.reduce((all, each) => all + each, 0) / line.length;
    const size = line.reduce((all, each) => all + Math.abs(each - mean), 0);
    return line.map((each) => (4 * (each - mean)) / size);
  });
  const none = kernel(() => 0);
  const kernels = COLOURS.flatMap((_, colour) =>
    [spot.map((each) => each / sum), ...lines].map((each) =>
      COLOURS.flatMap((_other, channel) => (channel === colour ? each : none)),
    ),
  );
  return { size: SIZE, channels: 3, kernels };
}
export const LAYER = features();

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

/** The squared distance of Gram matrices, each entry relative to those of its two maps on the diagonal,
    and its gradient with respect to the picture.
    @param {Float64Array} picture - its red, then its green, then its blue
    @param {number[]} target
    @param {number} side */
export function distance(picture, target, side) {
  const maps = mapsOf(LAYER, picture, side);
  const count = maps.length;
  const own = maps.map((_, n) => Math.max(LEAST, target[n * (count + 1)]));
  const off = gramOf(maps).map((each, at) => each - target[at]);
  const weighted = off.map((each, at) => each / (own[at % count] * own[Math.floor(at / count)]));
  const slopes = maps.map((map, i) =>
    map.map(
      (_, at) =>
        (4 / map.length) * maps.reduce((sum, other, j) => sum + weighted[i * count + j] * other[at], 0),
    ),
  );
  return {
    loss: off.reduce((sum, each, at) => sum + each * weighted[at], 0),
    gradient: backward(LAYER, maps, slopes, side),
  };
}

/** Blur each colour a little: a picture made of blurred numbers has no noise from pixel to pixel.
    @param {Float64Array} picture */
const blurred = (picture) => {
  const sides = [-SIDE, SIDE, -1, 1];
  const plane_ = SIDE * SIDE;
  return picture.map((each, at) => {
    const start = at - (at % plane_);
    const near = sides.reduce(
      (sum, step) => sum + picture[start + ((at - start + step + plane_) % plane_)],
      0,
    );
    return 0.5 * each + 0.125 * near;
  });
};

/** @param {HTMLElement} host */
export function mount(host) {
  let [colour, seed] = ["red", 0];
  let picture = drawn("strokes");
  let before = picture; // the last shuffle
  let noise = picture;
  /** @type {[number, number]} */
  let here = [0, 3]; // of the matrix
  let found = { maps: /** @type {Float64Array[]} */ ([]), gram: /** @type {number[]} */ ([]) };

  const paints = choice("Paint", Object.keys(PAINTS), colour, (value) => {
    colour = value;
  });
  const starts = choice("Begin with", ["strokes", "dots", "rain"], "strokes", (name) => {
    picture = drawn(name);
    restore();
  });
  const mine = pixels("The picture", SIDE, SIDE, { kind: "colours", role: "application" });
  const texture = pixels("Noise, changed", SIDE, SIDE, { kind: "colours" });
  const boards = NAMES.map((name) => pixels(`Where there is: ${name}`, SIDE, SIDE));
  const matrix = plane("The Gram matrix", draw, { role: "application", className: "matrix" });
  const [pair, status] = [0, 1].map(() => element("p", { class: "status", role: "status" }));
  const run = player("From noise", host, begin);
  set(mine.sheet, { "aria-label": "The picture: paint with the pointer, or with arrow keys and Space" });
  const rows = COLOURS.map((colour, n) => {
    const own = boards.slice(n * KINDS.length, (n + 1) * KINDS.length);
    return [element("p", { class: "hint" }, colour), ...own];
  });
  host.replaceChildren(
    element(
      "div",
      { class: "piece gram" },
      element(
        "div",
        { class: "dials" },
        element("span", {}, "Begin with"),
        starts,
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
      element("h3", {}, "Its maps: where each feature is found"),
      element(
        "div",
        { class: "maps" },
        element("p", {}),
        ...KINDS.map((each) => element("p", { class: "hint" }, each)),
        ...rows.flat(),
      ),
    ),
  );

  function begin() {
    noise = makeNoise((seed += 1));
    const [mean, square] = [0, 1].map(() => new Float64Array(noise.length));
    const first = distance(blurred(noise), found.gram, SIDE).loss;
    let step = 0;
    return () => {
      const { loss, gradient: sharp } = distance(blurred(noise), found.gram, SIDE);
      const gradient = blurred(sharp);
      step += 1;
      const rate = RATE * (1 - step / (STEPS + 1));
      noise = noise.map((each, at) => {
        mean[at] = 0.9 * mean[at] + 0.1 * gradient[at]; // Adam, as in lesson 6
        square[at] = 0.999 * square[at] + 0.001 * gradient[at] ** 2;
        const size = Math.sqrt(square[at] / (1 - 0.999 ** step)) + 1e-12;
        return Math.min(1.5, Math.max(-0.5, each - (rate * mean[at]) / (1 - 0.9 ** step) / size));
      });
      texture.show(interleaved(blurred(noise)));
      status.textContent =
        `Step ${step}: the noise’s Gram matrix is ${precise(Math.max(1, Math.sqrt(first / loss)), 2)} ` +
        "times closer to the picture’s than at first.";
      return step < STEPS;
    };
  }

  function restore() {
    run.pause();
    noise = makeNoise((seed += 1));
    texture.show(interleaved(blurred(noise)));
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
    const cell = (Math.min(width, height) - MARGIN) / count;
    const most = Math.sqrt(Math.max(1e-12, ...found.gram));
    const at = (/** @type {number} */ n) => MARGIN + n * cell;
    const label = (/** @type {string} */ name, /** @type {Record<string, string | number>} */ place) =>
      svg("text", { class: "name", "text-anchor": "middle", ...place }, name);
    sheet.replaceChildren(
      ...COLOURS.flatMap((colour, n) => {
        const middle = at((n + 0.5) * KINDS.length);
        return [
          label(colour, { x: middle, y: MARGIN - 8 }),
          label(colour, { transform: `translate(${MARGIN - 8} ${middle}) rotate(-90)` }),
        ];
      }),
      ...found.gram.map((each, n) =>
        svg("rect", {
          class: "entry",
          x: at(n % count),
          y: at(Math.floor(n / count)),
          width: cell,
          height: cell,
          "fill-opacity": Math.sqrt(each) / most,
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
        ? `How many ${NAMES[row]} there are: ${fixed(share, 3)}.`
        : `${NAMES[row]} and ${NAMES[column]} in the same places: ${fixed(share, 3)}.`;
    pair.textContent = pair.textContent[0].toUpperCase() + pair.textContent.slice(1);
    boards.forEach((each, n) => set(each, { "data-chosen": n === row || n === column }));
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
    const cell = (Math.min(matrix.clientWidth, matrix.clientHeight) - MARGIN) / NAMES.length;
    const [x, y] = placeIn(event, matrix.sheet).map((each) => (each - MARGIN) / cell);
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
      run.pause();
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
  context.fillStyle = paints[3];
  context.fillRect(0, 0, SIDE, SIDE);
  [context.lineCap, context.lineWidth] = ["round", 2];
  for (let n = 0; n < 90; n += 1) {
    const [x, y] = [SIDE * random(), SIDE * random()];
    context.strokeStyle = context.fillStyle = paints[Math.floor(paints.length * random())];
    context.beginPath();
    if (name === "dots") context.arc(x, y, 1.8, 0, 7);
    else context.moveTo(x, y);
    if (name === "dots") context.fill();
    else context.lineTo(x + (name === "rain" ? 0 : 7), y - 7);
    context.stroke();
  }
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  return Float64Array.from({ length: 3 * SIDE ** 2 }, (_, at) => {
    const [channel, place] = [Math.floor(at / SIDE ** 2), at % SIDE ** 2];
    return data[4 * place + channel] / 255;
  });
}
