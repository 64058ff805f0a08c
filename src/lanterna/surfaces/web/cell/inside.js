// Inside a cell's frame: what the page tells the notebook, what it hears from it, and how tall it is.

/** Send a message to Python, where it becomes the view's `from_page`. */
export const tell = (told) => parent.postMessage({ told }, "*");

/** Hear what Python shows, now and whenever it changes, and keep the cell as tall as the page. */
export function hear(shown) {
  addEventListener("message", ({ source, data }) => {
    if (source === parent && data.shown) shown(data.shown);
  });
  const measure = () =>
    parent.postMessage({ height: Math.ceil(document.body.getBoundingClientRect().height) }, "*");
  new ResizeObserver(measure).observe(document.body);
  measure(); // a frame that is out of sight is observed only when it comes into sight, and would jump then
  parent.postMessage({ ready: true }, "*");
}
