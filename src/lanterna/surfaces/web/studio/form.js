// Controls generated from a technique's schema: nothing about a setting is repeated here.

import { html, useState, words } from "./html.js";
import { lazy } from "./lazy.js";
import { sliderScale, plain, same, settings, parseValue, formatValue } from "./schema.js";
import { networks } from "./store.js";
import { inWords, readTarget, useLayers, writeTarget } from "./targets.js";
import { Explained } from "./terms.js";

/** @import { State } from "preact" */
/** @import { Target } from "./targets.js" */
/** @import { NetworkOf, Technique, Settings } from "./api.js" */
/** @import { Bounded, Setting } from "./schema.js" */

/** @typedef {Event & { target: HTMLInputElement }} Typing

    @typedef {(next: any) => void} Change

    @typedef {object} Around - what a setting that picks from a network needs to know
    @property {Setting[]} all
    @property {(name: string) => any} value - of a setting
    @property {(name: string, value: any) => void} change
    @property {string | null} picture - the id of the main picture

    @typedef {{ id: string, setting: Setting, value: any, onChange: Change }} ControlProps */

const LayerDialog = lazy(() => import("./layers.js"));
const Classes = lazy(() => import("./search.js"));

/** All controls of a technique: the basic ones, and the rest under "More".

    `base` are the preset's values, `chosen` the values that the user has changed; `change(name, value)` is
    called with undefined for the default. `live` are the names that a running job accepts, `picture` is the
    id of the picture that channels are shown on.
    @param {{ technique: Technique, base: Settings, chosen: Settings, change: (name: string, value: any) =>
        void, live?: string[], without?: string[], picture?: string | null }} props */
export function Form({ technique, base, chosen, change, live = [], without = [], picture = null }) {
  const all = settings(technique).filter(({ name, type }) => !without.includes(name) && type !== "const");
  const plain =
    technique.plain?.map((name) => all.find((each) => each.name === name)).filter(Boolean) ?? all.slice(0, 5);
  const rest = all.filter((each) => !plain.includes(each));
  const changedCount = rest.filter((each) => chosen[each.name] !== undefined).length;
  const value = (/** @type {string} */ name) =>
    chosen[name] !== undefined
      ? chosen[name]
      : base[name] !== undefined
        ? base[name]
        : all.find((each) => each.name === name)?.defaultValue;
  const control = (each) => html`
    <${Control}
      key=${each.name}
      setting=${each}
      defaultValue=${base[each.name] ?? each.defaultValue}
      live=${live.includes(each.name)}
      value=${value(each.name)}
      around=${{ all, value, change, picture }}
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
              ${changedCount ? `, ${changedCount} changed` : ""}
            </span>
          </summary>
          <div class="fields">${rest.map(control)}</div>
        </details>
      `
    }
  `;
}

/** @param {{ setting: Setting, value: any, defaultValue: any, changed: boolean, change: Change,
        live: boolean, around: Around }} props */
function Control({ setting, value, defaultValue, changed, change, live, around }) {
  const { name } = setting;
  const id = `set-${name}`;
  const onChange = (next) => change(same(next, defaultValue) ? undefined : next);
  const props = { id, setting, value, onChange, "aria-describedby": `${id}-words` };
  if (setting.picks) Object.assign(props, { around });
  const Kind = kindOf(setting);
  return html`
    <div class="field" data-changed=${changed}>
      <div class="head">
        <label for=${id}>
          ${words(name)}
          ${
            live &&
            html`
              ${" "}
              <span class="live">can be changed while running</span>
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
      <${Kind} ...${props} />
      <p class="hint" id=${`${id}-words`}>
        <${Explained} text=${setting.description} />
      </p>
    </div>
  `;
}

/** The control for a setting.
    @param {Setting} setting */
function kindOf(setting) {
  const { name, type, picks, choices, optional, maximum } = setting;
  if (picks) return picks === "class" ? OfClasses : OfLayers;
  if (name === "network" && type === "string") return NetworkChoice;
  if (type === "boolean") return Switch;
  if (type === "choice") return Choice;
  if (type === "array" && choices.length) return Several;
  if (setting.names) return Named;
  if (type !== "number" && type !== "integer") return Text;
  return optional || maximum == null || name === "seed" ? NumberInput : Slider;
}

/** A text input that keeps the text being typed when the page re-renders.
    @param {{ value: any, commit: (event: Typing) => void }} props */
export function TextInput({ value, commit, ...rest }) {
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

/** @param {ControlProps & { setting: Bounded }} props */
function Slider({ id, setting, value, onChange, ...rest }) {
  const scale = sliderScale(setting);
  return html`
    <div class="slider">
      <input
        type="range"
        min="0"
        max="1000"
        step="1"
        id=${id}
        ...${rest}
        value=${Math.round(1000 * scale.to(value))}
        aria-valuetext=${String(value)}
        onInput=${(event) => onChange(scale.from(event.target.value / 1000))}
        onKeyDown=${(event) => stepByKey(event, setting, value, onChange)}
      />
      <${TextInput}
        type="number"
        class="number"
        aria-label=${words(setting.name)}
        value=${value}
        min=${setting.minimum}
        max=${setting.maximum}
        step=${setting.step || "any"}
        commit=${(event) => commitNumber(event, setting, onChange)}
      />
    </div>
  `;
}

/** Move a slider by one step of its setting with an arrow key, not by a thousandth of its length.
    @param {KeyboardEvent} event
    @param {Bounded} setting
    @param {number} value
    @param {Change} onChange */
function stepByKey(event, { step, minimum, maximum }, value, onChange) {
  const direction = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
  if (!direction) return;
  event.preventDefault();
  const amount =
    step || 10 ** Math.floor(Math.log10(Math.max(Math.abs(value), (maximum - minimum) / 1000)) - 1 + 1e-9);
  onChange(Number(Math.min(maximum, Math.max(minimum, value + direction * amount)).toPrecision(6)));
}

/** @param {Typing} event
    @param {Setting} setting
    @param {Change} onChange */
function commitNumber(event, { minimum, maximum, optional, type }, onChange) {
  const text = event.target.value.trim();
  if (text === "") {
    if (optional) onChange(null);
    return;
  }
  let next = Number(text);
  if (Number.isNaN(next)) return;
  if (type === "integer") next = Math.round(next);
  next = Math.min(maximum ?? Infinity, Math.max(minimum ?? -Infinity, next));
  event.target.value = String(next);
  onChange(next);
}

/** @param {ControlProps} props */
function NumberInput({ id, setting, value, onChange, ...rest }) {
  return html`
    <div class="with-button">
      <${TextInput}
        type="number"
        class="number wide"
        id=${id}
        ...${rest}
        value=${value ?? ""}
        placeholder=${setting.optional ? "automatic" : ""}
        min=${setting.minimum}
        max=${setting.maximum}
        step=${setting.step || "any"}
        commit=${(event) => commitNumber(event, setting, onChange)}
      />
      ${
        setting.name === "seed" &&
        html`
          <button
            type="button"
            class="button small"
            onClick=${() => onChange(1 + Math.floor(Math.random() * 9999))}
          >
            New seed
          </button>
        `
      }
    </div>
  `;
}

/** @param {ControlProps} props */
function Switch({ id, value, onChange, setting: _, ...rest }) {
  return html`
    <input
      type="checkbox"
      role="switch"
      class="switch"
      id=${id}
      ...${rest}
      checked=${value}
      onChange=${(event) => onChange(event.target.checked)}
    />
  `;
}

/** @param {ControlProps} props */
function Choice({ id, setting, value, onChange, ...rest }) {
  const all = setting.choices;
  if (all.length > 4 || all.join("").length > 34) {
    return html`
      <select
        id=${id}
        ...${rest}
        value=${value ?? ""}
        onChange=${(event) => onChange(event.target.value || null)}
      >
        ${setting.optional && html`<option value="">automatic</option>`}
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
  const shown = setting.optional ? [null, ...all] : all;
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
              onChange=${() => onChange(each)}
            />
            <span>${each ?? "automatic"}</span>
          </label>
        `,
      )}
    </div>
  `;
}

/** @param {ControlProps} props */
function Several({ id, setting, value, onChange, ...rest }) {
  const flip = (each) =>
    onChange(setting.choices.filter((choice) => (choice === each) !== value.includes(choice)));
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

/** One or more of the named values: a list to choose from, and what has been chosen.
    @param {ControlProps} props */
function Named({ id, setting, value, onChange, ...rest }) {
  const names = setting.names ?? [];
  return html`
    ${
      value.length > 0 &&
      html`
        <ul class="picks">
          ${value.map(
            (/** @type {number} */ number) => html`
              <li key=${number}>
                ${plain(names[number] ?? String(number))}
                <button
                  type="button"
                  aria-label=${`Remove ${plain(names[number] ?? String(number))}`}
                  onClick=${() => onChange(value.filter((/** @type {number} */ each) => each !== number))}
                >
                  ×
                </button>
              </li>
            `,
          )}
        </ul>
      `
    }
    <select
      id=${id}
      ...${rest}
      value=""
      onChange=${(event) => {
        onChange([...value, Number(event.target.value)]);
        event.target.value = "";
      }}
    >
      <option value="" disabled>${value.length ? "Add another …" : "Choose …"}</option>
      ${names.map(
        (name, number) =>
          !value.includes(number) && html`<option key=${name} value=${number}>${plain(name)}</option>`,
      )}
    </select>
  `;
}

/** @param {ControlProps} props */
function Text({ id, setting, value, onChange, ...rest }) {
  return html`
    <${TextInput}
      type="text"
      id=${id}
      ...${rest}
      autocomplete="off"
      spellcheck=${false}
      value=${value == null ? "" : Array.isArray(value) ? value.join(", ") : formatValue(value)}
      placeholder=${setting.optional || setting.type === "array" ? "automatic" : ""}
      commit=${(event) => {
        const next =
          event.target.value.trim() === "" && setting.optional
            ? null
            : parseValue(event.target.value, setting);
        if (next !== undefined) onChange(next);
      }}
    />
  `;
}

/** The networks of the studio; those that are not on this machine yet come last.
    @param {ControlProps} props */
function NetworkChoice({ id, setting: _, value, onChange, ...rest }) {
  const known = networks.value.map((each) => each.name);
  const groups = /** @type {[string, NetworkOf[]][]} */ ([
    ["On this machine", networks.value.filter((each) => each.here)],
    ["To be fetched or trained", networks.value.filter((each) => !each.here)],
  ]);
  return html`
    <select id=${id} ...${rest} value=${value} onChange=${(event) => onChange(event.target.value)}>
      ${
        !known.includes(value) &&
        html`
          <option value=${value}>
            ${value}
          </option>
        `
      }
      ${groups.map(
        ([label, all]) =>
          all.length > 0 &&
          html`
            <optgroup key=${label} label=${label}>
              ${all.map(
                ({ name }) => html`
                  <option key=${name} value=${name}>
                    ${name}
                  </option>
                `,
              )}
            </optgroup>
          `,
      )}
    </select>
  `;
}

/** Layers, channels or both: as text, and with a dialog.
    @param {ControlProps & { around: Around }} props */
function OfLayers({ around, ...props }) {
  const { setting, value, onChange } = props;
  const network = around.value("network");
  /** @type {string[]} */
  const targets = [value ?? []].flat();
  const [open, setOpen] = useState(false);
  const layers = useLayers(open ? network : null, () => setOpen(false));
  const channels =
    setting.picks === "channel" ? setting : around.all.find((each) => each.picks === "channel");
  const own = around.all.find((each) => each.picks === "layer" && each.type !== "array");
  const pair = own && channels; // the layer and its channel are settings of their own
  /** @type {Target[]} */
  const initial = pair
    ? [
        {
          layer: around.value(own.name) ?? "",
          channels: [around.value(channels.name) ?? []].flat(),
          rest: "",
        },
      ]
    : [value ?? []].flat().map(readTarget);
  const several = channels?.type === "array" ? 2 : 1; // of a direction
  const may = {
    layers: !pair && setting.type === "array",
    channels: pair ? several : setting.picks === "target" ? Infinity : 0,
  };
  /** @param {Target[]} targets */
  function done(targets) {
    const [first] = targets;
    if (!pair) onChange(may.layers ? targets.map(writeTarget) : (first?.layer ?? null));
    else if (!first) around.change(own.name, undefined);
    else {
      around.change(own.name, first.layer);
      const { length } = first.channels;
      if (several === 1) around.change(channels.name, first.channels[0] ?? 0);
      else if (length === 2) around.change(channels.name, first.channels);
    }
  }
  return html`
    <div class="with-button">
      <${setting.type === "integer" ? NumberInput : Text} ...${props} />
      <button type="button" class="button" aria-busy=${open && !layers} onClick=${() => setOpen(true)}>
        Choose …
      </button>
    </div>
    ${
      setting.picks === "target" &&
      targets.some((each) => inWords(each) !== each) &&
      html`<p class="in-words">${targets.map(inWords).join("; ")}</p>`
    }
    ${
      open &&
      layers &&
      html`
        <${LayerDialog}
          network=${network}
          layers=${layers}
          picture=${around.picture}
          initial=${initial.filter((each) => layers.layers.some(({ name }) => name === each.layer))}
          may=${may}
          close=${() => setOpen(false)}
          done=${done}
        />
      `
    }
  `;
}

/** Classes by search. They are loaded when somebody looks for one.
    @param {ControlProps & { around: Around }} props */
function OfClasses({ around, ...props }) {
  const network = around.value("network");
  const [wanted, setWanted] = useState(false);
  const names = useLayers(wanted ? network : null)?.classes ?? null;
  return html`
    <${Classes} ...${props} names=${names} network=${network} want=${() => setWanted(true)} />
  `;
}
