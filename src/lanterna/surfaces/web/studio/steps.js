// A job's saved steps as a filmstrip: view an earlier one, go back to it, or branch from it.

import { patch, post, url } from "./api.js";
import { html, useEffect, useRef } from "./html.js";
import { attempt, setQuery, updateJob } from "./store.js";

/** @import { Ref } from "preact" */
/** @import { Job, Settings } from "./api.js" */

// By job and step, the preview's number when the step was saved, since a repeated step has a new picture.
/** @type {Record<string, Record<number, number>>} */
const savedAt = {};

/** The URL of a step's picture.
    @param {Job} job
    @param {number} step */
export const stepPicture = (job, step) =>
  url(`/api/jobs/${job.id}/history/${step}?n=${savedAt[job.id]?.[step] ?? 0}`);

/** A job's saved steps. `at` is the one that is shown (null: the newest); `look(step)` shows another.

    `settings` are the settings of a branch.
    @param {{ job: Job, at: number | null, look: (step: number | null) => void, settings: Settings }} props */
export function Steps({ job, at, look, settings }) {
  /** @type {Ref<HTMLElement>} */
  const strip = useRef();
  const steps = job?.history?.map(({ step }) => step) ?? [];
  if (job)
    savedAt[job.id] = Object.fromEntries(steps.map((step) => [step, savedAt[job.id]?.[step] ?? job.preview]));
  useEffect(() => {
    if (at != null && !steps.includes(at)) look(null);
  }, [at, steps.join()]);
  useEffect(() => {
    if (!strip.current) return;
    if (at == null) strip.current.scrollLeft = strip.current.scrollWidth;
    else
      strip.current
        .querySelector("[aria-checked=true]")
        ?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [job?.id, steps.length, at]);
  const active = job && ["running", "paused"].includes(job.state);

  function moveByKey(event) {
    const current = at == null ? steps.length : steps.indexOf(at);
    const target = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: steps.length }[event.key];
    if (target == null || target < 0) return;
    event.preventDefault();
    look(steps[target] ?? null);
    strip.current.querySelectorAll("button")[Math.min(target, steps.length)]?.focus();
  }
  const goBack = () =>
    attempt(async () => {
      updateJob(await patch(`/api/jobs/${job.id}`, { back: at }));
      look(null);
    });
  const branch = (step, changes) =>
    attempt(async () => {
      const created = await post("/api/jobs", {
        kind: job.kind,
        parent: job.id,
        at: step,
        settings: changes,
      });
      updateJob(created);
      look(null);
      setQuery({ job: created.id });
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
            onKeyDown=${moveByKey}
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
              ${active ? "now" : "end"}
            </button>
          </div>
          <div class="turns">
            ${
              at != null
                ? html`
                  <span class="quiet">step ${at}</span>
                  ${
                    active &&
                    html`
                      <button type="button" class="button small" onClick=${goBack}>
                        Go back to this step
                      </button>
                    `
                  }
                  <button
                    type="button"
                    class="button small"
                    onClick=${() => branch(at, settings)}
                    title="Start another job from this step with the current settings"
                  >
                    Branch from this step
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
