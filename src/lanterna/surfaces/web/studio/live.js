// Changes to a running job's settings: collected, and sent together, so that none is lost.

import { patch } from "./api.js";
import { useEffect, useRef } from "./html.js";
import { attempt, updateJob } from "./store.js";

/** @import { Ref } from "preact" */
/** @import { Job, Settings } from "./api.js" */

const INTERVAL = 250; // milliseconds in which changes are collected

/** A function that changes a setting of the room's job, once it runs.
    @param {Job | null} job
    @returns {(name: string, value: any) => void} */
export function useLiveSettings(job) {
  /** @type {Ref<{ job: Job | null, changes: Settings, timer: number }>} */
  const { current: state } = useRef({ job, changes: {}, timer: 0 });
  state.job = job;
  function send() {
    const { changes } = state;
    state.timer = 0;
    if (!state.job || !["running", "paused"].includes(state.job.state) || !Object.keys(changes).length)
      return;
    const path = `/api/jobs/${state.job.id}`;
    state.changes = {};
    attempt(async () => updateJob(await patch(path, { settings: changes })));
  }
  useEffect(send, [job?.id, job?.state]); // what was changed before it ran
  return (name, value) => {
    state.changes[name] = value;
    state.timer ||= setTimeout(send, INTERVAL);
  };
}
