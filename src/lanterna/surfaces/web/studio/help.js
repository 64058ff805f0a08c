// Help: a line for whoever sees a room for the first time, the keys, and the theme.

import { html, signal, useEffect, useRef } from "./html.js";
import { rooms, route } from "./store.js";

/** @import { Ref, Signal } from "preact" */

const [THEME_KEY, KNOWN_KEY] = ["lanterna-theme", "lanterna-known"]; // the first as in theme.js
const THEMES = ["", "light", "dark"]; // "" is the system's
const theme = signal(localStorage.getItem(THEME_KEY) ?? "");
/** @type {Signal<string[]>} */
const known = signal((localStorage.getItem(KNOWN_KEY) ?? "").split(",")); // the rooms that are not introduced
const open = signal(false);

const KEYS = [
  ["?", "this help"],
  ["space", "pause and resume"],
  ["c", "before and after"],
  ["l", "the loupe"],
  ["← →", "earlier and later steps; in the gallery’s large view, the next picture"],
  ["← →, Escape", "in a presented lesson: the previous and next slide; leave"],
  ["s, Delete", "in the gallery’s large view: star, delete (which can be undone)"],
  ["arrows, space", "on a pad or a mask: move the pen, put it down or lift it"],
  ["arrows", "in a lesson: move a value, a ball or a pen (ten times as far with Shift)"],
];

const here = () => rooms.value.find(({ name }) => name === route.value.room);

/** What to do first in this room, until it is dismissed. */
export function Introduction() {
  const room = here();
  const shown = room?.first && !known.value.includes(room.name);
  return html`
    <div class="introduction">
      ${
        shown &&
        html`
          <aside aria-label="Introduction">
            <p>${room.first}</p>
            <button type="button" class="away" aria-label="Hide the introduction" onClick=${hide}>×</button>
          </aside>
        `
      }
    </div>
  `;
}

function hide() {
  known.value = [...known.value, route.value.room];
  localStorage.setItem(KNOWN_KEY, known.value.join());
  document.getElementById("main")?.focus();
}

/** The buttons for theme and help. */
export function Helpers() {
  useEffect(() => {
    const pressed = (event) => {
      if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest("input:not([type=range]), select, textarea, dialog")) return;
      open.value = true;
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  function change() {
    theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length];
    localStorage.setItem(THEME_KEY, theme.value);
    dispatchEvent(new StorageEvent("storage", { key: THEME_KEY })); // as in the other tabs
  }
  const name = theme.value || "as the system";
  return html`
    <div class="helpers">
      <button type="button" aria-label=${`Theme: ${name}`} title=${`Theme: ${name}`} onClick=${change}>
        <svg viewBox="0 0 24 24" aria-hidden="true" data-theme=${theme.value}>
          <circle cx="12" cy="12" r="7.5" />
          <path d=${theme.value === "light" ? "" : `M12 4.5a7.5 7.5 0 0 ${theme.value ? 1 : 0} 0 15z`} />
          ${theme.value === "dark" && html`<path d="M12 4.5a7.5 7.5 0 0 0 0 15z" />`}
        </svg>
      </button>
      <button
        type="button"
        aria-label="Help"
        title="Help"
        onClick=${() => {
          open.value = true;
        }}
      >
        ?
      </button>
    </div>
  `;
}

/** The help, if it is open. */
export const Help = () => open.value && html`<${Sheet} />`;

function Sheet() {
  /** @type {Ref<HTMLDialogElement>} */
  const dialog = useRef();
  useEffect(() => dialog.current.showModal(), []);
  const room = here();
  return html`
    <dialog
      ref=${dialog}
      class="picker help"
      aria-label="Help"
      onClose=${() => {
        open.value = false;
      }}
      onClick=${(event) => event.target === dialog.current && dialog.current.close()}
    >
      <header>
        <h2>${room?.title ?? "Lanterna"}</h2>
        <button type="button" class="button quiet" onClick=${() => dialog.current.close()}>
          Close
        </button>
      </header>
      <p>${room?.first}</p>
      <p class="hint">
        Drop or paste pictures anywhere. Underlined words are explained when you point at them. A reload loses
        nothing, and everything that is made is in the gallery.
      </p>
      <h3>Keys</h3>
      <dl>
        ${KEYS.map(
          ([key, what]) => html`
            <div key=${what}>
              <dt><kbd>${key}</kbd></dt>
              <dd>${what}</dd>
            </div>
          `,
        )}
      </dl>
    </dialog>
  `;
}
