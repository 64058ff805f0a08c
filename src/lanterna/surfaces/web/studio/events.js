// Server-sent events. The browser resumes a broken stream by itself; if it gives up (the server was down), a
// new stream is opened after a delay, and everything is loaded again.

import { get, url } from "./api.js";
import { changed, connected, load, updateJob } from "./store.js";

let delay = 500;

export function listen() {
  const stream = new EventSource(url("/api/events"));
  /** @param {string} name
      @param {(data: any) => void} handle */
  const on = (name, handle) => stream.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  stream.addEventListener("open", () => {
    if (!connected.value) load.all().catch(() => {});
    connected.value = true;
    delay = 500;
  });
  on("job", updateJob);
  on("gallery", () => {
    changed.value += 1;
  });
  on("shelf", () => {
    load.shelf().catch(() => {});
  });
  on("reset", () => {
    load.all();
    changed.value += 1;
  });
  stream.addEventListener("error", async () => {
    connected.value = false;
    if (stream.readyState !== EventSource.CLOSED) return;
    await get("/api/jobs").catch(() => {}); // finds out whether the server knows this page
    setTimeout(listen, delay);
    delay = Math.min(8000, delay * 2);
  });
}
