// A dialog to choose layers and channels: a network's layers in order, from the picture to the answer, and
// next to them the channels of one, each as the part of the picture that it responds to most.

import { get } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { writeTarget } from "./targets.js";

/** @import { Ref, State } from "preact" */
/** @import { Layer, Layers, Target } from "./targets.js" */

/** @typedef {{ channels: number[], side: number, columns: number, picture: string | null }} Tiles

    @typedef {object} Choosing - what may be chosen
    @property {boolean} layers - several layers
    @property {number} channels - at most so many channels of a layer */

/** @param {{ network: string, layers: Layers, picture: string | null, initial: Target[], may: Choosing,
        close: () => void, done: (targets: Target[]) => void }} props */
export default function LayerDialog({ network, layers, picture, initial, may, close, done }) {
  /** @type {Ref<HTMLDialogElement>} */
  const dialog = useRef();
  const [chosen, setChosen] = useState(initial);
  const [name, setName] = useState(initial[0]?.layer ?? layers.default);
  const shown = layers.layers.filter(
    (each) => !each.minor || initial.some(({ layer }) => layer === each.name),
  );
  const layer = layers.layers.find((each) => each.name === name);
  const of = (/** @type {string} */ each) => chosen.find((target) => target.layer === each);
  useEffect(() => {
    dialog.current.showModal();
    dialog.current.querySelector("[aria-current=true]")?.scrollIntoView({ block: "center" });
  }, []);

  /** Choose a layer, all of it; if it is chosen and there may be several, leave it out.
      @param {string} each */
  function pick(each) {
    setName(each);
    const others = may.layers ? chosen.filter((target) => target.layer !== each) : [];
    setChosen(may.layers && of(each) ? others : [...others, { layer: each, channels: [], rest: "" }]);
  }
  /** @param {number} channel */
  function flip(channel) {
    const before = of(name)?.channels ?? [];
    const after = before.includes(channel)
      ? before.filter((each) => each !== channel)
      : [...before, channel].slice(-may.channels);
    const target = { layer: name, channels: after, rest: of(name)?.rest.replace(/:[^*]*/, "") ?? "" };
    const others = may.layers ? chosen : [];
    setChosen(of(name) ? others.map((each) => (each.layer === name ? target : each)) : [...others, target]);
    if (!may.layers) setChosen([target]);
  }
  const written = chosen.map(writeTarget).join(", ");
  return html`
    <dialog
      ref=${dialog}
      class="picker of-layers"
      aria-label=${`Layers of ${network}`}
      onClose=${close}
      onClick=${(event) => event.target === dialog.current && dialog.current.close()}
    >
      <header>
        <h2>Layers of ${network}</h2>
        <button type="button" class="button quiet" onClick=${() => dialog.current.close()}>
          Close
        </button>
      </header>
      <div class="in-order">
        <ol aria-label="Layers, from the picture to the answer">
          ${shown.map(
            (each) => html`
              <li key=${each.name} data-chosen=${!!of(each.name)} data-shown=${each.name === name}>
                <label>
                  <input
                    type=${may.layers ? "checkbox" : "radio"}
                    name="layer-of-network"
                    checked=${!!of(each.name)}
                    onChange=${() => pick(each.name)}
                  />
                  <span class="unseen">${each.name}</span>
                </label>
                <button
                  type="button"
                  aria-current=${each.name === name}
                  onClick=${() => (may.layers || of(each.name) ? setName(each.name) : pick(each.name))}
                >
                  <${Field} layer=${each} side=${layers.side} />
                  <span>
                    <b>${each.name}</b>${" "}
                    <small>${each.sees} · ${size(each)}</small>
                  </span>
                </button>
              </li>
            `,
          )}
        </ol>
        ${
          layer &&
          html`
            <${Channels}
              key=${name}
              network=${network}
              layer=${layer}
              side=${layers.side}
              picture=${picture}
              chosen=${of(name)?.channels ?? []}
              flip=${may.channels ? flip : null}
            />
          `
        }
      </div>
      <footer>
        <p role="status">${written || "The network’s default"}</p>
        <button type="button" class="button" disabled=${!chosen.length} onClick=${() => setChosen([])}>
          Choose none
        </button>
        <button
          type="button"
          class="button primary"
          onClick=${() => {
            done(chosen);
            dialog.current.close();
          }}
        >
          ${chosen.length ? "Use these" : "Use the default"}
        </button>
      </footer>
    </dialog>
  `;
}

/** @param {Layer} layer */
const size = ({ shape }) =>
  shape.length === 3 ? `${shape[0]} maps of ${shape[1]} × ${shape[2]}` : `${shape.join(" × ")} units`;

/** @param {Layer} layer
    @param {number} side - of the network's input */
const seen = ({ name, field }, side) =>
  `One unit of ${name} sees ${field && field < side ? `${field} of ${side} pixels` : "the whole picture"}.`;

/** How much of the picture one unit sees, drawn.
    @param {{ layer: Layer, side: number }} props */
function Field({ layer, side }) {
  const inner = 22 * Math.min(1, Math.max(0.09, (layer.field ?? side) / side));
  return html`
    <svg viewBox="0 0 24 24" aria-hidden="true">
      <rect x="1" y="1" width="22" height="22" rx="2" />
      <rect class="seen" x=${12 - inner / 2} y=${12 - inner / 2} width=${inner} height=${inner} rx="1" />
    </svg>
  `;
}

/** A layer's channels, the most active in the picture first; numbers if there are no pictures of them.
    @param {{ network: string, layer: Layer, side: number, picture: string | null, chosen: number[],
        flip: ((channel: number) => void) | null }} props */
function Channels({ network, layer, side, picture, chosen, flip }) {
  /** @type {State<Tiles | null>} */
  const [tiles, setTiles] = useState(/** @type {Tiles | null} */ (null));
  const [problem, setProblem] = useState("");
  /** @type {Ref<HTMLElement>} */
  const grid = useRef();
  useEffect(() => {
    let cancelled = false;
    const query = new URLSearchParams({ network, layer: layer.name, ...(picture ? { picture } : {}) });
    get(`/api/channels?${query}`).then(
      (found) => cancelled || setTiles(found),
      (error) => cancelled || setProblem(error.message),
    );
    return () => {
      cancelled = true;
    };
  }, []);
  const numbers = tiles?.channels ?? [...Array(layer.shape[0]).keys()];
  const first = numbers.find((channel) => chosen.includes(channel)) ?? numbers[0];

  /** @param {KeyboardEvent} event */
  function move(event) {
    const all = /** @type {HTMLElement[]} */ ([...grid.current.querySelectorAll("button")]);
    const here = all.indexOf(/** @type {HTMLElement} */ (event.target));
    const columns = all.filter((each) => each.offsetTop === all[0].offsetTop).length;
    const way = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (here < 0 || !way || !all[here + way]) return;
    event.preventDefault();
    all[here].tabIndex = -1;
    all[here + way].tabIndex = 0;
    all[here + way].focus();
  }
  /** @param {number} place
      @returns {Record<string, string>} */
  function tile(place) {
    if (!tiles?.picture) return {};
    const rows = Math.ceil(numbers.length / tiles.columns);
    const [column, row] = [place % tiles.columns, Math.floor(place / tiles.columns)];
    return {
      backgroundImage: `url(${tiles.picture})`,
      backgroundSize: `${100 * tiles.columns}% ${100 * rows}%`,
      backgroundPosition: `${(100 * column) / (tiles.columns - 1)}% ${(100 * row) / Math.max(1, rows - 1)}%`,
    };
  }
  return html`
    <section class="channels" aria-label=${`Channels of ${layer.name}`}>
      <p class="hint">
        ${seen(layer, side)}${" "}
        ${
          tiles?.picture
            ? `Each tile is the part of ${picture ? "your" : "the example"} picture that a channel ` +
              "responds to most; the most active come first."
            : problem
        }
      </p>
      <div
        ref=${grid}
        role="group"
        aria-label="Channels"
        data-pictures=${!!tiles?.picture}
        aria-busy=${!tiles && !problem}
        onKeyDown=${move}
      >
        ${numbers.map(
          (channel, place) => html`
            <button
              type="button"
              key=${channel}
              aria-pressed=${flip ? chosen.includes(channel) : undefined}
              aria-label=${`Channel ${channel}`}
              tabindex=${channel === first ? 0 : -1}
              disabled=${!flip}
              style=${tile(place)}
              onClick=${() => flip?.(channel)}
            >
              <span>${channel}</span>
            </button>
          `,
        )}
      </div>
    </section>
  `;
}
