// Lesson 17, hands on: a layer looks at clouds, and its gradient changes them until it responds more.

import { backward, mapsOf } from "lanterna/lessons/convolve.js";
import { button, choice, makeRandom, player, slider } from "lanterna/lessons/parts.js";
import { addDab, drawOn, pixels } from "lanterna/lessons/pixels.js";
import { set } from "lanterna/svg.js";
import { element, precise } from "lanterna/words.js";

/** @import { Layer } from "lanterna/lessons/convolve.js" */

const SIDES = [43, 64, 96]; // pixels of the octaves: each 1.5 times as large as the one before
const SIDE = 96;
const STEPS = 48; // of all octaves together
const [WAVES, FINEST] = [150, 8]; // of the clouds
const WINDOW = 9; // pixels of a kernel's side
const [NIGHT, CLOUD] = [
  [24, 42, 84],
  [250, 238, 214],
];

/** Kernels from a function of the place, from the middle; each adds up to 0, and its squares to 1.
    @param {((x: number, y: number) => number)[]} shapes
    @returns {Layer} */
function layerOf(shapes) {
  const middle = (WINDOW - 1) / 2;
  const kernels = shapes.map((shape) => {
    const values = Float64Array.from({ length: WINDOW ** 2 }, (_, at) => {
      const [x, y] = [(at % WINDOW) - middle, Math.floor(at / WINDOW) - middle];
      return shape(x, y) * Math.exp(-(x * x + y * y) / 12);
    });
    const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
    const length = Math.hypot(...values.map((each) => each - mean));
    return values.map((each) => (each - mean) / length);
  });
  return { size: WINDOW, channels: 1, kernels };
}
const turned = (/** @type {number[]} */ angles, /** @type {(across: number) => number} */ wave) =>
  layerOf(angles.map((angle) => (x, y) => wave(x * Math.cos(angle) + y * Math.sin(angle))));
/** @type {Record<string, Layer>} */
export const LAYERS = {
  eyes: layerOf([(x, y) => -Math.cos(1.5 * Math.hypot(x, y))]),
  stripes: turned(
    [0, 1, 2, 3].map((n) => (n * Math.PI) / 4),
    (across) => Math.cos(1.5 * across),
  ),
  edges: turned(
    [0, 1, 2, 3].map((n) => (n * Math.PI) / 2),
    (across) => Math.sin(0.5 * across),
  ),
};

/** How strongly a layer responds to a picture, half the mean square of its maps; with the gradient.
    @param {Layer} layer
    @param {ArrayLike<number>} picture
    @param {number} side */
export function respond(layer, picture, side) {
  const maps = mapsOf(layer, picture, side);
  const count = maps.length * side * side;
  const energy =
    maps.reduce((sum, map) => map.reduce((all, each) => all + each * each, sum), 0) / (2 * count);
  const slopes = maps.map((map) => map.map((each) => each / count));
  return { maps, energy, gradient: backward(layer, maps, slopes, side) };
}

/** Resize a square picture: each new pixel is a mean of those below it, weighted by their distance.
    @param {ArrayLike<number>} picture
    @param {number} from
    @param {number} to */
export function resized(picture, from, to) {
  if (from === to) return Float64Array.from(picture);
  const scale = from / to;
  const reach = Math.max(1, scale);
  const weights = Array.from({ length: to }, (_, at) => {
    const middle = (at + 0.5) * scale;
    const row = Array.from({ length: from }, (_each, n) =>
      Math.max(0, 1 - Math.abs(n + 0.5 - middle) / reach),
    );
    const sum = row.reduce((total, each) => total + each, 0);
    return row.map((each) => each / sum);
  });
  const dot = (/** @type {number[]} */ row, /** @type {(n: number) => number} */ value) =>
    row.reduce((sum, weight, n) => (weight ? sum + weight * value(n) : sum), 0);
  const rows = weights.map((row) =>
    Array.from({ length: from }, (_, column) => dot(row, (n) => picture[n * from + column])),
  );
  return Float64Array.from({ length: to * to }, (_, at) =>
    dot(weights[at % to], (n) => rows[Math.floor(at / to)][n]),
  );
}

/** @param {HTMLElement} host */
export function mount(host) {
  let [kind, octaves, rate, seed] = ["eyes", 3, 0.012, 3];
  let start = clouds(seed);
  let [level, steps] = [0, 0];
  let [small, picture] = [start, start]; // at the octave's size: without what was dreamed, and with it

  const sides = () => SIDES.slice(-octaves);
  const kinds = choice("The layer responds to", Object.keys(LAYERS), kind, (value) => {
    kind = value;
    restore();
  });
  const sizes = choice("Octaves", [1, 2, 3], octaves, (value) => {
    octaves = value;
    restore();
  });
  const dial = slider("Step size", { min: 0.005, max: 0.1, log: true, value: rate }, (value) => {
    rate = value;
  });
  const run = player("Run", host, () => {
    if (steps >= STEPS) restore();
    return () => {
      step();
      update();
      return steps < STEPS;
    };
  });
  const sky = pixels("The clouds", SIDE, SIDE, { kind: "colours", role: "application" });
  const change = pixels("The gradient", SIDE, SIDE, { kind: "signed" });
  const found = pixels("Where the layer responds", SIDE, SIDE);
  const copies = SIDES.map((side) => pixels(`The octave of ${side} pixels`, side, side, { kind: "colours" }));
  const places = copies.map((copy, n) =>
    element("div", {}, copy, element("p", { class: "hint" }, `${SIDES[n]} pixels`)),
  );
  const status = element("p", { class: "status", role: "status" });
  set(sky.sheet, { "aria-label": "The clouds: paint with the pointer, or with arrow keys and Space" });
  host.replaceChildren(
    element(
      "div",
      { class: "piece clouds" },
      element("div", { class: "dials" }, element("span", {}, "The layer responds to"), kinds),
      element("div", { class: "dials" }, element("span", {}, "Octaves"), sizes, dial),
      element(
        "div",
        { class: "three" },
        element("div", {}, element("h3", {}, "The clouds"), sky),
        element("div", {}, element("h3", {}, "The gradient"), change),
        element("div", {}, element("h3", {}, "The response"), found),
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
        button("Other clouds", () => {
          start = clouds((seed += 1));
          restore();
        }),
        element("span", { class: "hint" }, "Paint on the left to add a cloud."),
      ),
      element("h3", {}, "The octaves, each dreamed on what the one before has added"),
      element("div", { class: "octaves" }, ...places),
    ),
  );

  /** Begin the octave `level` with what was dreamed before, enlarged. */
  function open(/** @type {number} */ next) {
    const [before, side] = [sides()[level], sides()[next]];
    const added = next ? picture.map((each, at) => each - small[at]) : null;
    level = next;
    small = resized(start, SIDE, side);
    const more = added && resized(added, before, side);
    picture = small.map((each, at) => Math.min(1, Math.max(0, each + (more?.[at] ?? 0))));
  }

  function step() {
    if (steps && steps % Math.floor(STEPS / octaves) === 0 && level < octaves - 1) open(level + 1);
    const { gradient } = respond(LAYERS[kind], picture, sides()[level]);
    const mean = gradient.reduce((sum, each) => sum + Math.abs(each), 0) / gradient.length || 1;
    picture = picture.map((each, at) => Math.min(1, Math.max(0, each + (rate * gradient[at]) / mean)));
    steps += 1;
  }

  function restore() {
    run.pause();
    [level, steps] = [0, 0];
    open(0);
    copies.forEach((copy, n) => {
      places[n].style.flexGrow = String(SIDES[n]);
      places[n].style.visibility = n < SIDES.length - octaves ? "hidden" : "visible";
      copy.show(colours(resized(start, SIDE, SIDES[n])));
    });
    update();
  }

  function update() {
    const side = sides()[level];
    const { maps, gradient } = respond(LAYERS[kind], picture, side);
    const whole = resized(picture, side, SIDE);
    const times =
      respond(LAYERS[kind], whole, SIDE).energy /
      respond(LAYERS[kind], resized(small, side, SIDE), SIDE).energy;
    const largest = Math.max(1e-12, ...gradient.map(Math.abs));
    const strongest = maps[0].map((_, at) => Math.max(...maps.map((map) => map[at])));
    sky.show(colours(whole));
    change.show(resized(gradient, side, SIDE).map((each) => (1.5 * each) / largest));
    found.show(resized(strongest, side, SIDE).map((each) => each / 1.2));
    copies[SIDES.indexOf(side)].show(colours(picture));
    const after = steps === 1 ? "1 step" : `${steps} steps`;
    status.textContent = steps
      ? `${after}, at ${side} pixels: the layer responds ${precise(times, 2)} times as strongly as to the ` +
        "clouds alone."
      : `${after}, at ${side} pixels.`;
  }

  drawOn(sky, SIDE, SIDE, (x, y) => {
    addDab(start, SIDE, SIDE, x, y, 6);
    restore();
  });
  restore();

  return {
    set() {},
    unmount() {
      run.pause();
      for (const each of [sky, change, found, ...copies]) each.stop();
      host.replaceChildren();
    },
  };
}

/** Three numbers for each pixel, from the night sky to a cloud.
    @param {ArrayLike<number>} values */
const colours = (values) =>
  Float64Array.from(
    { length: 3 * values.length },
    (_, at) => (NIGHT[at % 3] + (CLOUD[at % 3] - NIGHT[at % 3]) * values[Math.floor(at / 3)]) / 255,
  );

/** Clouds: waves in all directions, the long ones strongest, which go on where the picture is wrapped around.
    @param {number} seed */
function clouds(seed) {
  const random = makeRandom(seed);
  const turn = (2 * Math.PI) / SIDE;
  const waves = Array.from({ length: WAVES }, () => {
    const [across, down] = [0, 1].map(() => Math.round(FINEST * (2 * random() - 1)));
    return { across, down, phase: 2 * Math.PI * random(), share: 1 / (1 + Math.hypot(across, down)) ** 1.5 };
  });
  const length = Math.hypot(...waves.map(({ share }) => share));
  return Float64Array.from({ length: SIDE * SIDE }, (_, at) => {
    const [x, y] = [turn * (at % SIDE), turn * Math.floor(at / SIDE)];
    const sum = waves.reduce(
      (all, { across, down, phase, share }) => all + share * Math.cos(across * x + down * y + phase),
      0,
    );
    return Math.min(0.9, Math.max(0.1, 0.45 + (0.3 * sum) / length));
  });
}
