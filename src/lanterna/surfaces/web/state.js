// The page's state, stored in the URL after the #, so that a reload or a link restores it.
//
//   #answer=4&against=9&share=2&show=contribution&scale=map&unit=relu2.14&cut=relu2.14,conv3:5-12&digit=17

/** @typedef {{ layer: string, unit: number, to?: undefined, from?: undefined }} UnitCut

    @typedef {{ layer: string, to: number, from: number, unit?: undefined }} LinkCut

    @typedef {UnitCut | LinkCut} Cut

    @typedef {object} State
    @property {number | null} answer - the answer to explain; null: the network's own
    @property {number | null} against - another answer to subtract
    @property {number | null} share - the share of links to draw, 0 to 1; null: automatic
    @property {string} show
    @property {string} scale
    @property {string} columns
    @property {{ layer: string, unit: number } | null} unit - the pinned unit
    @property {Cut[]} cuts
    @property {number | string} digit - "given", an index among the test digits, or "drawn"
    @property {number | "before" | null} compare - the network before training, or one of the test digits
    @property {string | null} depth - the layer of the heat map over a photograph
    @property {string | null} [ink] - the drawing as hexadecimal text
    @property {Float64Array | null} [pixels] - the drawing as numbers */

/** @type {State} */
export const START = {
  answer: null,
  against: null,
  share: null,
  show: "activation",
  scale: "layer",
  columns: "main",
  unit: null,
  cuts: [],
  digit: "given",
  compare: null,
  depth: null,
};

const CHOICES = {
  show: ["activation", "contribution", "gradient"],
  scale: ["map", "layer", "all"],
  columns: ["main", "every"],
};
const CHOSEN = /** @type {const} */ (["show", "scale", "columns"]);

/** Parse a URL's state; invalid values are ignored.
    @param {string} hash
    @returns {State} */
export function readState(hash) {
  /** @type {State} */
  const state = { ...START, cuts: [] };
  const params = new URLSearchParams(hash.replace(/^#/, ""));
  for (const key of CHOSEN) {
    const value = params.get(key) ?? "";
    if (CHOICES[key].includes(value)) state[key] = value;
  }
  for (const key of /** @type {const} */ (["answer", "against"]))
    if (/^\d{1,5}$/.test(params.get(key) ?? "")) state[key] = Number(params.get(key));
  const share = Number(params.get("share"));
  if (share > 0 && share <= 100) state.share = share / 100;
  if (params.has("depth")) state.depth = params.get("depth");
  const unit = /^([\w.]+)\.(\d{1,5})$/.exec(params.get("unit") ?? "");
  if (unit) state.unit = { layer: unit[1], unit: Number(unit[2]) };
  for (const each of (params.get("cut") ?? "").split(",")) {
    const one = /^([\w.]+)\.(\d{1,5})$/.exec(each);
    const link = /^([\w.]+):(\d{1,5})-(\d{1,5})$/.exec(each);
    if (one) state.cuts.push({ layer: one[1], unit: Number(one[2]) });
    if (link) state.cuts.push({ layer: link[1], to: Number(link[2]), from: Number(link[3]) });
  }
  for (const key of /** @type {const} */ (["digit", "compare"])) {
    const value = params.get(key) ?? "";
    if (/^\d{1,4}$/.test(value)) state[key] = Number(value);
  }
  if (params.get("compare") === "before") state.compare = "before";
  if (/^[0-9a-f]{784}$/.test(params.get("ink") ?? ""))
    Object.assign(state, { digit: "drawn", ink: params.get("ink") });
  return state;
}

/** Format a state for the URL, without default values.
    @param {State} state */
export function writeState(state) {
  const params = [];
  for (const key of /** @type {const} */ (["answer", "against", ...CHOSEN, "depth", "compare"])) {
    const value = state[key];
    if (value != null && value !== START[key]) params.push(`${key}=${encodeURIComponent(value)}`);
  }
  if (state.share !== null) params.push(`share=${Number((100 * state.share).toPrecision(4))}`);
  if (typeof state.digit === "number") params.push(`digit=${state.digit}`);
  if (state.digit === "drawn" && state.ink) params.push(`ink=${state.ink}`);
  if (state.unit) params.push(`unit=${state.unit.layer}.${state.unit.unit}`);
  if (state.cuts.length) params.push(`cut=${state.cuts.map(cutName).join(",")}`);
  return `#${params.join("&")}`;
}

/** @param {Cut} cut */
export function cutName({ layer, unit, to, from }) {
  return unit === undefined ? `${layer}:${to}-${from}` : `${layer}.${unit}`;
}

/** A picture in [0, 1] as hexadecimal text, 16 levels a pixel.
    @param {Float64Array} pixels */
export function inkText(pixels) {
  return Array.from(pixels, (value) => Math.round(15 * value).toString(16)).join("");
}

/** @param {string} text */
export function inkPixels(text) {
  return Float64Array.from(text, (letter) => parseInt(letter, 16) / 15);
}
