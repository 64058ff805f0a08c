// Items that the shelf lacks: a description, the size, a button to fetch each, and its progress.

import { post } from "./api.js";
import { html } from "./html.js";
import { attempt, jobs, updateJob, shelf } from "./store.js";

/** @import { ShelfItem } from "./api.js" */

/** @param {number} bytes */
const size = (bytes) =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;

/** The named items that have not been fetched.
    @param {string[]} names */
export const missing = (names) => shelf.value.filter((item) => names.includes(item.name) && !item.here);

/** A line and a button for each of `names` that has not been fetched; `words` introduce them.
    @param {{ names: string[], words: string }} props */
export function Fetch({ names, words }) {
  const missingItems = missing(names);
  if (!missingItems.length) return null;
  return html`
    <div class="fetch" role="group" aria-label="Required downloads">
      <p>${words}</p>
      ${missingItems.map((item) => html`<${Item} key=${item.name} item=${item} />`)}
    </div>
  `;
}

/** @param {{ item: ShelfItem }} props */
function Item({ item }) {
  const job = jobs.value.find(
    (each) => each.kind === "fetch" && each.settings.item === item.name && each.state !== "done",
  );
  const fetching = job && ["queued", "running", "paused"].includes(job.state);
  return html`
    <div class="item">
      <span>
        <b>${item.name}</b>${" "}
        <span class="quiet">
          ${item.what}, ${size(item.bytes)}
        </span>
      </span>
      ${
        fetching
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
              onClick=${() => attempt(async () => updateJob(await post(`/api/shelf/${item.name}`)))}
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

/** A hint that a job will fetch items first.
    @param {{ names: string[] }} props */
export function FirstTime({ names }) {
  const missingItems = missing(names);
  if (!missingItems.length) return null;
  return html`
    <p class="hint">
      The first time,${" "}
      ${missingItems.map((item) => `${item.name} (${size(item.bytes)})`).join(" and ")} will be
      downloaded.
    </p>
  `;
}
