// A technique's JSON schema, prepared for the controls and the URL.

/** @import { Technique } from "./api.js" */

/** @typedef {object} Schema - the JSON Schema of a setting
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
    @property {string[]} [names] - of the values 0 and up
    @property {"target" | "layer" | "channel" | "class"} [picks] - what a network has of it to choose from

    @typedef {Record<string, Schema>} Definitions

    @typedef {object} Setting - a setting's schema, prepared for a control
    @property {string} name
    @property {boolean} optional - it may be null (automatic)
    @property {number} step - 0 for any number
    @property {Schema | undefined} items - of a list
    @property {string | undefined} type - of JSON Schema, or "choice", or "const"
    @property {any[]} choices
    @property {number | null} minimum
    @property {number | null} maximum
    @property {any} defaultValue
    @property {string} description
    @property {Schema["picks"]} picks
    @property {string[] | undefined} names

    @typedef {Setting & { minimum: number, maximum: number }} Bounded */

/** A setting's type, range, choices, default and description from its schema.
    @param {string} name
    @param {Schema} schema
    @param {Definitions} definitions
    @returns {Setting} */
export function setting(name, schema, definitions = {}) {
  const resolved = resolve(schema, definitions);
  const optional = resolved.anyOf?.some((each) => each.type === "null") ?? false;
  const inner = resolved.anyOf
    ? {
        ...resolved,
        ...resolve(resolved.anyOf.find((each) => each.type !== "null") ?? {}, definitions),
      }
    : resolved;
  const items = inner.items && resolve(inner.items, definitions);
  const step = inner.multipleOf ?? (inner.type === "integer" ? 1 : 0);
  const epsilon = step || 1e-3;
  return {
    name,
    optional,
    step,
    items,
    type: inner.const !== undefined ? "const" : inner.enum ? "choice" : inner.type,
    choices: inner.enum ?? items?.enum ?? [],
    minimum: inner.minimum ?? (inner.exclusiveMinimum != null ? inner.exclusiveMinimum + epsilon : null),
    maximum: inner.maximum ?? (inner.exclusiveMaximum != null ? inner.exclusiveMaximum - epsilon : null),
    defaultValue: resolved.default,
    description: resolved.description ?? "",
    picks: resolved.picks,
    names: resolved.names,
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

/** A name of a value as it is read.
    @param {string} name */
export const plain = (name) => name.replaceAll("-", " ");

/** A value as text in the URL.
    @param {unknown} value */
export const formatValue = (value) =>
  value === null ? "-" : Array.isArray(value) ? value.join(",") : String(value);

/** The value of a text in the URL, or undefined if it has none.
    @param {string | null | undefined} text
    @param {Setting} setting
    @returns {any} */
export function parseValue(text, { type, optional, items, picks }) {
  if (text == null) return undefined;
  if (text === "-" && optional) return null;
  if (type === "boolean") return text === "true";
  if (type === "number" || type === "integer")
    return text.trim() === "" || Number.isNaN(Number(text)) ? undefined : Number(text);
  if (type === "array") {
    // A class may have several words, a layer several channels: "block9:31,40, block12" are two layers.
    const between =
      picks === "class" ? /\s*,\s*/ : picks === "channel" || !picks ? /[,\s]+/ : /,?\s+|,(?!\d)/;
    const parts = text
      .trim()
      .replace(/,\s+(?=\d)/g, ",")
      .split(between)
      .filter(Boolean);
    return items?.type === "number" || items?.type === "integer"
      ? parts.map(Number).filter((each) => !Number.isNaN(each))
      : parts;
  }
  return text;
}

/** @param {unknown} a
    @param {unknown} b */
export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// A slider with a wide range has a power scale with the default value at 40 %: from 1 to 1000 with default 10
// it is fine where small changes matter.

/** Convert between a slider's position in [0, 1] and a setting's value.
    @param {Bounded} setting */
export function sliderScale({ minimum, maximum, defaultValue, step }) {
  const share = typeof defaultValue === "number" ? (defaultValue - minimum) / (maximum - minimum) : 0.4;
  const exponent =
    share > 0.15 || maximum - minimum <= 1 ? 1 : Math.min(8, Math.log(Math.max(share, 1e-4)) / Math.log(0.4));
  return {
    to: (value) =>
      ((Math.min(maximum, Math.max(minimum, value)) - minimum) / (maximum - minimum)) ** (1 / exponent),
    from: (position) => {
      const value = minimum + (maximum - minimum) * position ** exponent;
      if (step) return Math.min(maximum, Math.max(minimum, Math.round(value / step) * step));
      return Number(Math.min(maximum, Math.max(minimum, value)).toPrecision(value < 1 ? 2 : 3));
    },
  };
}
