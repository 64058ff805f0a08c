// The studio's page: the rooms, the queue below them, and the notices.

import { messageOf } from "lanterna/words.js";
import { listen } from "./events.js";
import { html, render, signal, useEffect } from "./html.js";
import { Strip } from "./queue.js";
import { Gallery } from "./rooms/gallery.js";
import { Make } from "./rooms/make.js";
import {
  lastAddress,
  connected,
  dismiss,
  home,
  load,
  notices,
  refused,
  rooms,
  route,
  announcement,
} from "./store.js";

/** @import { Signal } from "preact" */

const ready = signal("loading");
/** @type {Signal<Record<string, unknown>>} */
const loaded = signal({}); // the components of rooms whose module has loaded

/** @param {{ room: string }} props */
function Room({ room }) {
  const own = rooms.value.some(({ name, own }) => name === room && own) && room !== "gallery";
  useEffect(() => {
    if (own && !loaded.value[room]) {
      import(`./rooms/${room}.js`).then(
        (module) => {
          loaded.value = { ...loaded.value, [room]: module.default };
        },
        () => {
          loaded.value = { ...loaded.value, [room]: LoadFailed };
        },
      );
    }
  }, [room]);
  if (room === "gallery") return html`<${Gallery} />`;
  if (!own) return html`<${Make} room=${room} />`;
  const Loaded = loaded.value[room];
  return Loaded ? html`<${Loaded} />` : null;
}

const LoadFailed = () => html`
  <div class="room">
    <p class="empty">
      This room could not be loaded.${" "}
      <button type="button" class="button small" onClick=${() => location.reload()}>
        Try again
      </button>
    </p>
  </div>
`;

function App() {
  const { room } = route.value;
  const label = rooms.value.find(({ name }) => name === room)?.title ?? "Lanterna";
  useEffect(() => {
    document.title = `${label} – Lanterna`;
  }, [label]);
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
    </header>
    <main id="main" tabindex="-1">
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
    <div class="notices">
      ${
        !connected.value &&
        html`
          <p class="notice">
            ${
              refused.value ||
              "Connection lost. Reconnecting … " +
                "If the studio was restarted, open the new address from its terminal."
            }
          </p>
        `
      }
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
start();
