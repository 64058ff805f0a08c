// A contact sheet whose pictures are pressed: each opens its room with what makes it large.

import { place } from "./again.js";
import { html } from "./html.js";
import { notify } from "./store.js";

/** @import { Made, Picture } from "./api.js" */

/** Laid over a picture `{width, height, recipe}` that has a `sheet`.
    @param {{ picture: Picture & { recipe: Made }, close?: () => void }} props */
export function Tiles({ picture, close }) {
  const { sheet, inputs } = picture.recipe;
  return html`
    <div class="tiles" role="group" aria-label="Each of these can be made large">
      ${sheet.map((tile) => {
        const [left, top, right, bottom] = tile.box;
        const there = place(tile.kind, tile.settings, inputs);
        return (
          there &&
          html`
            <a
              key=${tile.label + left + top}
              href=${there}
              aria-label=${`Make this one large: ${tile.label}`}
              onClick=${() => {
                close?.();
                notify(`The settings are those of “${tile.label}”: Start makes it large.`);
              }}
              style=${{
                left: `${(100 * left) / picture.width}%`,
                top: `${(100 * top) / picture.height}%`,
                width: `${(100 * (right - left)) / picture.width}%`,
                height: `${(100 * (bottom - top)) / picture.height}%`,
              }}
            >
              <span>Make this one large</span>
            </a>
          `
        );
      })}
    </div>
  `;
}
