// Drawing in SVG: elements, and axes that turn numbers into places.

import { contextOf } from "lanterna/canvas.js";
import { figure, superscript } from "lanterna/words.js";

/** @import { Attributes } from "lanterna/words.js" */

/** @typedef {[number, number]} Point

    @typedef {{ log?: boolean, whole?: boolean }} AxisKind

    @typedef {object} AxisOf
    @property {(place: number) => number} back - from a place to a number
    @property {(count: number) => number[]} ticks - round numbers on it
    @property {number} low
    @property {number} high
    @property {boolean} log

    @typedef {((value: number | null) => number) & AxisOf} Axis - from a number to a place */

/** An SVG element with attributes and children.
    @template {keyof SVGElementTagNameMap} K
    @param {K} name
    @param {Attributes} attributes
    @param {...(Node | string)} children
    @returns {SVGElementTagNameMap[K]} */
export function svg(name, attributes = {}, ...children) {
  const made = set(document.createElementNS("http://www.w3.org/2000/svg", name), attributes);
  made.append(...children);
  return made;
}

/** Give an element these attributes; null takes one away.
    @template {Element} E
    @param {E} made
    @param {Attributes} attributes
    @returns {E} */
export function set(made, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value == null) made.removeAttribute(key);
    else made.setAttribute(key, String(value));
  }
  return made;
}

/** Points as the `d` of a path; a point that is no number breaks the line.
    @param {number[][]} points */
export function path(points) {
  let pen = "M";
  let d = "";
  for (const [x, y] of points) {
    if (Number.isFinite(x) && Number.isFinite(y)) {
      d += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
      pen = "L";
    } else pen = "M";
  }
  return d;
}

/** An arrow from a place along `(dx, dy)`, in pixels, as the `d` of a path.
    @param {number} x
    @param {number} y
    @param {number} dx
    @param {number} dy
    @param {number} head */
export function arrow(x, y, dx, dy, head = 5) {
  const length = Math.hypot(dx, dy) || 1;
  const [ux, uy] = [dx / length, dy / length];
  const h = Math.min(head, 0.6 * length);
  const [tx, ty] = [x + dx, y + dy];
  return (
    path([
      [x, y],
      [tx, ty],
    ]) +
    path([
      [tx - h * (ux + 0.6 * uy), ty - h * (uy - 0.6 * ux)],
      [tx, ty],
      [tx - h * (ux - 0.6 * uy), ty - h * (uy + 0.6 * ux)],
    ])
  );
}

/** An axis from numbers between `low` and `high` to places between `start` and `end`: a function, whose
    `back` leads from a place to a number and whose `ticks(count)` are round numbers on it.
    @param {number} low
    @param {number} high
    @param {number} start
    @param {number} end
    @param {AxisKind} kind
    @returns {Axis} */
export function axis(low, high, start, end, { log = false, whole = false } = {}) {
  const [a, b] = log ? [Math.log10(low), Math.log10(high)] : [low, high];
  const span = b - a || 1;
  const place = (value) =>
    value == null ? NaN : start + (((log ? Math.log10(value) : value) - a) / span) * (end - start);
  place.back = (at) => {
    const value = a + ((at - start) / (end - start)) * span;
    return log ? 10 ** value : value;
  };
  place.ticks = (count) => (log ? decades(a, b, Math.max(4, count)) : rounds(a, b, count, whole));
  place.low = low;
  place.high = high;
  place.log = log;
  return place;
}

/** @param {number} low
    @param {number} high
    @param {number} count
    @param {boolean} whole */
function rounds(low, high, count, whole) {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  let step = [1, 2, 5].map((each) => each * power).find((each) => each >= rough * 0.75) ?? 10 * power;
  if (whole) step = Math.max(1, Math.round(step));
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, place) =>
    Number(((first + place) * step).toPrecision(12)),
  );
}

/** @param {number} low
    @param {number} high
    @param {number} count
    @returns {number[]} */
function decades(low, high, count) {
  if (high - low < 1)
    return rounds(10 ** low, 10 ** high, Math.min(4, count), false).filter((each) => each > 0);
  const step = Math.max(1, Math.ceil((high - low) / Math.max(1, count)));
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, place) => 10 ** ((first + place) * step));
}

/** A tick as it is written: 0.01, 1,000, 10⁻⁸.
    @param {number} value
    @param {boolean} log */
export function label(value, log = false) {
  const power = Math.round(Math.log10(Math.abs(value)));
  if (log && Math.abs(power) > 3 && Math.abs(value / 10 ** power - 1) < 1e-6)
    return `10${superscript(power)}`;
  return Math.abs(value) >= 1000 && Math.abs(value) < 1e6
    ? value.toLocaleString("en").replace("-", "−")
    : figure(value);
}

/** A frame of two axes: lines and labels behind whatever is drawn on it.
    @param {Axis} x
    @param {Axis} y
    @param {{ across?: string, up?: string, dense?: number }} options */
export function grid(x, y, { across = "", up = "", dense = 1 } = {}) {
  const [left, right] = [x(x.low), x(x.high)];
  const [bottom, top] = [y(y.low), y(y.high)];
  const all = svg("g", { class: "grid" });
  for (const value of y.ticks(Math.max(2, Math.round((bottom - top) / 52) * dense))) {
    all.append(
      svg("line", { x1: left, x2: right, y1: y(value), y2: y(value) }),
      svg("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, label(value, y.log)),
    );
  }
  for (const value of x.ticks(Math.max(2, Math.round((right - left) / 80) * dense))) {
    all.append(
      svg("line", { x1: x(value), x2: x(value), y1: bottom, y2: top }),
      svg("text", { x: x(value), y: bottom + 18, "text-anchor": "middle" }, label(value, x.log)),
    );
  }
  all.append(
    svg("text", { class: "name", x: right, y: bottom + 35, "text-anchor": "end" }, across),
    svg("text", { class: "name", x: left, y: top - 9 }, up),
  );
  return all;
}

/** Heights `rows[row][column]`, the first row at the bottom, as light of the page: an address of an image.
    `levels`: in so many bands, as on a map.
    @param {number[][]} rows
    @param {Element} host
    @param {{ most?: number, levels?: number }} options */
export function light(rows, host, { most = 0.85, levels = 0 } = {}) {
  const flat = rows.flat().filter(Number.isFinite);
  const [least, largest] = flat.reduce(
    ([a, b], value) => [Math.min(a, value), Math.max(b, value)],
    [Infinity, -Infinity],
  );
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [rows[0].length, rows.length];
  const context = contextOf(canvas);
  const image = context.createImageData(canvas.width, canvas.height);
  const colour = rgb(host, "--light");
  rows.forEach((row, place) =>
    row.forEach((value, column) => {
      const at = 4 * ((rows.length - 1 - place) * canvas.width + column);
      const whole = Math.min(1, Math.max(0, (value - least) / (largest - least || 1)));
      const share = levels ? Math.floor(whole * levels) / levels : whole;
      image.data.set([...colour, 255 * most * share], at);
    }),
  );
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

/** A colour of the theme as three numbers.
    @param {Element} host
    @param {string} name */
export function rgb(host, name) {
  const hex = getComputedStyle(host).getPropertyValue(name).trim();
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}
