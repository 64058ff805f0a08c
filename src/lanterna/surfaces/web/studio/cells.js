// The cells of a contact sheet as links: each opens its room with the settings of the full-size picture.

import { roomAddress } from "./again.js";
import { html } from "./html.js";
import { notify } from "./store.js";

/** @import { Recipe, Picture } from "./api.js" */

/** An overlay for a picture whose recipe has a `sheet`.
    @param {{ picture: Picture & { recipe: Recipe }, close?: () => void }} props */
export function Cells({ picture, close }) {
  const { sheet, inputs } = picture.recipe;
  return html`
    <div class="cells" role="group" aria-label="Pictures of the sheet">
      ${sheet.map((cell) => {
        const [left, top, right, bottom] = cell.box;
        const target = roomAddress(cell.kind, cell.settings, inputs);
        return (
          target &&
          html`
            <a
              key=${cell.label + left + top}
              href=${target}
              aria-label=${`Make at full size: ${cell.label}`}
              onClick=${() => {
                close?.();
                notify(`These are the settings of “${cell.label}”. Start makes it at full size.`);
              }}
              style=${{
                left: `${(100 * left) / picture.width}%`,
                top: `${(100 * top) / picture.height}%`,
                width: `${(100 * (right - left)) / picture.width}%`,
                height: `${(100 * (bottom - top)) / picture.height}%`,
              }}
            >
              <span>Make at full size</span>
            </a>
          `
        );
      })}
    </div>
  `;
}
