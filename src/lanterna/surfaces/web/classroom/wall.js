// The drawings on the big screen: each in a fixed place; a new one takes the place of the oldest.

import { contextOf } from "lanterna/canvas.js";
import { html, signal, useEffect, useLayoutEffect, useRef } from "lanterna/studio/html.js";

/** @typedef {{ chances?: number[], own?: number[] }} Reading

    @typedef {object} Drawing
    @property {number} id
    @property {"shown" | "waiting" | "hidden"} sight
    @property {number[][]} [strokes]
    @property {Reading | null} [reading]
    @property {number | null} [asked]
    @property {string | null} [name] */

const CERTAIN = 0.9;
const SIDE = 256; // units of a drawing

const MOST = 60; // drawings, as rounds.SHOWN

/** @type {Map<number, Drawing>} */
const recent = new Map(); // the latest, whether there is room for them or not
/** @type {Map<number, number>} */
const slots = new Map(); // a drawing's place
/** @type {(Drawing | null)[]} */
let places = [];
let next = 0;

export const wall = signal(/** @type {(Drawing | null)[]} */ ([]));
export const opened = signal(/** @type {Drawing | null} */ (null));
export const reads = signal(/** @type {Record<number, number>} */ ({})); // by the network that learns

/** Take drawings from the server. With `all` they are all there are.
    @param {{ all?: boolean, drawings: Drawing[] }} sent */
export function take({ all, drawings }) {
  if (all) {
    recent.clear();
    resize(places.length);
  }
  for (const drawing of drawings) {
    recent.set(drawing.id, drawing);
    if (drawing.sight === "hidden") recent.delete(drawing.id);
    else if (recent.size > MOST) recent.delete(recent.keys().next().value ?? 0);
    put(drawing);
  }
  wall.value = [...places];
  const now = drawings.find((each) => each.id === opened.value?.id);
  if (now) opened.value = now.sight === "hidden" ? null : now;
}

/** @param {Drawing} drawing */
function put(drawing) {
  const place = slots.get(drawing.id);
  const gone = drawing.sight === "hidden";
  if (place !== undefined) places[place] = gone ? null : drawing;
  if (gone) slots.delete(drawing.id);
  if (gone || place !== undefined || !places.length) return;
  const before = places[next];
  if (before) slots.delete(before.id);
  places[next] = drawing;
  slots.set(drawing.id, next);
  next = (next + 1) % places.length;
}

/** Have room for `count` drawings; the latest stay.
    @param {number} count */
function resize(count) {
  slots.clear();
  places = Array.from({ length: count }, () => null);
  next = 0;
  for (const drawing of [...recent.values()].slice(-count)) put(drawing);
  wall.value = [...places];
}

/** @param {number[]} chances */
export const answer = (chances) => chances.indexOf(Math.max(...chances));
/** A probability; never 100 %, which no network can know.
    @param {number} chance */
export const percent = (chance) => `${Math.min(99, Math.round(100 * chance))} %`;

/** How a drawing was read, for the round on the screen: a label, and whether it stands out.
    @param {Drawing} drawing
    @param {string} kind
    @param {string} step */
function describe(drawing, kind, step) {
  const { chances, own } = drawing.reading ?? {};
  if (!chances) return { label: "", mark: "" };
  const [digit, certain] = [answer(chances), Math.max(...chances) >= CERTAIN];
  if (kind === "fool") return { label: String(digit), mark: digit === 7 && certain ? "fooled" : "" };
  if (kind === "train") {
    const read = step === "learn" ? reads.value[drawing.id] : own ? answer(own) : digit;
    return { label: String(read ?? ""), mark: read === undefined || read === drawing.asked ? "" : "wrong" };
  }
  return { label: String(digit), mark: certain ? "" : "unsure" };
}

/** A drawing on a canvas.
    @param {{ strokes: number[][], pixels: number }} props */
export function Ink({ strokes, pixels }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | undefined} */ (undefined));
  useLayoutEffect(() => {
    const pen = contextOf(/** @type {HTMLCanvasElement} */ (canvas.current));
    pen.clearRect(0, 0, pixels, pixels);
    pen.lineCap = pen.lineJoin = "round";
    pen.lineWidth = (pixels * 22) / SIDE;
    pen.strokeStyle = "#f0eade";
    for (const stroke of strokes) {
      pen.beginPath();
      for (let i = 0; i < stroke.length; i += 2) {
        const [x, y] = [(stroke[i] * pixels) / SIDE, (stroke[i + 1] * pixels) / SIDE];
        if (i) pen.lineTo(x, y);
        else (pen.moveTo(x, y), pen.lineTo(x + 0.01, y));
      }
      pen.stroke();
    }
  }, [strokes]);
  return html`<canvas ref=${canvas} width=${pixels} height=${pixels}></canvas>`;
}

/** @param {{ kind: string, step: string }} props */
export function Wall({ kind, step }) {
  const list = useRef(/** @type {HTMLElement | undefined} */ (undefined));
  useEffect(() => {
    const host = /** @type {HTMLElement} */ (list.current);
    const fit = () => {
      const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
      const [width, height] = [host.clientWidth / rem, host.clientHeight / rem];
      const columns = Math.floor((width + 0.4) / 5); // as in projector.css: 4.6 and a gap of 0.4
      const count = Math.max(1, columns * Math.floor((height + 0.4) / 5));
      if (count !== places.length) resize(count);
    };
    const observer = new ResizeObserver(fit);
    observer.observe(host);
    fit();
    return () => observer.disconnect();
  }, []);
  return html`<ul class="wall" ref=${list}>
    ${wall.value.map((drawing, place) =>
      drawing
        ? html`<li key=${place}><${Card} key=${drawing.id} ...${{ drawing, kind, step }} /></li>`
        : html`<li key=${place}></li>`,
    )}
  </ul>`;
}

/** @param {{ drawing: Drawing, kind: string, step: string }} props */
function Card({ drawing, kind, step }) {
  const { label, mark } = describe(drawing, kind, step);
  const words =
    drawing.sight === "waiting"
      ? "A drawing that waits to be shown"
      : `A drawing${label && `, read as ${label}`}${mark && `, ${mark}`}`;
  return html`<button
    class=${`tile ${mark}`}
    data-id=${drawing.id}
    aria-label=${words}
    onClick=${() => (opened.value = drawing)}
  >
    ${drawing.strokes ? html`<${Ink} strokes=${drawing.strokes} pixels=${144} />` : "…"}
    <b>${label}</b>
  </button>`;
}
