// Grow: textures, and the page in which one lives.

import { get, url } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { usePicture } from "../pictures.js";
import { address, jobOf, route } from "../store.js";
import { Make } from "./make.js";

export default function Grow() {
  const { query } = route.value;
  const alive = query.get("alive");
  const grown = usePicture(jobOf(query.get("job") ?? "")?.picture ?? null);
  if (alive) return html`<${Alive} id=${alive} job=${query.get("job")} />`;
  const watch =
    grown?.also === ".safetensors" &&
    html`
      <p>
        <a href=${address("grow", { alive: grown.id, job: query.get("job") })}>Watch it live, and wipe it</a>
      </p>
    `;
  return html`<${Make} room="grow" extra=${watch} />`;
}

/** The page in which a texture lives, in a sandboxed frame that cannot reach the studio.
    @param {{ id: string, job: string | null }} props */
function Alive({ id, job }) {
  const [problem, setProblem] = useState("");
  const page = `/api/look/texture?picture=${id}`;
  useEffect(() => {
    get(page).catch((error) => setProblem(error.message));
  }, [page]);
  return html`
    <div class="room look">
      <p class="finder"><a href=${address("grow", job ? { job } : {})}>Back to the picture</a></p>
      ${
        problem
          ? html`<p class="empty" role="status">${problem}</p>`
          : html`<iframe src=${url(page)} sandbox="allow-scripts" title="The texture, alive"></iframe>`
      }
    </div>
  `;
}
