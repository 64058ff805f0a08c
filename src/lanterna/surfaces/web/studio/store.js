// What the whole page knows: jobs, recipes, examples, and the address, in which every room keeps its
// settings.

import { get } from "./api.js";
import { batch, computed, effect, signal } from "./html.js";

export const ROOMS = [
  ["learn", "Learn"],
  ["read", "Read"],
  ["train", "Train"],
  ["teach", "Teach"],
  ["look", "Look"],
  ["dream", "Dream"],
  ["style", "Style"],
  ["paint", "Paint"],
  ["gallery", "Gallery"],
];

export const jobs = signal([]); // queued and running first, in order
export const recipes = signal([]);
export const examples = signal([]);
export const networks = signal([]);
export const shelf = signal([]); // what the shelf can have, and what of it is here
export const connected = signal(true);
export const refused = signal(""); // what to do where the server no longer knows this page
export const changed = signal(0); // counts whatever happened to the gallery
export const notices = signal([]);
export const said = signal(""); // read out by a screen reader

export const active = computed(() =>
  jobs.value.filter((job) => ["queued", "running", "paused"].includes(job.state)),
);
export const current = computed(() => active.value.find((job) => job.state !== "queued") ?? null);

export const recipeOf = (kind) => recipes.value.find((recipe) => recipe.kind === kind);
export const jobOf = (id) => jobs.value.find((job) => job.id === id);

const hasEnded = (job) => ["done", "stopped", "failed"].includes(job.state);
/** A job, or what is known of it already where an older answer comes after a newer event: its end is the
    last. */
const newest = (job) => {
  const known = jobOf(job.id);
  return known && hasEnded(known) && !hasEnded(job) ? known : job;
};

// The address: #/dream?stage=block9 is the room and, as text, whatever differs from its usual settings.

const parse = (hash) => {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  return { room: path || "dream", query: new URLSearchParams(query) };
};
export const route = signal(parse(location.hash));
addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});

export const address = (room, query = {}) => {
  const text = new URLSearchParams(
    Object.entries(query).filter(([, value]) => value != null && value !== ""),
  ).toString();
  return `#/${room}${text ? `?${text}` : ""}`;
};

const left = signal({}); // the settings of each room, as it was left
effect(() => {
  const { room, query } = route.value;
  left.value = { ...left.peek(), [room]: query };
});

/** The address of a room as it was left. */
export const back = (room) => address(room, Object.fromEntries(left.value[room] ?? []));

/** Go to a room, as a step that the browser's Back undoes. */
export const go = (room, query) => {
  location.hash = address(room, query);
};

/** Change the address of this room without a step: a slider that moves is no history. */
export function keep(changes) {
  const query = new URLSearchParams(route.value.query);
  for (const [name, value] of Object.entries(changes)) {
    if (value == null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  history.replaceState(null, "", `#/${route.value.room}${text ? `?${text}` : ""}`);
  route.value = { room: route.value.room, query };
}

/** Put a job that has changed into its place. */
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

/** A line at the bottom for a while, with one thing that can be done about it. */
export function notify(text, action = null, does = null) {
  const notice = { id: Math.random(), text, action, does };
  notices.value = [...notices.value.slice(-2), notice];
  setTimeout(() => dismiss(notice.id), action ? 12_000 : 8_000);
}
export const dismiss = (id) => {
  notices.value = notices.value.filter((each) => each.id !== id);
};

/** Do something, and tell when it fails. */
export async function attempt(doing) {
  try {
    return await doing();
  } catch (error) {
    notify(error.message);
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
      get("/api/recipes"),
      optional("/api/examples"),
      optional("/api/networks"),
      optional("/api/shelf"),
    ]);
    batch(() => {
      jobs.value = listed.map(newest);
      recipes.value = described;
      examples.value = shown;
      networks.value = nets;
      shelf.value = items;
    });
  },
};
