// Layers small enough to compute on a page: kernels over a square picture, which continues on its other side.

/** @typedef {object} Layer - kernels of `size` × `size` numbers for each of `channels`, one after another
    @property {number} size - odd
    @property {number} channels
    @property {ArrayLike<number>[]} kernels */

/** Visit every number that a kernel multiplies: `visit(place, from, weight)`, `from` counted over all
    channels, which lie one after another.
    @param {Layer} layer
    @param {ArrayLike<number>} kernel
    @param {number} side
    @param {(place: number, from: number, weight: number) => void} visit */
function slide({ size, channels }, kernel, side, visit) {
  const reach = (size - 1) / 2;
  for (let channel = 0; channel < channels; channel += 1)
    for (let y = 0; y < size; y += 1)
      for (let x = 0; x < size; x += 1) {
        const weight = kernel[(channel * size + y) * size + x];
        if (weight === 0) continue;
        for (let row = 0; row < side; row += 1) {
          const above = (channel * side + ((row + y - reach + side) % side)) * side;
          for (let column = 0; column < side; column += 1)
            visit(row * side + column, above + ((column + x - reach + side) % side), weight);
        }
      }
}

/** A layer's maps of a picture: what each kernel adds up to at each place, and 0 instead of less than 0.
    @param {Layer} layer
    @param {ArrayLike<number>} picture
    @param {number} side */
export const mapsOf = (layer, picture, side) =>
  layer.kernels.map((kernel) => {
    const map = new Float64Array(side * side);
    slide(layer, kernel, side, (place, from, weight) => {
      map[place] += weight * picture[from];
    });
    return map.map((each) => Math.max(0, each));
  });

/** The gradient with respect to the picture, from that with respect to the maps.
    @param {Layer} layer
    @param {Float64Array[]} maps
    @param {ArrayLike<number>[]} gradients
    @param {number} side */
export function backward(layer, maps, gradients, side) {
  const result = new Float64Array(layer.channels * side * side);
  layer.kernels.forEach((kernel, n) =>
    slide(layer, kernel, side, (place, from, weight) => {
      if (maps[n][place] > 0) result[from] += weight * gradients[n][place];
    }),
  );
  return result;
}
