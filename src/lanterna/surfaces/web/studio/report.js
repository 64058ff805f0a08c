// Reports of jobs: in the tab's title, in a notice, and, if wanted, outside the browser.

import { thumbnail } from "./api.js";
import { effect, html, signal } from "./html.js";
import { current, ended, notify, rooms, route, subject, titleOf } from "./store.js";

/** @import { Job } from "./api.js" */

const STORAGE_KEY = "lanterna-notify";
const SETTLED = 400; // milliseconds after which the room that started a job shows it
const can = "Notification" in globalThis && isSecureContext;
const wanted = signal(can && Notification.permission === "granted" && !!localStorage.getItem(STORAGE_KEY));
const unseen = signal(""); // what has ended while the tab was hidden

/** Report how far a job is and that it has ended; `open(job)` shows one.
    @param {(job: Job) => void} open */
export function report(open) {
  effect(() => {
    const job = current.value;
    const share = job?.state === "running" && job.steps ? Math.floor((100 * job.step) / job.steps) : null;
    const room = rooms.value.find(({ name }) => name === route.value.room)?.title ?? "Lanterna";
    const title = subject.value || room;
    document.title = `${
      job && share != null
        ? `${share} % · ${titleOf(job.kind)}`
        : unseen.value
          ? `Done · ${unseen.value}`
          : title
    } – Lanterna`;
  });
  effect(() => {
    const job = ended.value;
    if (!job) return;
    ended.value = null; // once
    if (job.state === "stopped") return;
    const words =
      job.state === "failed" ? `${job.title} failed. ${job.error ?? ""}` : `${job.title} is done.`;
    if (job.state === "failed") notify(words);
    else if (job.kind !== "fetch")
      setTimeout(() => {
        if (route.peek().query.get("job") !== job.id) notify(words, "Open", () => open(job));
      }, SETTLED);
    if (!document.hidden) return;
    unseen.value = titleOf(job.kind);
    if (!wanted.peek()) return;
    const notification = new Notification(words, {
      tag: job.id, // once, however many tabs are open
      icon: job.picture ? thumbnail(job.picture) : undefined,
    });
    notification.onclick = () => {
      focus();
      open(job);
    };
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) unseen.value = "";
  });
}

/** A switch for notifications outside the browser. */
export const NotifyMe = () =>
  can &&
  html`
    <label class="check">
      <input
        type="checkbox"
        checked=${wanted.value}
        onChange=${async (event) => {
          const on = event.target.checked && (await Notification.requestPermission()) === "granted";
          wanted.value = on;
          event.target.checked = on;
          if (on) localStorage.setItem(STORAGE_KEY, "1");
          else localStorage.removeItem(STORAGE_KEY);
        }}
      />${" "}
      Notify me when a job is done
    </label>
  `;
