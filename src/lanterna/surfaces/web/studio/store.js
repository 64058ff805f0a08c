// The page's shared state: jobs, techniques, examples, and the URL, which holds every room's settings.

import { messageOf } from "lanterna/words.js";
import { get } from "./api.js";
import { batch, computed, effect, signal, time } from "./html.js";
import { glossary } from "./terms.js";

/** @import { Signal } from "preact" */
/** @import { Example, Job, NetworkOf, Place, Technique, RoomOf, ShelfItem } from "./api.js" */

/** @typedef {{ id: number, text: string, action: string | null, onAction: (() => void) | null }} Notice

    @typedef {Record<string, string | number | boolean | null | undefined>} Query - a URL's query */

/** @type {Signal<RoomOf[]>} */
export const rooms = signal([]); // in the order of the navigation bar
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
export const shelf = signal([]); // every item, fetched or not
export const connected = signal(true);
export const changed = signal(0); // counts the changes to the gallery
/** @type {Signal<Notice[]>} */
export const notices = signal([]);
export const announcement = signal(""); // read out by a screen reader
export const subject = signal(""); // what the room shows, for the title; "" for the room's own name
/** @type {Signal<Job | null>} */
export const ended = signal(null); // the job that has ended last

export const active = computed(() =>
  jobs.value.filter((job) => ["queued", "running", "paused"].includes(job.state)),
);
export const current = computed(() => active.value.find((job) => job.state !== "queued") ?? null);

/** @param {string} kind */
export const techniqueOf = (kind) => techniques.value.find((technique) => technique.kind === kind);

/** The title of a kind of job or picture.
    @param {string} kind */
export const titleOf = (kind) => techniqueOf(kind)?.title ?? kind;

/** @param {string} id */
export const jobOf = (id) => jobs.value.find((job) => job.id === id);

/** @param {Job} job */
export const labelOf = (job) => job.title || titleOf(job.kind);

/** What a job is, unless its name says so.
    @param {Job} job */
export const kindOf = (job) => (/ · |^Fetch/.test(labelOf(job)) ? "" : titleOf(job.kind));

/** What a job is called, with its kind unless the name says it.
    @param {Job} job */
export const nameOf = (job) => (kindOf(job) ? `${kindOf(job)} ${job.title}`.trim() : labelOf(job));

/** What a queued job waits for, and about how long.
    @param {Job} job */
export function waitsFor(job) {
  const place = active.value.findIndex(({ id }) => id === job.id);
  const [first, ...more] = active.value.slice(0, place).filter(({ state }) => state !== "paused");
  if (!first) return "about to start";
  const left = first.seconds_left == null ? "" : `, about ${time(first.seconds_left)}`;
  return `waits for ${nameOf(first)}${left}${more.length ? ` and ${more.length} more` : ""}`;
}

const GALLERY =
  "All that you make is here. Drop a picture that was made by Lanterna, and its settings come back.";
const OPENED = Date.now() / 1000;
/** @param {Job} job */
const hasEnded = (job) => ["done", "stopped", "failed"].includes(job.state);
/** A job, or its known state if that is newer: a response may arrive after the event of the job's end.
    @param {Job} job */
const newest = (job) => {
  const known = jobOf(job.id);
  return known && hasEnded(known) && !hasEnded(job) ? known : job;
};

// The URL: #/dream?layer=block9 names the room and the settings that differ from the defaults.

/** The first room generated from its techniques. */
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
  const set = Object.entries(query).filter(([, value]) => value != null && value !== "");
  const text = new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString();
  return `#/${room}${text ? `?${text}` : ""}`;
};

/** @type {Signal<Record<string, URLSearchParams>>} */
const lastQueries = signal({}); // the last settings of each room
effect(() => {
  const { room, query } = route.value;
  lastQueries.value = { ...lastQueries.peek(), [room]: query };
});

/** The URL of a room with its last settings.
    @param {string} room */
export const lastAddress = (room) => address(room, Object.fromEntries(lastQueries.value[room] ?? []));

/** Go to a room, with an entry in the browser's history.
    @param {string} room
    @param {Query} [query] */
export const go = (room, query) => {
  location.hash = address(room, query);
};

/** Change the URL of this room without a history entry, as for a moving slider.
    @param {Query} changes */
export function setQuery(changes) {
  if (parse(location.hash).room !== route.value.room) return; // the room is being left
  const query = new URLSearchParams(route.value.query);
  for (const [name, value] of Object.entries(changes)) {
    if (value == null || value === "") query.delete(name);
    else query.set(name, String(value));
  }
  const text = query.toString();
  history.replaceState(null, "", `#/${route.value.room}${text ? `?${text}` : ""}`);
  route.value = { room: route.value.room, query };
}

/** Update a job in the list.
    @param {Job} job */
export function updateJob(job) {
  const index = jobs.value.findIndex((each) => each.id === job.id);
  if (newest(job) !== job && !job.gone) return;
  if (job.gone) jobs.value = jobs.value.filter((each) => each.id !== job.id);
  else if (index < 0) {
    const count = active.value.length;
    jobs.value = [...jobs.value.slice(0, count), job, ...jobs.value.slice(count)];
    if (hasEnded(job) && (job.ended ?? 0) > OPENED) announce(job); // it ended at once
  } else {
    const before = jobs.value[index];
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
  const event = {
    done: "is done",
    failed: `failed: ${job.error}`,
    stopped: "was stopped",
    running: "has started",
    paused: "is paused",
  }[job.state];
  if (event) announcement.value = `${name} ${event}.`;
  if (!hasEnded(job)) return;
  ended.value = job;
  if (techniqueOf(job.kind)?.makes === "network") attempt(load.networks);
}

/** The milliseconds in which an action that a notice offers can be taken. */
export const UNDO_TIME = 12_000;

/** Show a notice at the bottom for some seconds, with an optional action.
    @param {string} text
    @param {string | null} action
    @param {(() => void) | null} onAction */
export function notify(text, action = null, onAction = null) {
  const notice = { id: Math.random(), text, action, onAction };
  notices.value = [...notices.value.slice(-2), notice];
  setTimeout(() => dismiss(notice.id), action ? UNDO_TIME : 8_000);
}
/** @param {number} id */
export const dismiss = (id) => {
  notices.value = notices.value.filter((each) => each.id !== id);
};

/** Run an action; show a notice if it fails.
    @template T
    @param {() => Promise<T>} action
    @returns {Promise<T | null>} */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    notify(messageOf(error));
    return null;
  }
}

export const load = {
  jobs: async () => {
    jobs.value = (await get("/api/jobs")).map(newest);
  },
  networks: async () => {
    networks.value = await get("/api/networks");
  },
  // The shelf has changed: there may be new photographs and networks.
  shelf: async () => {
    const [items, photographs, allNetworks] = await Promise.all([
      get("/api/shelf"),
      get("/api/examples"),
      get("/api/networks"),
    ]);
    batch(() => {
      shelf.value = items;
      examples.value = photographs;
      networks.value = allNetworks;
    });
  },
  all: async () => {
    const optional = (path) => get(path).catch(() => []);
    const [allJobs, description, photographs, allNetworks, items] = await Promise.all([
      get("/api/jobs"),
      get("/api/techniques"),
      optional("/api/examples"),
      optional("/api/networks"),
      optional("/api/shelf"),
    ]);
    batch(() => {
      jobs.value = allJobs.map(newest);
      rooms.value = [...description.rooms, { name: "gallery", title: "Gallery", own: true, first: GALLERY }];
      places.value = description.places;
      if (!route.value.room) route.value = { ...route.value, room: home() };
      techniques.value = description.techniques;
      glossary.value = description.glossary;
      examples.value = photographs;
      networks.value = allNetworks;
      shelf.value = items;
    });
  },
};
