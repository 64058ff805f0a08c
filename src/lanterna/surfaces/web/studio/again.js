// A recipe as a room with its settings: "again", "vary", and a picture that brings its own.

import { settings, written } from "./schema.js";
import { go, notify, recipeOf } from "./store.js";

/** Open the room that made a picture, with its settings. */
export function again(recipe, inputs = []) {
  const kind = recipeOf(recipe.kind);
  if (!kind) return notify("The studio has no room for that.");
  const query = { kind: kind.kind };
  for (const each of settings(kind)) {
    const value = recipe.settings[each.name];
    if (value !== undefined && JSON.stringify(value) !== JSON.stringify(each.usual)) query[each.name] = written(value);
  }
  for (const { role, picture } of inputs) if (picture) query[`in.${role}`] = query[`in.${role}`] ? `${query[`in.${role}`]},${picture}` : picture;
  go(kind.room, query);
}
