// What the shelf does not have yet: what it is, how large, a button that fetches it, and a bar while it
// comes.

import { post } from "./api.js";
import { html } from "./html.js";
import { attempt, jobs, put, shelf } from "./store.js";

/** @import { ShelfItem } from "./api.js" */

/** @param {number} bytes */
const size = (bytes) =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;

/** Of these items (by name) those that are not here.
    @param {string[]} names */
export const missing = (names) => shelf.value.filter((item) => names.includes(item.name) && !item.here);

/** A line and a button for each of `names` that is not here; `words` say what it is wanted for.
    @param {{ names: string[], words: string }} props */
export function Fetch({ names, words }) {
  const wanted = missing(names);
  if (!wanted.length) return null;
  return html`
    <div class="fetch" role="group" aria-label="To be fetched first">
      <p>${words}</p>
      ${wanted.map((item) => html`<${Item} key=${item.name} item=${item} />`)}
    </div>
  `;
}

/** @param {{ item: ShelfItem }} props */
function Item({ item }) {
  const job = jobs.value.find(
    (each) => each.kind === "fetch" && each.settings.item === item.name && each.state !== "done",
  );
  const coming = job && ["queued", "running", "paused"].includes(job.state);
  return html`
    <div class="item">
      <span>
        <b>${item.name}</b>${" "}
        <span class="quiet">
          ${item.what}, ${size(item.bytes)}
        </span>
      </span>
      ${
        coming
          ? html`
            <progress
              max=${job.steps || 1}
              value=${job.steps ? job.step : undefined}
              aria-label=${`Fetching ${item.name}`}
            ></progress>
          `
          : html`
            <button
              type="button"
              class="button small"
              onClick=${() => attempt(async () => put(await post(`/api/shelf/${item.name}`)))}
            >
              Fetch ${size(item.bytes)}
            </button>
          `
      }
      ${
        job?.state === "failed" &&
        html`
          <p class="quiet" role="status">
            ${job.error}
          </p>
        `
      }
    </div>
  `;
}

/** One line before a job begins that will have to fetch something.
    @param {{ names: string[] }} props */
export function FirstTime({ names }) {
  const wanted = missing(names);
  if (!wanted.length) return null;
  return html`
    <p class="hint">
      The first time, ${wanted.map((item) => `${item.name} (${size(item.bytes)})`).join(" and ")} is
      fetched.
    </p>
  `;
}
