// Input pictures: loaded, uploaded or taken from the examples.

import { openWithSettings } from "./again.js";
import { get, post, upload } from "./api.js";
import { signal, useEffect } from "./html.js";
import { attempt, notify, techniqueOf } from "./store.js";

/** @import { Signal } from "preact" */
/** @import { Picture } from "./api.js" */

/** @type {Signal<Record<string, Picture>>} */
const cache = signal({}); // loaded pictures by id

/** A picture's description by id, or null until it has loaded.
    @param {string | null | undefined} id */
export function usePicture(id) {
  useEffect(() => {
    if (id && !cache.value[id]) get(`/api/pictures/${id}`).then(remember, () => {});
  }, [id]);
  return id ? (cache.value[id] ?? null) : null;
}

/** @param {Picture} picture */
export function remember(picture) {
  cache.value = { ...cache.value, [picture.id]: picture };
  return picture;
}

/** Upload a file; the picture, or null if it was refused. A picture made by Lanterna offers its settings, if
    it is the `only` one.
    @param {File | Blob} file
    @param {boolean} only */
export async function uploadPicture(file, only = true) {
  const picture = await attempt(() => upload(file));
  if (picture?.note) notify(`${picture.title || "The picture"}: ${picture.note}.`);
  if (only && picture?.recipe?.kind && techniqueOf(picture.recipe.kind)) {
    const { recipe } = picture;
    notify("Lanterna made this picture: its settings are stored in the file.", "Use its settings", () =>
      openWithSettings(recipe, recipe.inputs),
    );
  }
  return picture && remember(picture);
}

/** Add an example photograph as a picture.
    @param {string} name */
export async function addExample(name) {
  const picture = await attempt(() => post(`/api/examples/${encodeURIComponent(name)}`));
  return picture && remember(picture);
}
