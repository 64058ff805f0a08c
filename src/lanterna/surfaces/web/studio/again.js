// A technique as a room with its settings: "again", "vary", a tile of a sheet, and a picture that brings its
// own.

import { settings, written } from "./schema.js";
import { address, notify, techniqueOf } from "./store.js";

/** @import { Input, Made, Settings } from "./api.js" */
/** @import { Query } from "./store.js" */

/** The room of a kind as an address, with these settings and pictures, and whatever else stands in it.
    @param {string} kind
    @param {Settings} values
    @param {Input[]} inputs
    @param {Query} others */
export function place(kind, values, inputs = [], others = {}) {
  const technique = techniqueOf(kind);
  if (!technique) return null;
  const query = { kind };
  for (const each of settings(technique)) {
    const value = values[each.name];
    if (value !== undefined && JSON.stringify(value) !== JSON.stringify(each.usual))
      query[each.name] = written(value);
  }
  for (const { role, picture } of inputs)
    if (picture) query[`in.${role}`] = query[`in.${role}`] ? `${query[`in.${role}`]},${picture}` : picture;
  return address(technique.room, { ...query, ...others });
}

/** Open the room that made a picture, with its settings.
    @param {Made} recipe
    @param {Input[]} inputs */
export function again(recipe, inputs = []) {
  const there = place(recipe.kind, recipe.settings, inputs);
  if (there) location.hash = there;
  else notify("The studio has no room for that.");
}
