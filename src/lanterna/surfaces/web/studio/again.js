// Opening a technique's room with settings: those of a picture, a variation, or a cell of a contact sheet.

import { same, settings, formatValue } from "./schema.js";
import { address, notify, techniqueOf } from "./store.js";

/** @import { Input, Recipe, Settings } from "./api.js" */
/** @import { Query } from "./store.js" */

/** The URL of a kind's room with these settings, inputs and other query values.
    @param {string} kind
    @param {Settings} values
    @param {Input[]} inputs
    @param {Query} others */
export function roomAddress(kind, values, inputs = [], others = {}) {
  const technique = techniqueOf(kind);
  if (!technique) return null;
  const query = { kind };
  const all = settings(technique);
  const example = all.some(({ name, defaultValue }) => name === "network" && values.network !== defaultValue)
    ? {}
    : technique.example; // what the form starts with
  for (const each of all) {
    const value = values[each.name];
    if (value !== undefined && !same(value, example[each.name] ?? each.defaultValue))
      query[each.name] = formatValue(value);
  }
  for (const { role, picture } of inputs)
    if (picture) query[`in.${role}`] = query[`in.${role}`] ? `${query[`in.${role}`]},${picture}` : picture;
  return address(technique.room, { ...query, ...others });
}

/** Open a picture's room with its settings.
    @param {Recipe} recipe
    @param {Input[]} inputs */
export function openWithSettings(recipe, inputs = []) {
  const target = roomAddress(recipe.kind, recipe.settings, inputs);
  if (target) location.hash = target;
  else notify("The studio has no room for this kind of picture.");
}
