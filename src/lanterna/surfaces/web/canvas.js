// Canvas helpers.

/** The context of a canvas, which every browser has.
    @template {HTMLCanvasElement | OffscreenCanvas} C
    @param {C} canvas
    @param {CanvasRenderingContext2DSettings} [options]
    @returns {C extends OffscreenCanvas ? OffscreenCanvasRenderingContext2D : CanvasRenderingContext2D} */
export function contextOf(canvas, options) {
  return /** @type {any} */ (canvas.getContext("2d", options));
}
