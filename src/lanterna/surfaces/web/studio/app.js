// The studio's page: the rooms, the queue below them, and the notices.

import { messageOf } from "lanterna/words.js";
import { refused } from "./api.js";
import { listenForDrops, question, Uploading } from "./drop.js";
import { listen } from "./events.js";
import { Help, Helpers, Introduction } from "./help.js";
import { html, render, signal, useEffect } from "./html.js";
import { lazy } from "./lazy.js";
import { linkTo, Strip } from "./queue.js";
import { Make } from "./rooms/make.js";
import { lastAddress, connected, dismiss, home, load, notices, rooms, route, announcement } from "./store.js";
import { report } from "./report.js";

const ready = signal("loading");
const FolderQuestion = lazy(() => import("./folders.js"));
/** @type {Record<string, unknown>} */
const own = {}; // the components of rooms with a script of their own

/** @param {{ room: string }} props */
function Room({ room }) {
  if (!rooms.value.some((each) => each.name === room && each.own)) return html`<${Make} room=${room} />`;
  own[room] ??= lazy(() => import(`./rooms/${room}.js`));
  return html`<${own[room]} />`;
}

function App() {
  const { room } = route.value;
  useEffect(() => {
    document.querySelector(".rooms [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [room]);
  return html`
    <a
      class="skip"
      href="#main"
      onClick=${(event) => {
        event.preventDefault();
        document.getElementById("main")?.focus();
      }}
    >
      Skip to content
    </a>
    <header class="bar">
      <a class="mark" href=${lastAddress(home())}>
        Lanterna
      </a>
      <nav class="rooms" aria-label="Rooms">
        ${rooms.value.map(
          ({ name, title }) => html`
            <a key=${name} href=${lastAddress(name)} aria-current=${name === room ? "page" : undefined}>
              ${title}
            </a>
          `,
        )}
      </nav>
      <${Helpers} />
    </header>
    <${Introduction} />
    <main key=${ready.value} id="main" tabindex="-1">
      ${
        ready.value === "ready"
          ? html`<${Room} key=${room} room=${room} />`
          : ready.value === "loading"
            ? html`
              <p class="empty late" role="status">
                Opening the studio …
              </p>
            `
            : html`
              <p class="empty">
                ${ready.value}${" "}
                <button type="button" class="button small" onClick=${start}>
                  Try again
                </button>
              </p>
            `
      }
    </main>
    <${Strip} />
    <${Help} />
    <div class="notices">
      ${
        ready.value === "ready" && refused.value
          ? html`
            <p class="notice" role="alert">
              ${refused.value}
              <button type="button" class="button small" onClick=${() => location.reload()}>
                Try again
              </button>
            </p>
          `
          : !connected.value &&
            html`
              <p class="notice" role="alert">
                Connection lost: the studio does not answer. Is its terminal still open? Reconnecting …
              </p>
            `
      }
      <${Uploading} />
      ${notices.value.map(
        (each) => html`
          <p class="notice" key=${each.id} role="status">
            ${each.text}
            ${
              each.action &&
              html`
                <button
                  type="button"
                  class="button small"
                  onClick=${() => {
                    dismiss(each.id);
                    each.onAction?.();
                  }}
                >
                  ${each.action}
                </button>
              `
            }
            <button
              type="button"
              class="away"
              aria-label="Dismiss"
              onClick=${() => dismiss(each.id)}
            >
              ×
            </button>
          </p>
        `,
      )}
    </div>
    ${question.value && html`<${FolderQuestion} />`}
    <p class="unseen" aria-live="polite">
      ${announcement.value}
    </p>
  `;
}

async function start() {
  try {
    await load.all();
    ready.value = "ready";
    listen();
  } catch (error) {
    ready.value = messageOf(error);
  }
}

const host = /** @type {HTMLElement} */ (document.getElementById("app"));
host.replaceChildren();
render(html`<${App} />`, host);
listenForDrops();
report((job) => {
  location.hash = linkTo(job);
});
start();
