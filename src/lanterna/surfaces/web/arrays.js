// The data of a page: what Python packed (see `lanterna.surfaces.page`), as JSON and typed arrays.

const KINDS = { uint8: Uint8Array, int32: Int32Array, float32: Float32Array };

/** What the page was made with: `data`, any JSON; `arrays`, by name, each a typed array with its `shape`. */
export function load(root = document) {
  const { data, index } = JSON.parse(root.getElementById("lanterna-data").textContent);
  const text = root.getElementById("lanterna-arrays").textContent.trim();
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const arrays = {};
  for (const [name, { kind, shape, start }] of Object.entries(index)) {
    const count = shape.reduce((product, side) => product * side, 1);
    // Offsets are multiples of four, so every array can be a view of the one buffer.
    arrays[name] =
      kind === "float16"
        ? halves(new Uint16Array(bytes.buffer, start, count))
        : new KINDS[kind](bytes.buffer, start, count);
    arrays[name].shape = shape;
  }
  return { data, arrays };
}

/** 16-bit floats (IEEE 754 binary16) as 32-bit ones. */
function halves(bits) {
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const sign = bits[i] & 0x8000 ? -1 : 1;
    const exponent = (bits[i] >> 10) & 31;
    const fraction = bits[i] & 1023;
    values[i] =
      sign *
      (exponent === 0
        ? fraction * 2 ** -24
        : exponent === 31
          ? fraction
            ? NaN
            : Infinity
          : (1 + fraction / 1024) * 2 ** (exponent - 15));
  }
  return values;
}
