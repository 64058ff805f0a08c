// What the whole page knows: jobs, techniques, examples, and the address, in which every room keeps its
// settings.

import { messageOf } from "lanterna/words.js";
import { get } from "./api.js";
import { batch, computed, effect, signal } from "./html.js";
import { glossary } from "./terms.js";

/** @import { Signal } from "preact" */
/** @import { Example, Job, NetworkOf, Place, Technique, RoomOf, ShelfItem } from "./api.js" */

/** @typedef {{ id: number, text: string, action: string | null, does: (() => void) | null }} Notice

    @typedef {Record<string, string | number | boolean | null | undefined>} Query - what an address says after
        the ? */

/** @type {Signal<RoomOf[]>} */
export const rooms = signal([]); // in the order of the bar
/** @type {Signal<Place[]>} */
export const places = signal([]);
/** @type {Signal<Job[]>} */
export const jobs = signal([]); // queued and running first, in order
/** @type {Signal<Technique[]>} */
export const techniques = signal([]);
/** @type {Signal<Example[]>} */
export const examples = signal([]);
/** @type {Signal<NetworkOf[]>} */
export const networks = signal([]);
/** @type {Signal<ShelfItem[]>} */
export const shelf = signal([]); // what the shelf can have, and what of it is here
export const connected = signal(true);
export const refused = signal(""); // what to do where the server no longer knows this page
export const changed = signal(0); // counts whatever happened to the gallery
/** @type {Signal<Notice[]>} */
export const notices = signal([]);
export const said = signal(""); // read out by a screen reader

export const active = computed(() =>
  jobs.value.filter((job) => ["queued", "running", "paused"].includes(job.state)),
);
export const current = computed(() => active.value.find((job) => job.state !== "queued") ?? null);

/** @param {string} kind */
export const techniqueOf = (kind) => techniques.value.find((technique) => technique.kind === kind);

/** What a job or a picture of a kind is called.
    @param {string} kind */
export const titleOf = (kind) => techniqueOf(kind)?.title ?? kind;

/** @param {string} id */
export const jobOf = (id) => jobs.value.find((job) => job.id === id);

/** @param {Job} job */
const hasEnded = (job) => ["done", "stopped", "failed"].includes(job.state);
/** A job, or what is known of it already where an older answer comes after a newer event: its end is the
    last.
    @param {Job} job */
const newest = (job) => {
  const known = jobOf(job.id);
  return known && hasEnded(known) && !hasEnded(job) ? known : job;
};

// The address: #/dream?layer=block9 is the room and, as text, whatever differs from its usual settings.

/** The first room in which pictures are made. */
export const home = () => rooms.value.find(({ own }) => !own)?.name ?? "";

/** @param {string} hash */
const parse = (hash) => {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  return { room: path || home(), query: new URLSearchParams(query) };
};
export const route = signal(parse(location.hash));
addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});

/** @param {string} room
    @param {Query} query */
export const address = (room, query = {}) => {
  const said = Object.entries(query).filter(([, value]) => value != null && value !== "");
  const text = new URLSearchParams(said.map(([name, value]) => [name, String(value)])).toString();
  return `#/${room}${text ? `?${text}` : ""}`;
};

/** @type {Signal<Record<string, URLSearchParams>>} */
const left = signal({}); // the settings of each room, as it was left
effect(() => {
  const { room, query } = route.value;
  left.value = { ...left.peek(), [room]: query };
});

/** The address of a room as it was left.
    @param {string} room */
export const back = (room) => address(room, Object.fromEntries(left.value[room] ?? []));

/** Go to a room, as a step that the browser's Back undoes.
    @param {string} room
    @param {Query} [query] */
export const go = (room, query) => {
  location.hash = address(room, query);
};

/** Change the address of this room without a step: a slider that moves is no history.
    @param {Query} changes */
export function keep(changes) {
  const query = new URLSearchParams(route.value.query);
  for (const [name, value] of Object.entries(changes)) {
    if (value == null || value === "") query.delete(name);
    else query.set(name, String(value));
  }
  const text = query.toString();
  history.replaceState(null, "", `#/${route.value.room}${text ? `?${text}` : ""}`);
  route.value = { room: route.value.room, query };
}

/** Put a job that has changed into its place.
    @param {Job} job */
export function put(job) {
  const there = jobs.value.findIndex((each) => each.id === job.id);
  if (newest(job) !== job && !job.gone) return;
  if (job.gone) jobs.value = jobs.value.filter((each) => each.id !== job.id);
  else if (there < 0) {
    const waits = active.value.length;
    jobs.value = [...jobs.value.slice(0, waits), job, ...jobs.value.slice(waits)];
  } else {
    const before = jobs.value[there];
    jobs.value = jobs.value.map((each) => (each.id === job.id ? job : each));
    if (before.state !== job.state) {
      announce(job);
      load.jobs(); // their order has changed
    }
  }
}

/** @param {Job} job */
function announce(job) {
  const name = job.title || job.kind;
  const told = {
    done: "is done",
    failed: `failed: ${job.error}`,
    stopped: "was stopped",
    running: "has begun",
    paused: "is paused",
  }[job.state];
  if (told) said.value = `${name} ${told}.`;
  if (job.state === "failed") notify(`${name} failed. ${job.error ?? ""}`);
}

/** A line at the bottom for a while, with one thing that can be done about it.
    @param {string} text
    @param {string | null} action
    @param {(() => void) | null} does */
export function notify(text, action = null, does = null) {
  const notice = { id: Math.random(), text, action, does };
  notices.value = [...notices.value.slice(-2), notice];
  setTimeout(() => dismiss(notice.id), action ? 12_000 : 8_000);
}
/** @param {number} id */
export const dismiss = (id) => {
  notices.value = notices.value.filter((each) => each.id !== id);
};

/** Do something, and tell when it fails.
    @template T
    @param {() => Promise<T>} doing
    @returns {Promise<T | null>} */
export async function attempt(doing) {
  try {
    return await doing();
  } catch (error) {
    notify(messageOf(error));
    return null;
  }
}

export const load = {
  jobs: async () => {
    jobs.value = (await get("/api/jobs")).map(newest);
  },
  // Something has come to the shelf: photographs to begin with, networks to open.
  shelf: async () => {
    const [items, shown, nets] = await Promise.all([
      get("/api/shelf"),
      get("/api/examples"),
      get("/api/networks"),
    ]);
    batch(() => {
      shelf.value = items;
      examples.value = shown;
      networks.value = nets;
    });
  },
  all: async () => {
    const optional = (path) => get(path).catch(() => []);
    const [listed, described, shown, nets, items] = await Promise.all([
      get("/api/jobs"),
      get("/api/techniques"),
      optional("/api/examples"),
      optional("/api/networks"),
      optional("/api/shelf"),
    ]);
    batch(() => {
      jobs.value = listed.map(newest);
      rooms.value = [...described.rooms, { name: "gallery", title: "Gallery", own: true }];
      places.value = described.places;
      if (!route.value.room) route.value = { ...route.value, room: home() };
      techniques.value = described.techniques;
      glossary.value = described.glossary;
      examples.value = shown;
      networks.value = nets;
      shelf.value = items;
    });
  },
};
