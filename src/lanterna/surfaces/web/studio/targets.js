// What a setting picks from a network: layers, their channels, classes; and the network's own list of them.

import { get } from "./api.js";
import { useEffect, useState } from "./html.js";
import { notify } from "./store.js";

/** @import { State } from "preact" */

/** @typedef {object} Layer - of a network
    @property {string} name
    @property {number[]} shape - of its output
    @property {number | null} field - the side of what a unit sees, in pixels; null for the whole picture
    @property {string} sees - edges, textures, parts, objects
    @property {boolean} minor - whether a neighbouring layer shows the same better

    @typedef {{ side: number, layers: Layer[], default: string, classes: string[] }} Layers

    @typedef {{ layer: string, channels: number[], rest: string }} Target - `rest` is what is only typed: a
        rank such as :strongest4, a weight such as *0.5 */

/** The layers and classes of a network, or null until they have loaded; `failed` is called if they cannot be.
    @param {string | null} network
    @param {() => void} [failed]
    @returns {Layers | null} */
export function useLayers(network, failed) {
  const [found, setFound] = useState(/** @type {{ network: string, layers: Layers } | null} */ (null));
  useEffect(() => {
    let cancelled = false;
    if (network)
      get(`/api/networks/${encodeURIComponent(network)}/layers`).then(
        (layers) => cancelled || setFound({ network, layers }),
        (error) => {
          if (cancelled) return;
          notify(error.message); // names can still be typed
          failed?.();
        },
      );
    return () => {
      cancelled = true;
    };
  }, [network]);
  return found?.network === network ? (found?.layers ?? null) : null;
}

/** A target as it is typed: `block9`, `block9:31,40`, `block9:strongest4*0.5`.
    @param {string} text
    @returns {Target} */
export function readTarget(text) {
  const [, layer = "", channels = "", rest = ""] =
    /^([^:*]*)(?::(\d+(?:,\d+)*))?(.*)$/.exec(text.trim()) ?? [];
  return { layer, channels: channels ? channels.split(",").map(Number) : [], rest };
}

/** @param {Target} target */
export const writeTarget = ({ layer, channels, rest }) =>
  `${layer}${channels.length ? `:${channels.join(",")}` : ""}${rest}`;

const LIST = new Intl.ListFormat("en");

/** A target in words: "block9, channels 5 and 68".
    @param {string} text */
export function inWords(text) {
  const { layer, channels, rest } = readTarget(text);
  const [, rank, count = "", weight] = /^(?::([a-z]+)(\d*))?(?:\*(.+))?$/.exec(rest) ?? [];
  const which = channels.length
    ? `channel${channels.length > 1 ? "s" : ""} ${LIST.format(channels.map(String))}`
    : rank && `the ${count > "1" ? `${count} ${rank} channels` : `${rank} channel`}`;
  return [layer, which, weight && `weight ${weight}`].filter(Boolean).join(", ");
}

/** The classes that match what is typed, the best first: those with it as a word, then those that begin with
    it, those with a word that does, and those that contain it; or the class of a number.
    @param {string[]} names
    @param {string} text */
export function matching(names, text) {
  const typed = text.trim().toLowerCase();
  if (!typed) return names;
  const rank = (/** @type {string} */ name, /** @type {number} */ index) => {
    const at = name.toLowerCase().indexOf(typed);
    if (String(index) === typed || ` ${name} `.toLowerCase().includes(` ${typed} `)) return 0;
    return at < 0 ? 4 : at === 0 ? 1 : name[at - 1] === " " ? 2 : 3;
  };
  return names
    .map((name, index) => ({ name, rank: rank(name, index) }))
    .filter((each) => each.rank < 4)
    .sort((a, b) => a.rank - b.rank)
    .map((each) => each.name);
}
