// The data of a page, packed by `lanterna.surfaces.web.page`, as JSON and typed arrays.

/** @typedef {(Uint8Array | Int32Array | Float32Array) & { shape: number[] }} Packed

    @typedef {Record<string, Packed>} Arrays - by name

    @typedef {{ kind: keyof typeof KINDS | "float16", shape: number[], start: number }} Entry */

const KINDS = { uint8: Uint8Array, int32: Int32Array, float32: Float32Array };

/** Read the page's `data` (any JSON) and `arrays` (typed arrays by name, each with its `shape`).
    @returns {{ data: any, arrays: Arrays }} */
export function load(root = document) {
  /** @param {string} id */
  const textOf = (id) => root.getElementById(id)?.textContent ?? "";
  const { data, index } = JSON.parse(textOf("lanterna-data"));
  const text = textOf("lanterna-arrays").trim();
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  /** @type {Arrays} */
  const arrays = {};
  for (const [name, { kind, shape, start }] of Object.entries(/** @type {Record<string, Entry>} */ (index))) {
    const count = shape.reduce((product, side) => product * side, 1);
    // Offsets are multiples of four, so every array can be a view of the one buffer.
    const values =
      kind === "float16"
        ? halves(new Uint16Array(bytes.buffer, start, count))
        : new KINDS[kind](bytes.buffer, start, count);
    arrays[name] = Object.assign(values, { shape });
  }
  return { data, arrays };
}

/** 16-bit floats (IEEE 754 binary16) as 32-bit ones.
    @param {Uint16Array} bits */
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
