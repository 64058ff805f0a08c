// Pictures that are dropped or pasted: one handler for the whole page.
//
// A zone is an element that takes pictures, such as a slot. Elsewhere they go to the room; a room that takes
// none offers to open them in another one. So no file ever opens in the browser instead of the studio.
// A folder becomes classes to teach, or a job for each picture; a zone takes its pictures.

import { html, signal, useEffect, useRef } from "./html.js";
import { uploadPicture } from "./pictures.js";
import { go, home, notify, places, route } from "./store.js";

/** @import { Ref, Signal } from "preact" */
/** @import { Question } from "./folders.js" */

/** @typedef {(ids: string[]) => void} Accept - gets the ids of pictures

    @typedef {{ accept: Accept, many: boolean, pasted?: boolean, each?: Accept }} Taker - `each` starts a job
        for each of several pictures */

/** @type {Map<Element, Taker>} */
const zones = new Map();
/** @type {Taker | null} */
let room = null;
/** @type {Element | null} */
let over = null;
/** @type {Signal<Question | null>} */
export const question = signal(null); // about a folder that was dropped
/** @type {string[]} */
const handed = []; // pictures for the room that is being opened
/** @type {Signal<number>} */
export const uploading = signal(0); // files that are still to be uploaded

/** An element that takes pictures; without `many` only one. Attach the result as its `ref`.

    With `pasted` it also takes what is pasted outside all zones.
    @param {Accept} accept
    @param {boolean} many
    @param {boolean} pasted
    @returns {Ref<any>} */
export function useZone(accept, many = false, pasted = false) {
  const element = useRef();
  useEffect(() => {
    const place = element.current;
    zones.set(place, { accept, many, pasted });
    return () => {
      zones.delete(place);
    };
  });
  return element;
}

/** Take what is dropped or pasted anywhere else in the room, if `enabled`.
    @param {Accept} accept
    @param {{ many?: boolean, enabled?: boolean, each?: Accept }} options */
export function useRoomDrop(accept, { many = false, enabled = true, each } = {}) {
  useEffect(() => {
    const taker = enabled ? { accept, many, each } : null;
    room = taker;
    if (taker && many && handed.length) accept(handed.splice(0));
    return () => {
      if (room === taker) room = null;
    };
  });
}

/** Upload files one after another; the ids of those that are pictures.
    @param {File[]} files */
export async function uploadAll(files) {
  const ids = [];
  uploading.value += files.length;
  for (const file of files) {
    const picture = await uploadPicture(file, files.length === 1);
    if (picture) ids.push(picture.id);
    uploading.value -= 1;
  }
  return ids;
}

/** How many files are still to be uploaded, if it takes a while. */
export const Uploading = () =>
  uploading.value > 1 &&
  html`
    <p class="notice" role="status">
      Adding ${uploading.value} pictures …
    </p>
  `;

/** @type {Accept} */
const offer = ([id]) => {
  const place = places.value.find(({ suffix, room: name }) => !suffix && name === home());
  if (place)
    notify("The picture is in the studio.", `Open in ${place.label}`, () =>
      go(place.room, { kind: place.kind, [`in.${place.role}`]: id }),
    );
};

/** @param {EventTarget | null} target */
function zoneOf(target) {
  for (let each = /** @type {Element | null} */ (target); each; each = each.parentElement)
    if (zones.has(each)) return each;
  return null;
}

/** @param {EventTarget | null} target
    @param {File[]} files
    @param {string} dragged - the id of a picture of the studio */
async function receive(target, files, dragged = "") {
  const zone = zoneOf(target);
  const taker = zone ? zones.get(zone) : room;
  const folder = files.find(({ type, name: each }) => !type && !each.includes(".")); // passed on as a file
  if (folder) {
    notify(`“${folder.name}” cannot be opened here: open it, select the pictures in it, and drop those.`);
    return;
  }
  const [many, { room: name }] = [taker?.many ?? false, route.peek()];
  if (!many && files.length > 1) notify(`One picture is needed here: the first of ${files.length} is used.`);
  const ids = dragged ? [dragged] : await uploadAll(many ? files : files.slice(0, 1));
  const left = name !== route.peek().room || (zone && !zone.isConnected);
  const accept = zone ? zones.get(zone)?.accept : room?.accept; // the latest: the room has been drawn again
  if (ids.length) (left || !accept ? offer : accept)(ids);
}

/** What to do with folders; a zone takes their pictures.
    @param {EventTarget | null} target
    @param {FileSystemEntry[]} entries */
async function receiveFolders(target, entries) {
  const { ask } = await import("./folders.js");
  ask(entries, zoneOf(target) ? (files) => receive(target, files) : null, room?.each ?? null);
}

/** Open the first room that makes pictures with these.
    @param {string[]} ids */
export function openInHome(ids) {
  handed.push(...ids);
  go(home());
}

/** @param {Element | null} element */
function highlight(element) {
  if (over === element) return;
  over?.removeAttribute("data-over");
  element?.setAttribute("data-over", "true");
  over = element;
}

/** @param {DragEvent} event */
const carriesPictures = ({ dataTransfer }) =>
  dataTransfer?.types.some((type) => ["Files", "text/lanterna"].includes(type)) ?? false;

export function listenForDrops() {
  addEventListener("dragover", (event) => {
    if (!carriesPictures(event)) return;
    event.preventDefault();
    highlight(zoneOf(event.target) ?? document.getElementById("main"));
  });
  addEventListener("dragleave", (event) => event.relatedTarget || highlight(null));
  addEventListener("drop", (event) => {
    highlight(null);
    if (!carriesPictures(event) || !event.dataTransfer) return;
    event.preventDefault();
    const entries = [...event.dataTransfer.items].flatMap((each) => each.webkitGetAsEntry?.() ?? []);
    if (entries.some(({ isDirectory }) => isDirectory)) receiveFolders(event.target, entries);
    else receive(event.target, [...event.dataTransfer.files], event.dataTransfer.getData("text/lanterna"));
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    const pasted = [...zones].find(([, taker]) => taker.pasted)?.[0] ?? null;
    if (files.length) receive(zoneOf(event.target) ?? pasted, files);
  });
  addEventListener("message", ({ data, source }) => {
    // A look page passes on what is dropped on it.
    const frames = [...document.querySelectorAll("iframe")];
    if (data?.dropped && frames.some((each) => each.contentWindow === source))
      receive(
        null,
        data.dropped.filter((each) => each instanceof File),
      );
  });
}
