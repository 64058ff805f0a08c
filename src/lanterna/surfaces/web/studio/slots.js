// Slots that accept a picture by drop, or from the picker.

import { useZone } from "./drop.js";
import { thumbnail } from "./api.js";
import { html, useState } from "./html.js";
import { lazy } from "./lazy.js";
import { usePicture } from "./pictures.js";

/** @import { Child } from "preact" */

const Picker = lazy(() => import("./picker.js"));

/** Slots for the pictures of one role; `set(ids)` is called on a change.
    @param {{ role: string, words: string, many: boolean, required: boolean, suffix?: string,
    ids: string[], set: (ids:
        string[]) => void, extra?: Child }} props */
export function Slots({ role, words, many, required, suffix = "", ids, set, extra = null }) {
  const empty = many && required && !ids.length ? [null, null] : [null]; // an example will fill the first
  const places = many ? [...ids, ...empty] : [ids[0] ?? null];
  return html`
    <div class="slots" role="group" aria-label=${words}>
      ${places.map(
        (id, place) => html`
          <${Slot}
            key=${id ?? `new ${place}`}
            id=${id}
            role=${role}
            suffix=${suffix}
            words=${words}
            required=${required && place === 0}
            many=${many}
            more=${many && place > 0}
            set=${(/** @type {string[]} */ chosen) =>
              set([...ids.slice(0, place), ...chosen, ...ids.slice(place + 1)])}
          />
        `,
      )}
      ${extra}
    </div>
  `;
}

/** @param {{ id: string | null, role: string, words: string, required: boolean, suffix: string,
    many: boolean, more: boolean, set: (ids: string[]) => void }} props */
function Slot({ id, role, words, required, suffix, many, more, set }) {
  const [picking, setPicking] = useState(false);
  const choose = (/** @type {string[]} */ ids) => {
    set(ids);
    setPicking(false);
  };
  const zone = useZone(choose, many);
  const picture = usePicture(id);
  const name = role.replace("-", " ");
  const inviting = `Choose ${words || name}`;
  return html`
    <div class="slot" ref=${zone} data-role=${role}>
      <button
        type="button"
        class="place"
        onClick=${() => setPicking(true)}
        aria-label=${id ? `${name}: ${picture?.title || "a picture"}. Choose another` : inviting}
        title=${words}
      >
        ${id ? html`<img src=${thumbnail(id)} alt="" />` : html`<span aria-hidden="true">+</span>`}
      </button>
      ${
        id &&
        !required &&
        html`
          <button type="button" class="away" aria-label=${`Remove ${name}`} onClick=${() => set([])}>
            ×
          </button>
        `
      }
      <span class="role">${more && !id ? "Add another" : name}</span>
      ${
        picking &&
        html`
          <${Picker}
            words=${words}
            only=${suffix ? (each) => each.also === suffix : null}
            close=${() => setPicking(false)}
            chosen=${(next) => choose([next])}
          />
        `
      }
    </div>
  `;
}
