// Colour maps. Activations go from the page's colour (zero) to warm light, or to a cold one below zero.
// Contributions and gradients go from the page's colour to amber (for) and blue (against).

import { contextOf } from "lanterna/canvas.js";

/** @typedef {[number, number, number]} Colour

    @typedef {ReturnType<typeof readTheme>} Theme - the page's colours, and two colour ramps of 32-bit pixels

    @typedef {ReturnType<typeof makeTiles>} Tiles

    @typedef {Float64Array | Float32Array | Uint8Array | Int32Array} Numbers */

const LEVELS = 255; // on either side of zero

/** Read the page's current colours, and compute colour ramps from them.
    @param {Element} element */
export function readTheme(element) {
  const style = getComputedStyle(element);
  /** @param {string} name */
  const colour = (name) => rgb(style.getPropertyValue(name).trim());
  const page = colour("--page");
  const dark = page[0] < 128;
  /** @type {Colour} */
  const dim = dark ? [8, 9, 12] : colour("--raised"); // tiles are slightly darker than the page
  return {
    dark,
    page,
    ink: colour("--ink"),
    quiet: colour("--quiet"),
    accent: colour("--accent"),
    line: colour("--line"),
    warm: colour("--for"),
    cold: colour("--against"),
    // On paper weak ink would hardly be seen: it is deepened.
    light: dark ? ramp(dim, [255, 245, 222], [92, 112, 156]) : ramp(dim, [28, 25, 20], [58, 88, 160], 0.6),
    signed: ramp(dim, colour("--for"), colour("--against")),
  };
}

/** @param {string} text
    @returns {Colour} */
function rgb(text) {
  const hex = text.replace("#", "");
  const level = (/** @type {number} */ start) => parseInt(hex.slice(start, start + 2), 16);
  return [level(0), level(2), level(4)];
}

/** A table of colours, as the 32-bit pixels of a canvas, for values from -1 to 1.
    @param {Colour} zero
    @param {Colour} above
    @param {Colour} below
    @param {number} power */
function ramp(zero, above, below, power = 1) {
  const table = new Uint32Array(2 * LEVELS + 1);
  const bytes = new Uint8Array(table.buffer);
  for (let i = -LEVELS; i <= LEVELS; i++) {
    const share = (Math.abs(i) / LEVELS) ** power;
    const end = i < 0 ? below : above;
    const at = 4 * (i + LEVELS);
    for (let c = 0; c < 3; c++) bytes[at + c] = Math.round(zero[c] + (end[c] - zero[c]) * share);
    bytes[at + 3] = 255;
  }
  return table;
}

/** The maps of a column as pixels in one small image, to be drawn as tiles.
    @param {number} count
    @param {number} height
    @param {number} width */
export function makeTiles(count, height, width) {
  const canvas = new OffscreenCanvas(width, height * count);
  const context = contextOf(canvas);
  const image = context.createImageData(width, height * count);
  const pixels = new Uint32Array(image.data.buffer);
  return {
    canvas,
    height,
    width,
    /** Colour the values of unit `from` as tile `tile`; `max` is the value of the brightest colour.
        @param {number} tile
        @param {Numbers} values
        @param {number} from
        @param {number} max
        @param {Uint32Array} table */
    fill(tile, values, from, max, table) {
      const area = height * width;
      const scale = max > 0 ? LEVELS / max : 0;
      for (let i = 0; i < area; i++) {
        const level = values[from * area + i] * scale;
        const clamped = level > LEVELS ? LEVELS : level < -LEVELS ? -LEVELS : level;
        pixels[tile * area + i] = table[LEVELS + Math.round(clamped)];
      }
    },
    show: () => context.putImageData(image, 0, 0),
  };
}

/** The largest absolute value of `values` from `start` to `end`.
    @param {Numbers} values
    @param {number} start
    @param {number} end */
export function largest(values, start = 0, end = values.length) {
  let max = 0;
  for (let i = start; i < end; i++) {
    const size = values[i] < 0 ? -values[i] : values[i];
    if (size > max) max = size;
  }
  return max;
}

/** Draw one map on its own canvas element, a pixel per value.
    @param {HTMLCanvasElement} canvas
    @param {Numbers} values
    @param {number} height
    @param {number} width
    @param {Uint32Array} table
    @param {number} max */
export function drawMap(canvas, values, height, width, table, max = largest(values)) {
  const tiles = makeTiles(1, height, width);
  tiles.fill(0, values, 0, max, table);
  tiles.show();
  canvas.width = width;
  canvas.height = height;
  contextOf(canvas).drawImage(tiles.canvas, 0, 0);
}
