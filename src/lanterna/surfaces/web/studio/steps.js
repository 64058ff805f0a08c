// The way that a job has come, as a filmstrip: earlier steps are looked at, gone back to, and branched from.

import { patch, post, url } from "./api.js";
import { html, useEffect, useRef } from "./html.js";
import { attempt, keep, put } from "./store.js";

/** @import { Ref } from "preact" */
/** @import { Job, Settings } from "./api.js" */

// By job and step, the preview that was there when it came: a step that is made again is another picture.
/** @type {Record<string, Record<number, number>>} */
const came = {};

/** The address of a step's picture.
    @param {Job} job
    @param {number} step */
export const stepPicture = (job, step) =>
  url(`/api/jobs/${job.id}/history/${step}?n=${came[job.id]?.[step] ?? 0}`);

/** The steps of a job that are kept. `at` is the one that is looked at (null: the newest); `look(step)` is
    told.

    `settings` are those that a branch is to have.
    @param {{ job: Job, at: number | null, look: (step: number | null) => void, settings: Settings }} props */
export function Steps({ job, at, look, settings }) {
  /** @type {Ref<HTMLElement>} */
  const strip = useRef();
  const steps = job?.history?.map(({ step }) => step) ?? [];
  if (job)
    came[job.id] = Object.fromEntries(steps.map((step) => [step, came[job.id]?.[step] ?? job.preview]));
  useEffect(() => {
    if (at != null && !steps.includes(at)) look(null);
  }, [at, steps.join()]);
  useEffect(() => {
    if (at == null && strip.current) strip.current.scrollLeft = strip.current.scrollWidth;
  }, [steps.length, at]);
  const under = job && ["running", "paused"].includes(job.state);

  function moved(event) {
    const here = at == null ? steps.length : steps.indexOf(at);
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: steps.length }[event.key];
    if (to == null || to < 0) return;
    event.preventDefault();
    look(steps[to] ?? null);
    strip.current.querySelectorAll("button")[Math.min(to, steps.length)]?.focus();
  }
  const back = () =>
    attempt(async () => {
      put(await patch(`/api/jobs/${job.id}`, { back: at }));
      look(null);
    });
  const branch = (step, changes) =>
    attempt(async () => {
      const made = await post("/api/jobs", {
        kind: job.kind,
        parent: job.id,
        at: step,
        settings: changes,
      });
      put(made);
      look(null);
      keep({ job: made.id });
    });
  const last = steps.at(-1);
  return html`
    <div class="way">
      ${
        steps.length > 0 &&
        html`
          <div
            class="strip-of"
            ref=${strip}
            role="radiogroup"
            aria-label="Earlier steps"
            onKeyDown=${moved}
          >
            ${steps.map(
              (step) => html`
                <button
                  type="button"
                  role="radio"
                  key=${step}
                  aria-checked=${step === at}
                  tabindex=${step === at || (at == null && step === last) ? 0 : -1}
                  aria-label=${`Step ${step}`}
                  onClick=${() => look(step === at ? null : step)}
                >
                  <img src=${stepPicture(job, step)} alt="" loading="lazy" />
                </button>
              `,
            )}
            <button
              type="button"
              role="radio"
              class="newest"
              aria-checked=${at == null}
              tabindex=${-1}
              onClick=${() => look(null)}
            >
              ${under ? "now" : "end"}
            </button>
          </div>
          <div class="turns">
            ${
              at != null
                ? html`
                  <span class="quiet">step ${at}</span>
                  ${
                    under &&
                    html`
                      <button type="button" class="button small" onClick=${back}>
                        Go back here
                      </button>
                    `
                  }
                  <button
                    type="button"
                    class="button small"
                    onClick=${() => branch(at, settings)}
                    title="Start another job from here with the current settings"
                  >
                    Branch from here
                  </button>
                `
                : job.state === "stopped" || job.state === "failed"
                  ? html`
                    <button type="button" class="button small" onClick=${() => branch(last, {})}>
                      Resume from step ${last}
                    </button>
                  `
                  : html`<span class="quiet">History</span>`
            }
          </div>
        `
      }
    </div>
  `;
}
