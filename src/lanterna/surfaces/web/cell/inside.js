// Inside a cell's iframe: messages to and from the notebook, and the page's height.

/** Send a value to Python, where it becomes the view's `from_page`. */
export const send = (value) => parent.postMessage({ value }, "*");

/** Call `shown` with Python's value, now and on every change, and keep the cell as tall as the page. */
export function receive(shown) {
  addEventListener("message", ({ source, data }) => {
    if (source === parent && data.shown) shown(data.shown);
  });
  const measure = () =>
    parent.postMessage({ height: Math.ceil(document.body.getBoundingClientRect().height) }, "*");
  new ResizeObserver(measure).observe(document.body);
  measure(); // an iframe outside the viewport is observed only when scrolled to, and would jump then
  parent.postMessage({ ready: true }, "*");
}
