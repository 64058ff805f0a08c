// Inside a cell's frame: what the page tells the notebook, what it hears from it, and how tall it is.

/** Say something to Python: it becomes `told` of the view. */
export const tell = (told) => parent.postMessage({ told }, "*");

/** Hear what Python shows, now and whenever it changes, and keep the cell as tall as the page. */
export function hear(shown) {
  addEventListener("message", ({ source, data }) => {
    if (source === parent && data.shown) shown(data.shown);
  });
  new ResizeObserver(() => parent.postMessage({ height: Math.ceil(document.body.getBoundingClientRect().height) }, "*"))
    .observe(document.body);
  parent.postMessage({ ready: true }, "*");
}
