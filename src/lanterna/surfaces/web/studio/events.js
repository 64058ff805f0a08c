// What happens on the server, as it happens. The browser takes up a broken stream where it was; where it
// gives up (the server was away), another one is begun after a while, and everything is asked for anew.

import { get, Refusal, url } from "./api.js";
import { changed, connected, load, put, refused } from "./store.js";

let wait = 500;

export function listen() {
  const stream = new EventSource(url("/api/events"));
  /** @param {string} name
      @param {(data: any) => void} does */
  const on = (name, does) => stream.addEventListener(name, (event) => does(JSON.parse(event.data)));
  stream.addEventListener("open", () => {
    if (!connected.value) load.all().catch(() => {});
    connected.value = true;
    refused.value = "";
    wait = 500;
  });
  on("job", put);
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
    refused.value = await get("/api/jobs").then(
      () => "",
      (error) => (error instanceof Refusal && error.status === 401 ? error.message : ""),
    );
    setTimeout(listen, wait);
    wait = Math.min(8000, wait * 2);
  });
}
