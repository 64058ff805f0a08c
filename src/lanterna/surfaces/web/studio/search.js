// Classes by search: type, choose with the arrow keys and Enter. An ARIA combobox with a list.
// https://www.w3.org/WAI/ARIA/apg/patterns/combobox/

import { html, useEffect, useRef, useState, words } from "./html.js";
import { matching } from "./targets.js";

/** @import { Ref } from "preact" */
/** @import { ControlProps } from "./form.js" */

const MOST = 60; // matches that are listed

/** `names` are null until they have loaded, after `want` was called; until then a class can be typed.
    @param {ControlProps & { names: string[] | null, network: string, want: () => void }} props */
export default function Classes({ id, setting, value, onChange, names, network, want, ...rest }) {
  const many = setting.type === "array";
  /** @type {string[]} */
  const chosen = many ? value : [];
  const [typed, setTyped] = useState(/** @type {string | null} */ (null)); // null: nothing
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  /** @type {Ref<HTMLElement>} */
  const list = useRef();
  const found = !open ? [] : matching(names ?? [], typed ?? "").filter((name) => !chosen.includes(name));
  const shown = found.slice(0, MOST);
  const option = (/** @type {number} */ place) => `${id}-option-${place}`;
  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [at, open]);
  const close = () => {
    setTyped(null);
    setOpen(false);
  };

  /** @param {string} name */
  function choose(name) {
    onChange(many ? [...chosen, name] : name || null);
    close();
  }
  function commit() {
    const text = typed?.trim() ?? "";
    const name = names?.find((each) => each.toLowerCase() === text.toLowerCase()) ?? text;
    if (typed != null && (name || !many)) choose(name);
    else close();
  }
  /** @param {KeyboardEvent} event */
  function press(event) {
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (way) {
      setOpen(true);
      setAt(open && shown.length ? (at + way + shown.length) % shown.length : 0);
    } else if (event.key === "Enter" && open) {
      const plain = typed?.trim() === "" || typed?.includes("*") || !shown.length; // such as goldfish*2
      if (plain) commit();
      else choose(shown[Math.min(at, shown.length - 1)]);
    } else if (event.key === "Escape" && open) {
      close();
      event.stopPropagation();
    } else if (event.key === "Backspace" && many && !typed && chosen.length) {
      onChange(chosen.slice(0, -1));
    } else return;
    event.preventDefault();
  }
  return html`
    ${
      chosen.length > 0 &&
      html`
        <ul class="picks" aria-label=${words(setting.name)}>
          ${chosen.map(
            (name) => html`
              <li key=${name}>
                ${name}
                <button
                  type="button"
                  aria-label=${`Remove ${name}`}
                  onClick=${() => onChange(chosen.filter((each) => each !== name))}
                >
                  ×
                </button>
              </li>
            `,
          )}
        </ul>
      `
    }
    <div class="combo">
      <input
        type="text"
        id=${id}
        ...${rest}
        role="combobox"
        aria-autocomplete="list"
        aria-expanded=${open}
        aria-controls=${`${id}-options`}
        aria-activedescendant=${shown.length ? option(Math.min(at, shown.length - 1)) : undefined}
        autocomplete="off"
        spellcheck=${false}
        placeholder=${chosen.length ? "Add another" : "Search"}
        value=${typed ?? (many ? "" : (value ?? ""))}
        onFocus=${(event) => {
          want();
          event.target.select();
        }}
        onClick=${() => setOpen(true)}
        onInput=${(event) => {
          setTyped(event.target.value);
          setOpen(true);
          setAt(0);
        }}
        onKeyDown=${press}
        onBlur=${commit}
      />
      <ul id=${`${id}-options`} role="listbox" aria-label="Matching classes" ref=${list} hidden=${!open}>
        ${shown.map(
          (name, place) => html`
            <li
              key=${name}
              id=${option(place)}
              role="option"
              aria-selected=${place === at}
              onMouseDown=${(event) => event.preventDefault()}
              onClick=${() => choose(name)}
            >
              ${name}
            </li>
          `,
        )}
        ${
          found.length !== shown.length &&
          html`<li class="quiet" role="presentation">${found.length - shown.length} more: type on</li>`
        }
        ${
          open &&
          names &&
          !found.length &&
          html`
            <li class="quiet" role="presentation">
              ${names.length ? `${network} has no class like “${typed}”.` : `${network} has no classes.`}
            </li>
          `
        }
      </ul>
    </div>
  `;
}
