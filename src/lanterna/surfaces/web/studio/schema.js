// A technique's JSON schema, as the controls and the address need it.

/** @import { Technique } from "./api.js" */

/** @typedef {object} Schema - of one setting, as JSON Schema has it
    @property {string} [$ref]
    @property {string} [type]
    @property {Schema[]} [anyOf]
    @property {Schema} [items]
    @property {any[]} [enum]
    @property {any} [const]
    @property {any} [default]
    @property {string} [description]
    @property {number} [minimum]
    @property {number} [maximum]
    @property {number} [exclusiveMinimum]
    @property {number} [exclusiveMaximum]
    @property {number} [multipleOf]

    @typedef {Record<string, Schema>} Definitions

    @typedef {object} Setting - what a control needs of it
    @property {string} name
    @property {boolean} open - it may be left open
    @property {number} step - 0: any number
    @property {Schema | undefined} items - of a list
    @property {string | undefined} type - of JSON Schema, or "choice", or "const"
    @property {any[]} choices
    @property {number | null} least
    @property {number | null} most
    @property {any} usual
    @property {string} words

    @typedef {Setting & { least: number, most: number }} Bounded */

/** What a setting is: its type, range and choices, whether it may be left open, and how it is described.
    @param {string} name
    @param {Schema} schema
    @param {Definitions} definitions
    @returns {Setting} */
export function setting(name, schema, definitions = {}) {
  const whole = resolve(schema, definitions);
  const open = whole.anyOf?.some((each) => each.type === "null") ?? false;
  const inner = whole.anyOf
    ? {
        ...whole,
        ...resolve(whole.anyOf.find((each) => each.type !== "null") ?? {}, definitions),
      }
    : whole;
  const items = inner.items && resolve(inner.items, definitions);
  const step = inner.multipleOf ?? (inner.type === "integer" ? 1 : 0);
  const nudge = step || 1e-3;
  return {
    name,
    open,
    step,
    items,
    type: inner.const !== undefined ? "const" : inner.enum ? "choice" : inner.type,
    choices: inner.enum ?? items?.enum ?? [],
    least: inner.minimum ?? (inner.exclusiveMinimum != null ? inner.exclusiveMinimum + nudge : null),
    most: inner.maximum ?? (inner.exclusiveMaximum != null ? inner.exclusiveMaximum - nudge : null),
    usual: whole.default,
    words: whole.description ?? "",
  };
}

/** @param {Schema} schema
    @param {Definitions} definitions
    @returns {Schema} */
const resolve = (schema, definitions) =>
  schema.$ref ? { ...definitions[schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1)], ...schema } : schema;

/** @param {Technique} technique */
export const settings = (technique) =>
  Object.entries(technique.schema.properties)
    .filter(([name]) => !technique.hidden?.includes(name))
    .map(([name, schema]) => setting(name, schema, technique.schema.$defs));

/** A value as text in the address, and back. Undefined where the text says nothing.
    @param {unknown} value */
export const written = (value) =>
  value === null ? "-" : Array.isArray(value) ? value.join(",") : String(value);

/** @param {string | null | undefined} text
    @param {Setting} setting
    @returns {any} */
export function understood(text, { type, open, items }) {
  if (text == null) return undefined;
  if (text === "-" && open) return null;
  if (type === "boolean") return text === "true";
  if (type === "number" || type === "integer")
    return text.trim() === "" || Number.isNaN(Number(text)) ? undefined : Number(text);
  if (type === "array") {
    const parts = text.split(/[,\s]+/).filter(Boolean);
    return items?.type === "number" || items?.type === "integer"
      ? parts.map(Number).filter((each) => !Number.isNaN(each))
      : parts;
  }
  return text;
}

/** @param {unknown} one
    @param {unknown} other */
export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// A slider whose range is wide is bent so that the usual value lies 40 % along it: a range of 1 to 1000 whose
// usual value is 10 is fine where fine is needed.

/** @param {Bounded} setting */
export function bent({ least, most, usual, step }) {
  const share = typeof usual === "number" ? (usual - least) / (most - least) : 0.4;
  const bend =
    share > 0.15 || most - least <= 1 ? 1 : Math.min(8, Math.log(Math.max(share, 1e-4)) / Math.log(0.4));
  return {
    to: (value) => ((Math.min(most, Math.max(least, value)) - least) / (most - least)) ** (1 / bend),
    from: (place) => {
      const value = least + (most - least) * place ** bend;
      if (step) return Math.min(most, Math.max(least, Math.round(value / step) * step));
      return Number(Math.min(most, Math.max(least, value)).toPrecision(value < 1 ? 2 : 3));
    },
  };
}
