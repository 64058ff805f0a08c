// Controls made from a technique's own description: nothing about a setting is written here a second time.

import { html, useState, words } from "./html.js";
import { bent, same, settings, understood, written } from "./schema.js";
import { networks } from "./store.js";
import { Explained } from "./terms.js";

/** @import { State } from "preact" */
/** @import { Technique, Settings } from "./api.js" */
/** @import { Bounded, Setting } from "./schema.js" */

/** @typedef {Event & { target: HTMLInputElement }} Typing

    @typedef {(next: any) => void} Told

    @typedef {{ id: string, setting: Setting, value: any, told: Told }} Given - what every kind of control
        gets */

/** All controls of a technique: the plain ones, the rest behind "more".

    `base` is what is usual (with the preset), `chosen` what a person has changed; `change(name, value)` is
    told, with undefined for "as usual". `live` are the names that change a running job at once.
    @param {{ technique: Technique, base: Settings, chosen: Settings, change: (name: string, value: any) =>
        void, live?: string[], without?: string[] }} props */
export function Form({ technique, base, chosen, change, live = [], without = [] }) {
  const all = settings(technique).filter(({ name, type }) => !without.includes(name) && type !== "const");
  const plain =
    technique.plain?.map((name) => all.find((each) => each.name === name)).filter(Boolean) ?? all.slice(0, 5);
  const rest = all.filter((each) => !plain.includes(each));
  const touched = rest.filter((each) => chosen[each.name] !== undefined).length;
  const control = (each) => html`
    <${Control}
      key=${each.name}
      setting=${each}
      usual=${base[each.name] ?? each.usual}
      live=${live.includes(each.name)}
      value=${
        chosen[each.name] !== undefined
          ? chosen[each.name]
          : base[each.name] !== undefined
            ? base[each.name]
            : each.usual
      }
      changed=${chosen[each.name] !== undefined}
      change=${(value) => change(each.name, value)}
    />
  `;
  return html`
    <div class="fields">${plain.map(control)}</div>
    ${
      rest.length > 0 &&
      html`
        <details class="more">
          <summary>
            More${" "}
            <span class="quiet">
              ${rest.length} setting${rest.length > 1 ? "s" : ""}
              ${touched ? `, ${touched} changed` : ""}
            </span>
          </summary>
          <div class="fields">${rest.map(control)}</div>
        </details>
      `
    }
  `;
}

/** @param {{ setting: Setting, value: any, usual: any, changed: boolean, change: Told, live: boolean }}
        props */
function Control({ setting, value, usual, changed, change, live }) {
  const { name, type } = setting;
  const id = `set-${name}`;
  const told = (next) => change(same(next, usual) ? undefined : next);
  const given = { id, setting, value, told, "aria-describedby": `${id}-words` };
  const Kind =
    type === "boolean"
      ? Switch
      : type === "choice"
        ? Choice
        : type === "array" && setting.choices.length
          ? Several
          : type === "number" || type === "integer"
            ? setting.open || setting.most == null || name === "seed"
              ? Number_
              : Slider
            : Text;
  return html`
    <div class="field" data-changed=${changed}>
      <div class="head">
        <label for=${id}>
          ${words(name)}
          ${
            live &&
            html`
              ${" "}
              <span class="live">changes as it runs</span>
            `
          }
        </label>
        ${
          changed &&
          html`
            <button
              type="button"
              class="reset"
              aria-label=${`${words(name)}: reset to default`}
              onClick=${() => change(undefined)}
            >
              Default
            </button>
          `
        }
      </div>
      <${Kind} ...${given} />
      <p class="hint" id=${`${id}-words`}>
        <${Explained} text=${setting.words} />
      </p>
    </div>
  `;
}

/** An input to type in: what is being typed stays as it is, whatever the page does meanwhile.
    @param {{ value: any, commit: (event: Typing) => void }} props */
export function Typed({ value, commit, ...rest }) {
  const [draft, setDraft] = useState(/** @type {string | null} */ (null));
  return html`
    <input
      ...${rest}
      value=${draft ?? value}
      onInput=${(event) => setDraft(event.target.value)}
      onBlur=${() => setDraft(null)}
      onChange=${(event) => {
        setDraft(null);
        commit(event);
      }}
    />
  `;
}

/** @param {Given & { setting: Bounded }} props */
function Slider({ id, setting, value, told, ...rest }) {
  const bend = bent(setting);
  return html`
    <div class="slider">
      <input
        type="range"
        min="0"
        max="1000"
        step="1"
        id=${id}
        ...${rest}
        value=${Math.round(1000 * bend.to(value))}
        aria-valuetext=${String(value)}
        onInput=${(event) => told(bend.from(event.target.value / 1000))}
        onKeyDown=${(event) => stepped(event, setting, value, told)}
      />
      <${Typed}
        type="number"
        class="number"
        aria-label=${words(setting.name)}
        value=${value}
        min=${setting.least}
        max=${setting.most}
        step=${setting.step || "any"}
        commit=${(event) => limited(event, setting, told)}
      />
    </div>
  `;
}

/** A bent slider of whole numbers moves by one with an arrow, and not by a thousandth of its length.
    @param {KeyboardEvent} event
    @param {Bounded} setting
    @param {number} value
    @param {Told} told */
function stepped(event, { step, least, most }, value, told) {
  const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
  if (!way) return;
  event.preventDefault();
  const by =
    step || 10 ** Math.floor(Math.log10(Math.max(Math.abs(value), (most - least) / 1000)) - 1 + 1e-9);
  told(Number(Math.min(most, Math.max(least, value + way * by)).toPrecision(6)));
}

/** @param {Typing} event
    @param {Setting} setting
    @param {Told} told */
function limited(event, { least, most, open, type }, told) {
  const text = event.target.value.trim();
  if (text === "") {
    if (open) told(null);
    return;
  }
  let next = Number(text);
  if (Number.isNaN(next)) return;
  if (type === "integer") next = Math.round(next);
  next = Math.min(most ?? Infinity, Math.max(least ?? -Infinity, next));
  event.target.value = String(next);
  told(next);
}

/** @param {Given} props */
function Number_({ id, setting, value, told, ...rest }) {
  return html`
    <div class="with-button">
      <${Typed}
        type="number"
        class="number wide"
        id=${id}
        ...${rest}
        value=${value ?? ""}
        placeholder=${setting.open ? "automatic" : ""}
        min=${setting.least}
        max=${setting.most}
        step=${setting.step || "any"}
        commit=${(event) => limited(event, setting, told)}
      />
      ${
        setting.name === "seed" &&
        html`
          <button
            type="button"
            class="button small"
            onClick=${() => told(1 + Math.floor(Math.random() * 9999))}
          >
            New seed
          </button>
        `
      }
    </div>
  `;
}

/** @param {Given} props */
function Switch({ id, value, told, setting: _, ...rest }) {
  return html`
    <input
      type="checkbox"
      role="switch"
      class="switch"
      id=${id}
      ...${rest}
      checked=${value}
      onChange=${(event) => told(event.target.checked)}
    />
  `;
}

/** @param {Given} props */
function Choice({ id, setting, value, told, ...rest }) {
  const all = setting.choices;
  if (all.length > 4 || all.join("").length > 34) {
    return html`
      <select
        id=${id}
        ...${rest}
        value=${value ?? ""}
        onChange=${(event) => told(event.target.value || null)}
      >
        ${setting.open && html`<option value="">automatic</option>`}
        ${all.map(
          (each) => html`
            <option key=${each} value=${each}>
              ${each}
            </option>
          `,
        )}
      </select>
    `;
  }
  const shown = setting.open ? [null, ...all] : all;
  return html`
    <div class="segments" role="radiogroup" aria-label=${words(setting.name)} ...${rest}>
      ${shown.map(
        (each, place) => html`
          <label key=${each}>
            <input
              type="radio"
              name=${id}
              id=${place ? undefined : id}
              checked=${value === each}
              onChange=${() => told(each)}
            />
            <span>${each ?? "automatic"}</span>
          </label>
        `,
      )}
    </div>
  `;
}

/** @param {Given} props */
function Several({ id, setting, value, told, ...rest }) {
  const flip = (each) =>
    told(setting.choices.filter((one) => (one === each ? !value.includes(one) : value.includes(one))));
  return html`
    <div class="segments wrap" role="group" aria-label=${words(setting.name)} ...${rest}>
      ${setting.choices.map(
        (each, place) => html`
          <label key=${each}>
            <input
              type="checkbox"
              id=${place ? undefined : id}
              checked=${value.includes(each)}
              onChange=${() => flip(each)}
            />
            <span>${each}</span>
          </label>
        `,
      )}
    </div>
  `;
}

/** @param {Given} props */
function Text({ id, setting, value, told, ...rest }) {
  const offered = setting.name === "network" ? networks.value.map((each) => each.name) : [];
  const list = offered.length ? `${id}-list` : undefined;
  return html`
    <${Typed}
      type="text"
      id=${id}
      ...${rest}
      list=${list}
      autocomplete="off"
      spellcheck=${false}
      value=${value == null ? "" : written(value)}
      placeholder=${setting.open || setting.type === "array" ? "automatic" : ""}
      commit=${(event) => {
        const next =
          event.target.value.trim() === "" && setting.open ? null : understood(event.target.value, setting);
        if (next !== undefined) told(next);
      }}
    />
    ${
      list &&
      html`
        <datalist id=${list}>
          ${offered.map((each) => html`<option key=${each} value=${each} />`)}
        </datalist>
      `
    }
  `;
}
