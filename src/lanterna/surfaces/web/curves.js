// The strongest links, as curves from unit to unit (drawn by `lines.js`).

import { anchor } from "lanterna/layout.js";
import { FLOATS } from "lanterna/lines.js";

/** @import { Focus, Links, Model } from "lanterna/flow.js" */
/** @import { Layout } from "lanterna/layout.js" */

/** @typedef {ReturnType<typeof makeCurves>} Curves */

/** The minimum number of links between two columns. */
export const MIN_LINKS = 12;
const MAX_FOCUS_LINKS = 24; // links in and out of the focused unit
const MAX_SORTED = 6000; // up to this number, curves are sorted so that the strongest are on top

/** A buffer of curves that is refilled for each frame and grows as needed. */
export function makeCurves() {
  const curves = {
    buffer: new Float32Array(4096 * FLOATS),
    count: 0,
    drawn: 0,
    links: 0,
    strongest: /** @type {number[]} */ ([]),
    fill,
  };
  const scratch = {
    values: new Float64Array(4096),
    from: [0, 0],
    to: [0, 0],
    slots: /** @type {Int32Array[]} */ ([]),
  };

  /** Fill with the strongest `share` of the links between each two columns. `focus` is `{ column, unit }` or
      null: its own links are drawn bright and all others dim. `overAll`: one scale of width for all columns.
      @param {Model} model
      @param {Layout} layout
      @param {{ share: number, focus: Focus | null, overAll: boolean }} options */
  function fill(model, layout, { share, focus, overAll }) {
    curves.count = curves.drawn = curves.links = 0;
    const { columns } = model;
    columns.forEach((column, k) => {
      scratch.slots[k] = slots(layout.places[k].shown, column.count, scratch.slots[k]);
    });
    const gaps = columns.slice(1).map((_, gap) => strongestLinks(model.links(gap + 1), share, scratch));
    const max = Math.max(...gaps.map((gap) => gap.max));
    curves.strongest = gaps.map((gap) => gap.max);
    gaps.forEach((gap, i) => {
      const scale = overAll ? max : gap.max;
      const isOne = focus && (focus.column === i + 1 || focus.column === i);
      curves.links += gap.links;
      curves.drawn += gap.chosen.length;
      add(model, layout, i + 1, gap.chosen, scale, focus ? 0.16 : 1);
      if (isOne) add(model, layout, i + 1, linksOf(model.links(i + 1), focus, i + 1), null, 1);
    });
  }

  /** @param {Model} model
      @param {Layout} layout
      @param {number} k
      @param {number[]} chosen
      @param {number | null} scale
      @param {number} dim */
  function add(model, layout, k, chosen, scale, dim) {
    const links = model.links(k);
    const max = scale ?? Math.max(...chosen.map((index) => Math.abs(links.values[index])));
    if (!(max > 0)) return;
    const [before, after] = [model.columns[k - 1], model.columns[k]];
    const { from, to } = scratch;
    if (chosen.length < MAX_SORTED)
      chosen.sort((a, b) => Math.abs(links.values[a]) - Math.abs(links.values[b]));
    for (const index of chosen) {
      const source = scratch.slots[k - 1][links.single ? index : fromUnit(links, index)];
      const target = scratch.slots[k][links.single ? index : toUnit(links, index)];
      if (source < 0 || target < 0) continue;
      anchor(before, layout.places[k - 1], source, 1, layout.upright, from);
      anchor(after, layout.places[k], target, 0, layout.upright, to);
      const size = Math.min(1, Math.abs(links.values[index]) / max);
      push(from, to, 0.8 + 4.7 * size, Math.sign(links.values[index]), (0.18 + 0.77 * size) * dim, k);
    }
  }

  /** @param {number[]} from
      @param {number[]} to
      @param {number} width
      @param {number} value
      @param {number} strength
      @param {number} column */
  function push(from, to, width, value, strength, column) {
    if ((curves.count + 1) * FLOATS > curves.buffer.length) {
      const larger = new Float32Array(2 * curves.buffer.length);
      larger.set(curves.buffer);
      curves.buffer = larger;
    }
    const at = curves.count++ * FLOATS;
    const { buffer } = curves;
    buffer[at] = from[0];
    buffer[at + 1] = from[1];
    buffer[at + 2] = to[0];
    buffer[at + 3] = to[1];
    buffer[at + 4] = width;
    buffer[at + 5] = value;
    buffer[at + 6] = strength;
    buffer[at + 7] = column;
  }

  return curves;
}

/** The unit that a link comes from, by the link's index in `values`.
    @param {Links} links
    @param {number} index */
export function fromUnit(links, index) {
  const from = index % links.from;
  return links.fromUnits ? links.fromUnits[from] : from;
}

/** The unit that a link leads to, by the link's index in `values`.
    @param {Links} links
    @param {number} index */
export function toUnit(links, index) {
  const to = Math.floor(index / links.from);
  return links.toUnits ? links.toUnits[to] : to;
}

/** For each unit of a column its index among the shown ones, or -1.
    @param {number[]} shown
    @param {number} count
    @param {Int32Array | undefined} previous */
function slots(shown, count, previous) {
  const table = previous?.length === count ? previous : new Int32Array(count);
  table.fill(-1);
  shown.forEach((unit, slot) => {
    table[unit] = slot;
  });
  return table;
}

/** @param {Links} links
    @param {number} share
    @param {{ values: Float64Array }} scratch */
function strongestLinks(links, share, scratch) {
  const { values } = links;
  if (scratch.values.length < values.length) scratch.values = new Float64Array(2 * values.length);
  let count = 0;
  let max = 0;
  for (let i = 0; i < values.length; i++) {
    const size = values[i] < 0 ? -values[i] : values[i];
    if (size > 0) scratch.values[count++] = size;
    if (size > max) max = size;
  }
  const keep = Math.min(count, Math.max(MIN_LINKS, Math.ceil(share * count)));
  const threshold = keep < count ? nthLargest(scratch.values, count, keep) : 0;
  const chosen = [];
  for (let i = 0; i < values.length; i++) {
    const size = values[i] < 0 ? -values[i] : values[i];
    if (size > 0 && size >= threshold) chosen.push(i);
  }
  return { chosen, max, links: count };
}

/** The strongest links of one unit: incoming if `k` is its column, outgoing if `k` is the next.
    @param {Links} links
    @param {Focus} focus
    @param {number} k */
function linksOf(links, { column, unit }, k) {
  const chosen = [];
  for (let i = 0; i < links.values.length; i++) {
    if (links.values[i] === 0) continue;
    const own = links.single ? i : column === k ? toUnit(links, i) : fromUnit(links, i);
    if (own === unit) chosen.push(i);
  }
  chosen.sort((a, b) => Math.abs(links.values[b]) - Math.abs(links.values[a]));
  return chosen.slice(0, MAX_FOCUS_LINKS);
}

/** The `n`th largest of the first `count` values, which are reordered (Hoare's selection).
    @param {Float64Array} values
    @param {number} count
    @param {number} n */
function nthLargest(values, count, n) {
  let low = 0;
  let high = count - 1;
  const at = n - 1;
  while (low < high) {
    const pivot = values[(low + high) >> 1];
    let i = low;
    let j = high;
    while (i <= j) {
      while (values[i] > pivot) i++;
      while (values[j] < pivot) j--;
      if (i <= j) {
        const swapped = values[i];
        values[i++] = values[j];
        values[j--] = swapped;
      }
    }
    if (at <= j) high = j;
    else if (at >= i) low = i;
    else break;
  }
  return values[at];
}
