// The classes of the room Teach: each with its name and its pictures, stored in the browser.

import { signal } from "./html.js";

/** @import { Signal } from "preact" */

/** @typedef {{ name: string, ids: string[] }} PictureClass - a class: its name, and its pictures */

const STORAGE_KEY = "lanterna-classes"; // too many pictures for a URL

/** @returns {PictureClass[]} */
const loadClasses = () => {
  try {
    const stored = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "null");
    if (
      Array.isArray(stored) &&
      stored.every(({ name, ids }) => typeof name === "string" && Array.isArray(ids))
    )
      return stored;
  } catch {
    /* unreadable: start with empty classes */
  }
  return [
    { name: "", ids: [] },
    { name: "", ids: [] },
  ];
};
/** @type {Signal<PictureClass[]>} */
export const classes = signal(loadClasses());

/** @param {PictureClass[]} next */
export const setClasses = (next) => {
  classes.value = next;
  localStorage.setItem(STORAGE_KEY, JSON.stringify(next));
};

/** Add classes; pictures of a class that exists are added to it.
    @param {PictureClass[]} more */
export function addClasses(more) {
  const next = classes.value.filter(({ name, ids }) => name || ids.length).map((each) => ({ ...each }));
  for (const each of more) {
    const known = next.find(({ name }) => name === each.name);
    if (known) known.ids = [...known.ids, ...each.ids];
    else next.push(each);
  }
  setClasses(next);
}
