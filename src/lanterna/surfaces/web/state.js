// What is shown, as it stands in the page's address after the #, so that a reload or a link shows the same.
//
//   #answer=4&against=9&share=2&show=contribution&scale=map&unit=relu2.14&cut=relu2.14,conv3:5-12&digit=17

/** @typedef {{ layer: string, unit: number, to?: undefined, from?: undefined }} UnitCut

    @typedef {{ layer: string, to: number, from: number, unit?: undefined }} LinkCut

    @typedef {UnitCut | LinkCut} Cut

    @typedef {object} State
    @property {number | null} answer - the one asked about; null: whatever the network reads
    @property {number | null} against - another answer to subtract
    @property {number | null} share - of the links that are drawn, 0 to 1; null: as many as can be read
    @property {string} show
    @property {string} scale
    @property {string} columns
    @property {{ layer: string, unit: number } | null} unit - that is kept in view
    @property {Cut[]} cuts
    @property {number | string} digit - "given", an index among the test digits, or "drawn"
    @property {number | "before" | null} compare - the network before training, or one of the test digits
    @property {string | null} depth - layer at which the heat over a photograph is taken
    @property {string | null} [ink] - what was drawn, as letters
    @property {Float64Array | null} [pixels] - and as numbers */

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

/** The state that an address says; what makes no sense is left as it is at the start.
    @param {string} hash
    @returns {State} */
export function readState(hash) {
  /** @type {State} */
  const state = { ...START, cuts: [] };
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  for (const key of CHOSEN) {
    const value = said.get(key) ?? "";
    if (CHOICES[key].includes(value)) state[key] = value;
  }
  for (const key of /** @type {const} */ (["answer", "against"]))
    if (/^\d{1,5}$/.test(said.get(key) ?? "")) state[key] = Number(said.get(key));
  const share = Number(said.get("share"));
  if (share > 0 && share <= 100) state.share = share / 100;
  if (said.has("depth")) state.depth = said.get("depth");
  const unit = /^(\w+)\.(\d{1,5})$/.exec(said.get("unit") ?? "");
  if (unit) state.unit = { layer: unit[1], unit: Number(unit[2]) };
  for (const each of (said.get("cut") ?? "").split(",")) {
    const one = /^(\w+)\.(\d{1,5})$/.exec(each);
    const link = /^(\w+):(\d{1,5})-(\d{1,5})$/.exec(each);
    if (one) state.cuts.push({ layer: one[1], unit: Number(one[2]) });
    if (link) state.cuts.push({ layer: link[1], to: Number(link[2]), from: Number(link[3]) });
  }
  for (const key of /** @type {const} */ (["digit", "compare"])) {
    const value = said.get(key) ?? "";
    if (/^\d{1,4}$/.test(value)) state[key] = Number(value);
  }
  if (said.get("compare") === "before") state.compare = "before";
  if (/^[0-9a-f]{784}$/.test(said.get("ink") ?? ""))
    Object.assign(state, { digit: "drawn", ink: said.get("ink") });
  return state;
}

/** The address that says a state; what is as at the start is left out.
    @param {State} state */
export function writeState(state) {
  const said = [];
  for (const key of /** @type {const} */ (["answer", "against", ...CHOSEN, "depth", "compare"])) {
    const value = state[key];
    if (value != null && value !== START[key]) said.push(`${key}=${encodeURIComponent(value)}`);
  }
  if (state.share !== null) said.push(`share=${Number((100 * state.share).toPrecision(4))}`);
  if (typeof state.digit === "number") said.push(`digit=${state.digit}`);
  if (state.digit === "drawn" && state.ink) said.push(`ink=${state.ink}`);
  if (state.unit) said.push(`unit=${state.unit.layer}.${state.unit.unit}`);
  if (state.cuts.length) said.push(`cut=${state.cuts.map(cutName).join(",")}`);
  return `#${said.join("&")}`;
}

/** @param {Cut} cut */
export function cutName({ layer, unit, to, from }) {
  return unit === undefined ? `${layer}:${to}-${from}` : `${layer}.${unit}`;
}

/** A picture in [0, 1] as letters, 16 levels a pixel, and back.
    @param {Float64Array} pixels */
export function inkText(pixels) {
  return Array.from(pixels, (value) => Math.round(15 * value).toString(16)).join("");
}

/** @param {string} text */
export function inkPixels(text) {
  return Float64Array.from(text, (letter) => parseInt(letter, 16) / 15);
}
