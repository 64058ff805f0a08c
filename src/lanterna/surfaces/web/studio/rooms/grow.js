// Grow: textures and shapes, and the page in which one lives.

import { get, url } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { usePicture } from "../pictures.js";
import { address, jobOf, route } from "../store.js";
import { Make } from "./make.js";

export default function Grow() {
  const { query } = route.value;
  const alive = query.get("alive");
  const job = query.get("job");
  const grown = usePicture(jobOf(job ?? "")?.picture ?? null);
  const back = { kind: query.get("kind"), job };
  if (alive) return html`<${Alive} id=${alive} back=${back} />`;
  const watch =
    grown?.also === ".safetensors" &&
    html`
      <p>
        <a href=${address("grow", { alive: grown.id, ...back })}>Watch it live, and wipe it</a>
      </p>
    `;
  return html`<${Make} room="grow" extra=${watch} />`;
}

/** The page in which a texture or a shape lives, in a sandboxed frame that cannot reach the studio.
    @param {{ id: string, back: Record<string, string | null> }} props */
function Alive({ id, back }) {
  const [problem, setProblem] = useState("");
  const page = `/api/look/texture?picture=${id}`;
  useEffect(() => {
    get(page).catch((error) => setProblem(error.message));
  }, [page]);
  return html`
    <div class="room look">
      <p class="finder"><a href=${address("grow", back)}>Back to the picture</a></p>
      ${
        problem
          ? html`<p class="empty" role="status">${problem}</p>`
          : html`<iframe src=${url(page)} sandbox="allow-scripts" title="What grew, alive"></iframe>`
      }
    </div>
  `;
}
