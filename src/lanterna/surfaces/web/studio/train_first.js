// What to do where digits are read and no network has been trained yet: train one, here and now.

import { post } from "./api.js";
import { html, time, useEffect, useState } from "./html.js";
import { active, attempt, load, networks, updateJob, waitsFor } from "./store.js";

/** @import { State } from "preact" */

const ORDER = { kind: "train", preset: "fast", settings: {}, inputs: [], title: "conv" };

/** The networks that read digits, `conv` first. */
export const readers = () =>
  networks.value
    .filter((each) => each.here && each.input?.[0] === 1)
    .sort((a, b) => Number(b.name === "conv") - Number(a.name === "conv"));

/** Why nothing can be read yet, and a button that trains a network; then how far that is.
    @param {{ words: string }} props */
export function TrainFirst({ words }) {
  const [seconds, setSeconds] = useState(/** @type {number | null} */ (null));
  const job = active.value.find(({ kind }) => kind === ORDER.kind);
  useEffect(() => {
    let left = false;
    load.networks().catch(() => {}); // one may have been trained elsewhere
    post("/api/jobs/check", { ...ORDER, title: "" }).then(
      (found) => left || setSeconds(found.seconds),
      () => {},
    );
    return () => {
      left = true;
    };
  }, []);
  const start = () => attempt(async () => updateJob(await post("/api/jobs", ORDER)));
  return html`
    <div class="train-first">
      <p>${words}</p>
      <p role="status">
        ${
          job &&
          (job.state === "queued"
            ? `The training ${waitsFor(job)}.`
            : `Training: step ${job.step} of ${job.steps || "…"}` +
              `${job.seconds_left == null ? "" : `, ${time(job.seconds_left)} left`}.`)
        }
      </p>
      ${
        job
          ? html`<progress
              max=${job.steps || 1}
              value=${job.steps ? job.step : undefined}
              aria-label="Training"
            ></progress>`
          : html`
            <button type="button" class="button primary" onClick=${start}>
              Train a network${seconds ? ` (about ${time(seconds)})` : ""}
            </button>
          `
      }
    </div>
  `;
}
