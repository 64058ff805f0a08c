// Links to the other network take the drawing with them. This is no module: it is part of the page's text.

addEventListener("click", ({ target }) => {
  const link = target instanceof Element && target.closest("a[data-carry]");
  const ink = new URLSearchParams(location.hash.slice(1)).get("ink");
  if (link instanceof HTMLAnchorElement) link.hash = ink ? `ink=${ink}` : "";
});
