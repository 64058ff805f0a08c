// The layout: columns from left to right, or from top to bottom on a narrow screen.
//
// Everything is laid out along the flow direction (`along`) and across it, and rotated at the end.

/** @import { Column } from "lanterna/flow.js" */

/** @typedef {object} Size - the available space in pixels
    @property {number} width
    @property {number} height
    @property {boolean} upright - from top to bottom
    @property {boolean} [named] - answers are words, not digits
    @property {number} picture
    @property {number} answers
    @property {number} gap

    @typedef {object} Place - a column's position
    @property {number} x
    @property {number} y
    @property {number} width
    @property {number} height
    @property {number} side - of one tile
    @property {Float32Array} tiles - x and y of each shown unit's corner, one after the other
    @property {number[]} shown - the units that are shown

    @typedef {{ places: Place[], width: number, height: number, upright: boolean, step: number }} Layout

    @typedef {object} Block - a column along the flow and across it
    @property {number} along
    @property {number} across
    @property {number} side
    @property {number} lanes
    @property {number} rows
    @property {number} space
    @property {number} start */

const TIGHTER = [1, 0.75, 0.55, 0.4]; // factors of a tile's minimum side, tried in turn until everything fits
/** @type {Record<string, number>} */
const LARGEST = { maps: 56, units: 18 };
/** @type {Record<string, number>} */
const SPACE = { maps: 4, units: 2 };
/** @type {Record<string, number>} */
const MAX_SHOWN = { maps: 160, units: 512 }; // maximum units shown in a column: the strongest
const GAP = { min: 56, max: 150 };

/** The maximum number of units shown in a column.
    @param {Column} column */
export function maxShown(column) {
  return column.limit ?? MAX_SHOWN[column.kind] ?? column.count;
}

/** Lay out columns in `size` pixels. Each gets `x, y, width, height`, the `side` of its tiles, and for every
    shown unit (its index in `shown`) the corner of its tile in `tiles`: x and y, one after the other.
    @param {Column[]} columns
    @param {number[][]} shown
    @param {Size} size
    @returns {Layout} */
export function layOut(columns, shown, size) {
  const { upright } = size; // from top to bottom
  const across = upright ? size.width : size.height;
  /** @type {Block[]} */
  let blocks = [];
  for (const attempt of TIGHTER.keys()) {
    blocks = columns.map((column, k) => block(column, shown[k].length, across, attempt, size));
    const wide = blocks.reduce((sum, each) => sum + each.along, 0) + (blocks.length - 1) * GAP.min;
    if (upright || wide <= size.width) break;
  }
  const filled = blocks.reduce((sum, each) => sum + each.along, 0);
  const room = upright ? 0 : (size.width - filled) / (blocks.length - 1);
  const gap = upright ? size.gap : Math.min(GAP.max, Math.max(GAP.min, room));
  const total = filled + (blocks.length - 1) * gap;
  let at = upright ? 0 : Math.max(0, (size.width - total) / 2);
  for (const each of blocks) {
    each.start = at;
    at += each.along + gap;
  }
  const places = blocks.map((each, k) => place(each, columns[k], shown[k], across, upright));
  return {
    places,
    width: upright ? size.width : Math.max(size.width, total),
    height: upright ? total : size.height,
    upright,
    step: total / blocks.length,
  };
}

/** @param {Column} column
    @param {number} count
    @param {number} across
    @param {number} attempt
    @param {Size} size
    @returns {Block} */
function block(column, count, across, attempt, size) {
  if (column.kind === "picture")
    return {
      along: size.picture,
      across: size.picture,
      side: size.picture,
      lanes: 1,
      rows: 1,
      space: 0,
      start: 0,
    };
  if (column.kind === "answers") {
    const each = Math.min(size.upright && !size.named ? across / count : 40, across / count);
    const along = size.upright ? (size.named ? 40 * count : 88) : size.answers;
    return { along, across: each * count, side: each, lanes: 1, rows: count, space: 0, start: 0 };
  }
  const smallest = minSide(column) * TIGHTER[attempt];
  const space = SPACE[column.kind];
  const fit = Math.max(1, Math.floor((across + space) / (smallest + space)));
  const lanes = Math.ceil(count / fit);
  const rows = Math.ceil(count / lanes);
  const side = Math.min(LARGEST[column.kind], Math.floor((across + space) / rows - space));
  return {
    along: lanes * (side + space) - space,
    across: rows * (side + space) - space,
    side,
    lanes,
    rows,
    space,
    start: 0,
  };
}

/** The minimum side of a tile: larger for maps with more pixels.
    @param {Column} column */
function minSide({ kind, width }) {
  return kind === "units" ? 11 : width >= 14 ? 44 : width >= 7 ? 30 : 20;
}

/** @param {Block} block
    @param {Column} column
    @param {number[]} shown
    @param {number} across
    @param {boolean} upright
    @returns {Place} */
function place(block, column, shown, across, upright) {
  const margin = (across - block.across) / 2;
  const tiles = new Float32Array(2 * shown.length);
  const step = block.side + block.space;
  shown.forEach((_, i) => {
    // Units are in reading order, row by row, in either direction of flow.
    const lane = upright ? Math.floor(i / block.rows) : i % block.lanes;
    const row = upright ? i % block.rows : Math.floor(i / block.lanes);
    const along = block.start + (column.kind === "answers" ? 0 : lane * step);
    const over = margin + row * step;
    tiles[2 * i] = upright ? over : along;
    tiles[2 * i + 1] = upright ? along : over;
  });
  return {
    x: upright ? margin : block.start,
    y: upright ? block.start : margin,
    width: upright ? block.across : block.along,
    height: upright ? block.along : block.across,
    side: block.side,
    tiles,
    shown,
  };
}

/** Where lines leave a unit (`end` 1) or arrive at it (`end` 0): the middle of its edge on that side.
    @param {Column} column
    @param {Place} place
    @param {number} index
    @param {number} end
    @param {boolean} upright
    @param {number[]} into */
export function anchor(column, place, index, end, upright, into) {
  if (column.kind === "picture" && column.count > 1) {
    // A pixel of a picture that is one unit for each pixel: its row (or column) at the picture's edge.
    const share = upright
      ? ((index % column.width) + 0.5) / column.width
      : (Math.floor(index / column.width) + 0.5) / column.height;
    into[0] = upright ? place.x + share * place.width : place.x + place.width;
    into[1] = upright ? place.y + place.height : place.y + share * place.height;
    return;
  }
  const x = place.tiles[2 * index];
  const y = place.tiles[2 * index + 1];
  const answers = column.kind === "answers";
  const half = place.side / 2;
  into[0] = upright ? x + half : x + (end && !answers ? place.side : 0);
  into[1] = upright ? y + (end && !answers ? place.side : 0) : y + half;
}
