// The style wall: one's own photograph in every built-in style and in paintings of one's own. A click paints.

import { get, thumbnail, url } from "./api.js";
import { useZone } from "./drop.js";
import { html, signal, useEffect, useRef, useState } from "./html.js";
import { lazy } from "./lazy.js";
import { usePicture } from "./pictures.js";
import { Fetch, missing } from "./shelf.js";
import { plain } from "./schema.js";
import { notify } from "./store.js";

/** @import { Ref, Signal, State } from "preact" */
/** @import { Technique } from "./api.js" */

const Picker = lazy(() => import("./picker.js"));
const STORAGE_KEY = "lanterna-paintings";
const MAX_PAINTINGS = 40;
const NEEDED = ["instant-style"];

/** @returns {string[]} */
const load = () => {
  try {
    const stored = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter((each) => /^[0-9a-f]{32}$/.test(each)) : [];
  } catch {
    return [];
  }
};
/** @type {Signal<string[]>} */
const paintings = signal(load()); // ids of one's own, the newest last
/** @param {string[]} ids */
function set(ids) {
  paintings.value = [...new Set(ids)].slice(-MAX_PAINTINGS);
  localStorage.setItem(STORAGE_KEY, JSON.stringify(paintings.value));
}
/** @param {string[]} ids */
const add = (ids) => set([...paintings.value, ...ids]);

/** Remove a painting from the wall, which can be undone.
    @param {string} id */
function removePainting(id) {
  const before = paintings.value;
  set(before.filter((each) => each !== id));
  notify("A painting was removed from the wall.", "Undo", () => set(before));
}

/** `quick` is the technique with the built-in styles, `full` the one that paints in the style of a painting;
    `used` are the paintings that the room holds now, and `use` sets them.
    @param {{ photograph: string, quick: Technique, full: Technique, used: string[],
        choose: (id: string) => void,
        use: (ids: string[]) => void,
        paint: (technique: Technique, settings: object, styles: string[]) => void }} props */
export default function Wall({ photograph, quick, full, used, choose, use, paint }) {
  const [done, setDone] = useState(0); // thumbnails that have come: they are fetched one after another
  const added = useRef(false); // whether to show the painting that has been added last
  /** @type {Ref<HTMLElement>} */
  const list = useRef();
  useEffect(() => {
    for (const id of used)
      if (!paintings.value.includes(id))
        get(`/api/pictures/${id}`).then(
          ({ origin }) => origin === "example" || add([id]),
          () => {},
        );
  }, [used.join()]);
  const waiting = missing(NEEDED).length > 0;
  const names = quick.schema.properties[quick.wall].names ?? [];
  const own = paintings.value.map((id) => ({
    id,
    query: `style=${id}`,
    click: () => paint(full, {}, [id]),
  }));
  const builtIn = names.map((name, number) => ({
    number,
    name: plain(name),
    query: `built_in=${number}`,
    click: () => paint(quick, { [quick.wall]: [number] }, []),
  }));
  const source = (/** @type {{ query: string }} */ { query }, /** @type {number} */ place) =>
    !waiting && place <= done ? url(`/api/pictures/${photograph}/styled?${query}`) : "";
  const next = () => setDone((before) => before + 1);
  const show = (/** @type {string[]} */ ids) => {
    add(ids);
    use(ids);
    added.current = true;
  };
  useEffect(() => {
    if (added.current) list.current.lastElementChild?.scrollIntoView({ block: "nearest" });
    added.current = false;
  }, [paintings.value]);
  return html`
    <div class="style-wall">
      <ul class="styles" aria-label="Styles" ref=${list}>
        <${Choose} id=${photograph} label="Photograph" chosen=${([id]) => choose(id)} />
        <${Choose} label="Add painting" chosen=${show} many=${true} />
        ${builtIn.map(
          (each, place) => html`
            <li key=${each.number}>
              <${Cell}
                label=${`Paint in built-in style ${each.number}: ${each.name}`}
                tag=${each.name}
                src=${source(each, own.length + place)}
                photograph=${photograph}
                next=${next}
                click=${each.click}
              />
            </li>
          `,
        )}
        ${own.map(
          (each, place) => html`
            <${Own}
              key=${each.id}
              ...${each}
              src=${source(each, place)}
              photograph=${photograph}
              next=${next}
            />
          `,
        )}
      </ul>
      <${Fetch} names=${NEEDED} words="To see your photograph in each style:" />
    </div>
  `;
}

/** The photograph, faint, until it has been painted in a style.
    @param {{ label: string, tag?: string, src: string, photograph: string, next: () => void,
        click: () => void }} props */
function Cell({ label, tag, src, photograph, next, click }) {
  return html`
    <button type="button" class="style-cell" aria-label=${label} title=${label} onClick=${click}>
      <img class="faint" src=${thumbnail(photograph)} alt="" />
      ${src && html`<${Styled} key=${src} src=${src} next=${next} />`}
      ${tag !== undefined && html`<span class="tag left" aria-hidden="true">${tag}</span>`}
    </button>
  `;
}

/** @param {{ src: string, next: () => void }} props */
function Styled({ src, next }) {
  const [state, setState] = useState("loading");
  const settle = (/** @type {string} */ to) => {
    if (state === "loading") next();
    setState(to);
  };
  return html`
    <img
      class="styled"
      src=${src}
      alt=""
      data-state=${state}
      onLoad=${() => settle("loaded")}
      onError=${() => settle("failed")}
    />
  `;
}

/** @param {{ id: string, src: string, photograph: string, next: () => void, click: () => void }} props */
function Own({ id, src, photograph, next, click }) {
  const title = usePicture(id)?.title || "your painting";
  return html`
    <li>
      <${Cell}
        label=${`Paint in the style of ${title}`}
        src=${src}
        photograph=${photograph}
        next=${next}
        click=${click}
      />
      <img class="of" src=${thumbnail(id)} alt="" />
      <button
        type="button"
        class="away"
        aria-label=${`Remove ${title} from the wall`}
        onClick=${() => removePainting(id)}
      >
        ×
      </button>
    </li>
  `;
}

/** A cell that takes pictures: the photograph, or new paintings.
    @param {{ id?: string, label: string, chosen: (ids: string[]) => void, many?: boolean }} props */
function Choose({ id, label, chosen, many = false }) {
  const [picking, setPicking] = useState(false);
  const zone = useZone(chosen, many);
  return html`
    <li ref=${zone} class="choose-cell">
      <button type="button" class="style-cell" onClick=${() => setPicking(true)}>
        ${
          id
            ? html`<img src=${thumbnail(id)} alt="" />`
            : html`
              <span class="plus" aria-hidden="true">
                +
              </span>
            `
        }
        <span class="tag left">${label}</span>
      </button>
      ${
        picking &&
        html`
          <${Picker}
            words=${many ? "a painting" : "the photograph"}
            close=${() => setPicking(false)}
            chosen=${(/** @type {string} */ next) => {
              setPicking(false);
              chosen([next]);
            }}
          />
        `
      }
    </li>
  `;
}
