// The queue: a strip with the current job that is always shown, and a panel above it with all jobs.

import { roomAddress } from "./again.js";
import { post, preview, remove, patch, thumbnail } from "./api.js";
import { html, signal, time, useEffect, useRef } from "./html.js";
import { useLive } from "./frame.js";
import {
  active,
  address,
  attempt,
  current,
  jobOf,
  jobs,
  kindOf,
  labelOf,
  load,
  notify,
  UNDO_TIME,
  updateJob,
  waitsFor,
} from "./store.js";
import { NotifyMe } from "./report.js";

/** @import { Child, Ref, Signal } from "preact" */
/** @import { Job } from "./api.js" */

const open = signal(false);
/** @type {Signal<string[]>} */
const hidden = signal([]); // ids of finished jobs, which are removed unless that is undone
/** @param {Job} job
    @param {object} changes */
const change = (job, changes) =>
  attempt(async () => {
    updateJob(await patch(`/api/jobs/${job.id}`, changes));
    return true;
  });
/** @param {Job} job */
export const linkTo = (job) =>
  roomAddress(job.kind, job.settings, job.inputs, { job: job.id }) ?? address(job.kind);

/** Remove a job from the queue, which can be undone unless it has begun.
    @param {Job} job
    @param {Job | undefined} following */
async function removeWaiting(job, following) {
  if (!(await change(job, { state: "stopped" })) || job.step) return;
  notify(`${labelOf(job)} was removed from the queue.`, "Undo", () =>
    attempt(async () => {
      const { kind, preset, settings, inputs, title } = job;
      const again = await post("/api/jobs", { kind, preset, settings, inputs, title });
      updateJob(again);
      if (following && jobOf(following.id)?.state === "queued") await change(again, { before: following.id });
      await forget(job);
      load.jobs();
    }),
  );
}

/** Remove a finished job from the list, which can be undone.
    @param {Job} job */
function removeFinished(job) {
  hidden.value = [...hidden.value, job.id];
  const timer = setTimeout(() => attempt(() => forget(job)), UNDO_TIME);
  notify(`${labelOf(job)} was removed from the list.`, "Undo", () => {
    clearTimeout(timer);
    hidden.value = hidden.value.filter((each) => each !== job.id);
  });
}

/** @param {Job} job */
async function forget(job) {
  await remove(`/api/jobs/${job.id}`);
  updateJob({ ...job, gone: true });
}

export function Strip() {
  const job = current.value;
  const waiting = active.value.filter((each) => each.state === "queued").length;
  const live = useLive(job);
  const last = jobs.value.find((each) => each.state === "done");
  const share = job?.steps ? job.step / job.steps : 0;
  return html`
    <section class="strip" aria-label="Current job">
      <div class="thread" aria-hidden="true">
        <span style=${{ transform: `scaleX(${job ? share : 0})` }}></span>
      </div>
      ${
        job
          ? html`
            <a class="now" href=${linkTo(job)}>
              <span class="mini">${live && html`<img src=${live.address} alt="" />`}</span>
              <span class="what">
                <b>${labelOf(job)}</b>${" "}
                <span class="quiet">${kindOf(job)}</span>
              </span>
            </a>
            <span class="how">
              ${
                job.state === "paused"
                  ? "paused"
                  : job.note || (job.step ? `step ${job.step} of ${job.steps}` : "starting")
              }
              ${
                job.state === "running" && job.seconds_left != null
                  ? html`
                    <span class="left"> · ${time(job.seconds_left)} left</span>
                  `
                  : ""
              }
            </span>
            <span class="actions">
              <button
                type="button"
                class="button small"
                onClick=${() => change(job, { state: job.state === "paused" ? "running" : "paused" })}
              >
                ${job.state === "paused" ? "Resume" : "Pause"}
              </button>
              <button
                type="button"
                class="button small"
                onClick=${() => change(job, { state: "stopped" })}
              >
                Stop
              </button>
            </span>
          `
          : last
            ? html`
              <a class="now" href=${linkTo(last)}>
                <span class="mini">
                  ${last.picture && html`<img src=${thumbnail(last.picture)} alt="" />`}
                </span>
                <span class="what">
                  <b>${labelOf(last)}</b>${" "}<span class="quiet">is done</span>
                </span>
              </a>
            `
            : html`<span class="now quiet">The queue is empty.</span>`
      }
      <button
        type="button"
        class="button small all"
        aria-expanded=${open.value}
        onClick=${() => {
          open.value = !open.value;
        }}
      >
        Queue
        ${
          waiting
            ? html`
              ${" "}
              <span class="count">${waiting}</span>
            `
            : ""
        }
      </button>
      ${open.value && html`<${Queue} />`}
    </section>
  `;
}

function Queue() {
  /** @type {Ref<HTMLElement>} */
  const panel = useRef();
  useEffect(() => {
    panel.current.focus({ preventScroll: true });
  }, []);
  const waiting = active.value.filter((job) => job.state === "queued");
  const finished = jobs.value
    .filter(({ id, state }) => ["done", "stopped", "failed"].includes(state) && !hidden.value.includes(id))
    .slice(0, 20);
  const close = () => {
    open.value = false;
  };
  const move = async (index, direction) => {
    const others = waiting.filter((_, each) => each !== index);
    const before = others[index + direction]?.id ?? null;
    await change(waiting[index], { before });
    load.jobs();
  };
  return html`
    <section
      class="queue"
      ref=${panel}
      tabindex="-1"
      aria-labelledby="queue-title"
      onKeyDown=${(event) => {
        if (event.key === "Escape") close();
      }}
    >
      <header>
        <h2 id="queue-title">Queue</h2>
        <${NotifyMe} />
        <button type="button" class="button quiet" onClick=${close}>
          Close
        </button>
      </header>
      ${
        current.value &&
        html`
          <ol>
            <${Row} job=${current.value} />
          </ol>
        `
      }
      ${
        waiting.length > 0 &&
        html`
          <h3>Waiting</h3>
          <ol>
            ${waiting.map(
              (job, index) => html`
                <${Row} key=${job.id} job=${job}>
                  <button
                    type="button"
                    class="button small"
                    disabled=${index === 0}
                    aria-label=${`Move up: ${labelOf(job)}`}
                    onClick=${() => move(index, -1)}
                  >
                    ↑
                  </button>
                  <button
                    type="button"
                    class="button small"
                    disabled=${index === waiting.length - 1}
                    aria-label=${`Move down: ${labelOf(job)}`}
                    onClick=${() => move(index, 1)}
                  >
                    ↓
                  </button>
                  <button
                    type="button"
                    class="button small"
                    onClick=${() => removeWaiting(job, waiting[index + 1])}
                  >
                    Remove
                  </button>
                <//>
              `,
            )}
          </ol>
        `
      }
      ${!active.value.length && html`<p class="quiet">The queue is empty.</p>`}
      ${
        finished.length > 0 &&
        html`
          <h3>Finished</h3>
          <ol>
            ${finished.map(
              (job) => html`
                <${Row} key=${job.id} job=${job}>
                  <button
                    type="button"
                    class="button small quiet"
                    aria-label=${`Remove from list: ${labelOf(job)}`}
                    onClick=${() => removeFinished(job)}
                  >
                    Remove from list
                  </button>
                <//>
              `,
            )}
          </ol>
        `
      }
    </section>
  `;
}

/** @param {{ job: Job, children?: Child }} props */
function Row({ job, children }) {
  const state = {
    queued: waitsFor(job),
    running: `step ${job.step} of ${job.steps || "…"}`,
    paused: "paused",
    done: "done",
    stopped: "stopped",
    failed: `failed: ${job.error ?? ""}`,
  }[job.state];
  return html`
    <li>
      <a href=${linkTo(job)} class="now">
        <span class="mini">
          ${
            job.picture
              ? html`<img src=${thumbnail(job.picture)} alt="" />`
              : job.preview
                ? html`<img src=${preview(job)} alt="" />`
                : ""
          }
        </span>
        <span class="what">
          <b>${labelOf(job)}</b>${" "}
          <span class="quiet">${kindOf(job)}</span>
        </span>
      </a>
      <span class="how">
        ${state}
        ${job.state === "running" && job.seconds_left != null ? ` · ${time(job.seconds_left)} left` : ""}
      </span>
      <span class="actions">${children}</span>
    </li>
  `;
}
