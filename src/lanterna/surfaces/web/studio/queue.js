// The queue: a strip that is always there, and all of it in a panel that opens above.

import { place } from "./again.js";
import { preview, remove, patch, thumbnail } from "./api.js";
import { html, signal, time, useEffect, useRef, words } from "./html.js";
import { useLive } from "./frame.js";
import { active, address, attempt, current, jobs, load, put, techniqueOf } from "./store.js";

/** @import { Child, Ref } from "preact" */
/** @import { Job } from "./api.js" */

const open = signal(false);
/** @param {Job} job
    @param {object} changes */
const change = (job, changes) => attempt(async () => put(await patch(`/api/jobs/${job.id}`, changes)));
/** @param {Job} job */
function name(job) {
  const technique = techniqueOf(job.kind);
  if (!technique) return job.kind;
  const room = words(technique.room);
  return technique.title === room || technique.room === "shelf"
    ? technique.title
    : `${room}: ${technique.title.toLowerCase()}`;
}
/** @param {Job} job */
const where = (job) => place(job.kind, job.settings, job.inputs, { job: job.id }) ?? address(job.kind);

export function Strip() {
  const job = current.value;
  const waiting = active.value.filter((each) => each.state === "queued").length;
  const live = useLive(job);
  const last = jobs.value.find((each) => each.state === "done");
  const share = job?.steps ? job.step / job.steps : 0;
  return html`
    <section class="strip" aria-label="What is being done">
      <div class="thread" aria-hidden="true">
        <span style=${{ transform: `scaleX(${job ? share : 0})` }}></span>
      </div>
      ${
        job
          ? html`
            <a class="now" href=${where(job)}>
              <span class="mini">${live && html`<img src=${live.address} alt="" />`}</span>
              <span class="what">
                <b>${name(job)}</b>${" "}
                <span class="quiet">${job.title && job.title !== name(job) ? job.title : ""}</span>
              </span>
            </a>
            <span class="how">
              ${
                job.state === "paused"
                  ? "paused"
                  : job.note || (job.step ? `step ${job.step} of ${job.steps}` : "beginning")
              }
              ${
                job.state === "running" && job.seconds_left != null
                  ? html`
                    <span class="left"> · ${time(job.seconds_left)} left</span>
                  `
                  : ""
              }
            </span>
            <span class="doing">
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
              <a class="now" href=${where(last)}>
                <span class="mini">
                  ${last.picture && html`<img src=${thumbnail(last.picture)} alt="" />`}
                </span>
                <span class="what">
                  <b>${name(last)}</b> <span class="quiet">is done</span>
                </span>
              </a>
            `
            : html`<span class="now quiet">Nothing is running.</span>`
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
  const ended = jobs.value.filter((job) => ["done", "stopped", "failed"].includes(job.state)).slice(0, 20);
  const close = () => {
    open.value = false;
  };
  const move = async (place, way) => {
    const others = waiting.filter((_, each) => each !== place);
    const before = others[place + way]?.id ?? null;
    await change(waiting[place], { before });
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
              (job, place) => html`
                <${Row} key=${job.id} job=${job}>
                  <button
                    type="button"
                    class="button small"
                    disabled=${place === 0}
                    aria-label=${`Sooner: ${name(job)}`}
                    onClick=${() => move(place, -1)}
                  >
                    ↑
                  </button>
                  <button
                    type="button"
                    class="button small"
                    disabled=${place === waiting.length - 1}
                    aria-label=${`Later: ${name(job)}`}
                    onClick=${() => move(place, 1)}
                  >
                    ↓
                  </button>
                  <button
                    type="button"
                    class="button small"
                    onClick=${() => change(job, { state: "stopped" })}
                  >
                    Remove
                  </button>
                <//>
              `,
            )}
          </ol>
        `
      }
      ${!active.value.length && html`<p class="quiet">Nothing is running, and nothing waits.</p>`}
      ${
        ended.length > 0 &&
        html`
          <h3>Finished</h3>
          <ol>
            ${ended.map(
              (job) => html`
                <${Row} key=${job.id} job=${job}>
                  <button
                    type="button"
                    class="button small quiet"
                    aria-label=${`Remove from list: ${name(job)}`}
                    onClick=${() =>
                      attempt(async () => {
                        await remove(`/api/jobs/${job.id}`);
                        put({ ...job, gone: true });
                      })}
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
    queued: "waits",
    running: `step ${job.step} of ${job.steps || "…"}`,
    paused: "paused",
    done: "done",
    stopped: "stopped",
    failed: `failed: ${job.error ?? ""}`,
  }[job.state];
  return html`
    <li>
      <a href=${where(job)} class="now">
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
          <b>${name(job)}</b>${" "}
          <span class="quiet">${job.title && job.title !== name(job) ? job.title : ""}</span>
        </span>
      </a>
      <span class="how">
        ${state}
        ${job.state === "running" && job.seconds_left != null ? ` · ${time(job.seconds_left)} left` : ""}
      </span>
      <span class="doing">${children}</span>
    </li>
  `;
}
