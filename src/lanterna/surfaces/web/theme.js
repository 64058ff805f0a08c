// The theme: the system's, or the one that was chosen. This is no module, so that it runs before anything is
// painted. The studio finds the choice in its storage; a frame, which has none, asks the page around it.

(() => {
  const KEY = "lanterna-theme"; // as in studio/help.js
  const framed = parent !== window;
  /** @type {Map<CSSMediaRule, string>} */
  const originals = new Map();
  const chosen = () => (framed ? "" : localStorage.getItem(KEY)) ?? "";

  /** Have the rules for a light or dark system apply to a theme instead; "" for the system's.
      @param {string} theme */
  function apply(theme) {
    for (const rule of [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])) {
      if (!(rule instanceof CSSMediaRule)) continue;
      const original = originals.get(rule) ?? rule.media.mediaText;
      const scheme = /prefers-color-scheme:\s*(light|dark)/.exec(original)?.[1];
      if (!scheme) continue;
      originals.set(rule, original);
      rule.media.mediaText = !theme ? original : theme === scheme ? "all" : "not all";
    }
    for (const frame of document.querySelectorAll("iframe")) frame.contentWindow?.postMessage({ theme }, "*");
    dispatchEvent(new Event("theme")); // what is drawn in the theme's colours is drawn again
  }

  addEventListener("message", ({ data, source }) => {
    if (data?.theme === undefined) return;
    if (framed && source === parent) apply(data.theme);
    else if (!framed) /** @type {Window} */ (source).postMessage({ theme: chosen() }, "*");
  });
  addEventListener("storage", ({ key }) => key === KEY && apply(chosen()));
  if (framed) parent.postMessage({ theme: "?" }, "*");
  else if (chosen()) apply(chosen());
})();
