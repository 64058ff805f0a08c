// The server's API. Every failure is an Error with a message for the user.

import { signal } from "./html.js";

/** @import { Schema } from "./schema.js" */

/** @typedef {Record<string, any>} Settings - a recipe's settings by name

    @typedef {{ role: string, picture: string }} Input - a picture's id and its role

    @typedef {object} Job
    @property {string} id
    @property {string} kind - its technique
    @property {"queued" | "running" | "paused" | "done" | "stopped" | "failed"} state
    @property {string} title
    @property {string | null} preset
    @property {Settings} settings
    @property {Input[]} inputs
    @property {string | null} parent
    @property {number} created - in seconds since 1970
    @property {number | null} ended
    @property {number} step
    @property {number} steps - 0 if unknown so far
    @property {Record<string, number>} numbers - the latest, by name
    @property {string} note
    @property {number | null} seconds_left
    @property {string | null} error
    @property {string | null} picture - the id of its (first) result
    @property {number} preview - counts the previews
    @property {{ step: number }[]} history - the saved steps
    @property {boolean} [gone] - it was removed

    @typedef {object} Role - an input of a technique
    @property {string} role
    @property {string} words
    @property {boolean} many
    @property {boolean} required
    @property {boolean} grey - a mask
    @property {string} of - the role whose pictures it belongs to, one for each
    @property {string} suffix - of the file next to the picture that is used; "" for the picture itself
    @property {string} example - the name of the example photograph

    @typedef {object} RoomOf - a room of the page
    @property {string} name
    @property {string} title
    @property {boolean} own - whether it has its own script
    @property {string} first - what to do in it first

    @typedef {object} Place - where a picture can be sent
    @property {string} label
    @property {string} room
    @property {string} kind
    @property {string} role
    @property {string} suffix

    @typedef {object} Technique - as /api/techniques describes it
    @property {string} kind
    @property {string} room
    @property {string} title
    @property {string} words
    @property {{ properties: Record<string, Schema>, $defs?: Record<string, Schema> }} schema
    @property {Settings} example - what the form starts with
    @property {Record<string, Settings>} presets
    @property {Record<string, string>} preset_help
    @property {Record<string, string>} thumbnails
    @property {Role[]} inputs
    @property {string[]} live - settings that can change while a job runs
    @property {string[]} plain - settings that are always shown
    @property {string[]} hidden
    @property {string} makes - picture, film, words, network
    @property {string} wall - a setting whose values are shown as pictures; "" if there is none
    @property {[string, string][]} exclusive - pairs of settings of which only one may be given

    @typedef {object} Cell - of a contact sheet
    @property {string} label
    @property {string} kind
    @property {Settings} settings
    @property {[number, number, number, number]} box - left, top, right and bottom, in pixels

    @typedef {object} Recipe - of a picture
    @property {string} kind
    @property {Settings} settings
    @property {string | null} preset
    @property {string} command
    @property {Input[]} inputs
    @property {{ step: number, settings: Settings }[]} changes
    @property {Cell[]} sheet
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
    @property {number} created - in seconds since 1970
    @property {string | null} job
    @property {string} origin
    @property {boolean} starred
    @property {boolean} deleted
    @property {string[]} tags
    @property {string | null} also
    @property {string} media
    @property {string} file - its name outside the studio
    @property {string} note - what was changed when it was uploaded
    @property {Recipe | null} recipe

    @typedef {object} NetworkOf - a network that the studio knows
    @property {string} name
    @property {string} what
    @property {string} source
    @property {boolean} here
    @property {string} command - that fetches or trains it
    @property {number[] | null} input - channels and side
    @property {number} layers
    @property {number} parameters

    @typedef {{ name: string, what: string, licence: string, bytes: number, here: boolean }} ShelfItem

    @typedef {{ name: string, title: string, licence: string, here: boolean }} Example

    @typedef {{ class: number, name: string, chance: number }} Answer

    @typedef {{ levels: number[], milliseconds: number }} Imagined - a digit of 28 × 28 levels

    @typedef {{ rather_than: number, terms: number[] }} Why - each pixel's contribution to the answer over
        the runner-up, from -100 to 100

    @typedef {object} Digit - as it was read
    @property {number} digit
    @property {number[]} chances - the ten probabilities
    @property {number} confidence
    @property {number[]} box - left, top, right and bottom in the page
    @property {number} row
    @property {string} note
    @property {number[]} input - the network's input: 28 × 28 levels
    @property {Why | null} [why]

    @typedef {object} Reading - of a page
    @property {Digit[]} digits
    @property {string} text
    @property {string[]} notes
    @property {number} width
    @property {number} height
    @property {number} milliseconds */

const CLOSED =
  "The studio has a new link, or this page was opened without it. " +
  "Open the link that its terminal shows, or run “lanterna studio” again.";
const STORAGE_KEY = "lanterna-session";

// The terminal's link leads to a secret path, and the cookie is only sent below it. The path is stored for
// this origin (host and port) and removed from the URL, so that the URL can be bookmarked.
if (location.pathname !== "/") {
  localStorage.setItem(STORAGE_KEY, location.pathname.slice(0, -1));
  history.replaceState(null, "", `/${location.hash}`);
}

/** The URL of an API path in this browser: below the secret path of the newest link.
    @param {string} path */
export const url = (path) => (localStorage.getItem(STORAGE_KEY) ?? "") + path;

export const refused = signal(""); // what to do if the server does not know this page

/** @param {string} method
    @param {string} path
    @param {BodyInit} [body]
    @param {Record<string, string>} headers
    @param {boolean} [keepalive] - finish the request even if the page is closed
    @returns {Promise<any>} of the type that the caller declares */
async function call(method, path, body, headers = {}, keepalive = false) {
  let response;
  try {
    response = await fetch(url(path), { method, body, headers, keepalive, credentials: "same-origin" });
  } catch {
    throw new Error("The studio’s server is not responding. Is its terminal still open?");
  }
  refused.value = response.status === 401 ? CLOSED : "";
  if (response.status === 204) return null;
  const type = response.headers.get("content-type") ?? "";
  const answer = type.startsWith("application/json") ? await response.json() : await response.text();
  if (!response.ok) {
    const message = answer?.error ?? `The server responded with status ${response.status}.`;
    throw Object.assign(new Error(refused.value || sentence(message)), { status: response.status });
  }
  return answer;
}

/** @param {string} text */
const sentence = (text) => text[0].toUpperCase() + text.slice(1) + (/[.?)]$/.test(text) ? "" : ".");
const json = { "content-type": "application/json" };

/** @param {string} path */
export const get = (path) => call("GET", path);
/** @param {string} path
    @param {object} body
    @param {boolean} [keepalive] - finish the request even if the page is closed */
export const post = (path, body = {}, keepalive = false) =>
  call("POST", path, JSON.stringify(body), json, keepalive);
/** @param {string} path
    @param {object} body */
export const patch = (path, body) => call("PATCH", path, JSON.stringify(body), json);
/** @param {string} path */
export const remove = (path) => call("DELETE", path);

/** Upload a picture (a File or Blob).
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

/** Read a page or a pad's drawing.

    A `glance` is quick, for a moving pen: touching digits are not cut apart, and contributions are left out.
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

/** Classify a picture.
    @param {Blob} blob
    @param {string} network
    @param {number} [top] - the number of answers
    @returns {Promise<{ answers: Answer[] }>} */
export const classify = (blob, network, top = 5) =>
  call("POST", `/api/classify?top=${top}&network=${encodeURIComponent(network)}`, blob, {
    "content-type": blob.type,
  });

/** The steps from a page to the network's input, as a picture.
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
