// The server's API. Whatever goes wrong is an Error whose message a person can read.

/** @import { Schema } from "./schema.js" */

/** @typedef {Record<string, any>} Settings - of a recipe, by name

    @typedef {{ role: string, picture: string }} Input - a picture, by id, and what it is there for

    @typedef {object} Job
    @property {string} id
    @property {string} kind - the kind of its recipe
    @property {"queued" | "running" | "paused" | "done" | "stopped" | "failed"} state
    @property {string} title
    @property {string | null} preset
    @property {Settings} settings
    @property {Input[]} inputs
    @property {string | null} parent
    @property {number} made - in seconds since 1970
    @property {number | null} ended
    @property {number} step
    @property {number} steps - 0 where nobody knows yet
    @property {Record<string, number>} numbers - the newest, by name
    @property {string} note
    @property {number | null} seconds_left
    @property {string | null} error
    @property {string | null} picture - what came of it, by id
    @property {number} preview - counts the pictures on the way
    @property {{ step: number }[]} history - the steps that are kept
    @property {boolean} [gone] - it was forgotten

    @typedef {object} Role - a place for pictures
    @property {string} role
    @property {string} words
    @property {boolean} many
    @property {boolean} required
    @property {boolean} grey - a mask
    @property {string} of - the role for each of whose pictures there is one
    @property {string} suffix - of the file beside a picture that is meant; "" for the picture
    @property {string} example - the example to begin with

    @typedef {object} RoomOf - a room of the page
    @property {string} name
    @property {string} title
    @property {boolean} own - whether it has a page of its own

    @typedef {object} Place - where a picture can be sent
    @property {string} label
    @property {string} room
    @property {string} kind
    @property {string} role
    @property {string} suffix

    @typedef {object} Technique - what can be made, and how it is described
    @property {string} kind
    @property {string} room
    @property {string} title
    @property {string} words
    @property {{ properties: Record<string, Schema>, $defs?: Record<string, Schema> }} schema
    @property {Record<string, Settings>} presets
    @property {Record<string, string>} thumbnails
    @property {Role[]} inputs
    @property {string[]} live - settings that change a job as it runs
    @property {string[]} plain - settings that are shown at once
    @property {string[]} hidden

    @typedef {object} Tile - of a contact sheet
    @property {string} label
    @property {string} kind
    @property {Settings} settings
    @property {[number, number, number, number]} box - left, top, right and bottom, in pixels

    @typedef {object} Made - how a picture was made: it is in the picture, too
    @property {string} kind
    @property {Settings} settings
    @property {string | null} preset
    @property {string} command
    @property {Input[]} inputs
    @property {{ step: number, settings: Settings }[]} changes
    @property {Tile[]} sheet
    @property {Record<string, number>} numbers
    @property {string} words

    @typedef {object} Picture
    @property {string} id
    @property {string} kind
    @property {string} room
    @property {string} title
    @property {number} width
    @property {number} height
    @property {number} bytes
    @property {number} made
    @property {string | null} job
    @property {string} origin
    @property {boolean} starred
    @property {boolean} deleted
    @property {string | null} also
    @property {string} media
    @property {Made | null} recipe

    @typedef {object} NetworkOf - a network that the studio knows
    @property {string} name
    @property {string} what
    @property {string} source
    @property {boolean} here
    @property {string} command - that brings it here
    @property {number[] | null} input - channels and side
    @property {number} layers
    @property {number} parameters

    @typedef {{ name: string, what: string, licence: string, bytes: number, here: boolean }} ShelfItem

    @typedef {{ name: string, title: string, licence: string, here: boolean }} Example

    @typedef {{ class: number, name: string, chance: number }} Answer

    @typedef {{ rather_than: number, terms: number[] }} Why - what of a digit speaks for its answer and not
        for the second likeliest, pixel by pixel, in hundredths

    @typedef {object} Digit - that was read
    @property {number} digit
    @property {number[]} chances - of each of the ten
    @property {number} confidence
    @property {number[]} box - left, top, right and bottom in the page
    @property {number} row
    @property {string} note
    @property {number[]} seen - what the network was shown: 28 × 28 levels
    @property {Why | null} [why]

    @typedef {object} Reading - of a page
    @property {Digit[]} digits
    @property {string} text
    @property {string[]} notes
    @property {number} width
    @property {number} height
    @property {number} milliseconds */

const CLOSED =
  "The studio was started again, or this page was opened without its link. " +
  "Open the link that its terminal shows; “lanterna studio” opens it again.";
const PLACE = "lanterna-session";

// The link of the terminal leads to a secret path, below which alone the cookie is sent. It is kept for this
// server alone (by its port, too) and leaves the address, so that the address can be bookmarked.
if (location.pathname !== "/") {
  localStorage.setItem(PLACE, location.pathname.slice(0, -1));
  history.replaceState(null, "", `/${location.hash}`);
}

/** Where a path of the API is for this browser: below the secret path that the newest link led to.
    @param {string} path */
export const url = (path) => (localStorage.getItem(PLACE) ?? "") + path;

/** What the server refuses, and with which status. */
export class Refusal extends Error {
  /** @param {string} message
      @param {number} status */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** @param {string} method
    @param {string} path
    @param {BodyInit} [body]
    @param {Record<string, string>} headers
    @returns {Promise<any>} what the caller says it is */
async function call(method, path, body, headers = {}) {
  let response;
  try {
    response = await fetch(url(path), { method, body, headers, credentials: "same-origin" });
  } catch {
    throw new Error("The studio’s server does not answer. Is its terminal still open?");
  }
  if (response.status === 204) return null;
  const type = response.headers.get("content-type") ?? "";
  const answer = type.startsWith("application/json") ? await response.json() : await response.text();
  if (!response.ok) {
    const told = answer?.error ?? `The server answers ${response.status}.`;
    throw new Refusal(response.status === 401 ? CLOSED : sentence(told), response.status);
  }
  return answer;
}

/** @param {string} text */
const sentence = (text) => text[0].toUpperCase() + text.slice(1) + (/[.?)]$/.test(text) ? "" : ".");
const json = { "content-type": "application/json" };

/** @param {string} path */
export const get = (path) => call("GET", path);
/** @param {string} path
    @param {object} body */
export const post = (path, body = {}) => call("POST", path, JSON.stringify(body), json);
/** @param {string} path
    @param {object} body */
export const patch = (path, body) => call("PATCH", path, JSON.stringify(body), json);
/** @param {string} path */
export const remove = (path) => call("DELETE", path);

/** Send a picture (a File or Blob): `{id, width, height, recipe}`.
    @param {File | Blob} blob
    @param {string} title
    @returns {Promise<Picture>} */
export function upload(blob, title = "name" in blob ? blob.name : "") {
  if (!blob.type.startsWith("image/"))
    return Promise.reject(new Error("That file isn't a picture. Use PNG, JPEG, WebP, AVIF or HEIF."));
  return call("POST", `/api/pictures?title=${encodeURIComponent(title)}`, blob, {
    "content-type": blob.type,
  });
}

/** Read a page, or what is on a pad: `{digits, milliseconds}`.

    A `glance` is quick, for a pen that moves: touching digits are not cut apart, and nothing is explained.
    @param {Blob} blob
    @param {string} network
    @param {string} surface
    @param {boolean} [glance]
    @returns {Promise<Reading>} */
export const read = (blob, network, surface, glance) =>
  call(
    "POST",
    `/api/read?${glance ? "cut=0" : "why=1"}&surface=${surface}&network=${encodeURIComponent(network)}`,
    blob,
    { "content-type": blob.type },
  );

/** What is in a picture: `{answers: [{name, chance}]}`.
    @param {Blob} blob
    @param {string} network
    @returns {Promise<{ answers: Answer[] }>} */
export const classify = (blob, network) =>
  call("POST", `/api/classify?network=${encodeURIComponent(network)}`, blob, { "content-type": blob.type });

/** The steps from a page to what the network sees, as a picture.
    @param {Blob} blob
    @param {string} network
    @param {string} surface */
export async function readSteps(blob, network, surface) {
  const response = await fetch(
    url(`/api/read/steps?surface=${surface}&network=${encodeURIComponent(network)}`),
    { method: "POST", body: blob, headers: { "content-type": blob.type }, credentials: "same-origin" },
  );
  if (!response.ok) throw new Error(sentence((await response.json()).error));
  return response.blob();
}

/** @param {string} id */
export const file = (id) => url(`/api/pictures/${id}/file`);
/** @param {string} id */
export const thumbnail = (id) => url(`/api/pictures/${id}/thumbnail`);
/** @param {Job} job */
export const preview = (job) => url(`/api/jobs/${job.id}/preview?n=${job.preview}`);
