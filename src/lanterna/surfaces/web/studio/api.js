// The server's API. Whatever goes wrong is an Error whose message a person can read.

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

/** Where a path of the API is for this browser: below the secret path that the newest link led to. */
export const url = (path) => (localStorage.getItem(PLACE) ?? "") + path;

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
    const error = new Error(
      response.status === 401 ? CLOSED : sentence(answer?.error ?? `The server answers ${response.status}.`),
    );
    error.status = response.status;
    throw error;
  }
  return answer;
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1) + (/[.?)]$/.test(text) ? "" : ".");
const json = { "content-type": "application/json" };

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, JSON.stringify(body), json);
export const patch = (path, body) => call("PATCH", path, JSON.stringify(body), json);
export const remove = (path) => call("DELETE", path);

/** Send a picture (a File or Blob): `{id, width, height, recipe}`. */
export function upload(blob, title = blob.name ?? "") {
  if (!blob.type.startsWith("image/"))
    return Promise.reject(new Error("That is no picture: PNG, JPEG, WebP, AVIF or HEIF is wanted."));
  return call("POST", `/api/pictures?title=${encodeURIComponent(title)}`, blob, {
    "content-type": blob.type,
  });
}

/** Read a page, or what is on a pad: `{digits, milliseconds}`.

    A `glance` is quick, for a pen that moves: touching digits are not cut apart, and nothing is explained. */
export const read = (blob, network, surface, glance) =>
  call(
    "POST",
    `/api/read?${glance ? "cut=0" : "why=1"}&surface=${surface}&network=${encodeURIComponent(network)}`,
    blob,
    { "content-type": blob.type },
  );

/** What is in a picture: `{answers: [{name, chance}]}`. */
export const classify = (blob, network) =>
  call("POST", `/api/classify?network=${encodeURIComponent(network)}`, blob, { "content-type": blob.type });

/** The steps from a page to what the network sees, as a picture. */
export async function readSteps(blob, network, surface) {
  const response = await fetch(
    url(`/api/read/steps?surface=${surface}&network=${encodeURIComponent(network)}`),
    { method: "POST", body: blob, headers: { "content-type": blob.type }, credentials: "same-origin" },
  );
  if (!response.ok) throw new Error(sentence((await response.json()).error));
  return response.blob();
}

export const file = (id) => url(`/api/pictures/${id}/file`);
export const thumbnail = (id) => url(`/api/pictures/${id}/thumbnail`);
export const preview = (job) => url(`/api/jobs/${job.id}/preview?n=${job.preview}`);
