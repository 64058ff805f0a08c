// A page in which textures or a shape live: cells on a torus that follow their rules, computed with WebGL2.
// The rules and the hash that chooses which cells change are those of rule.py, number by number.

/** @typedef {{ see: Float32Array, bias: Float32Array, act: Float32Array }} Rule - 96 × 48, 96, 12 × 96 */

const HIDDEN = 96;
const CHANNELS = 12;
const HALF = (HIDDEN / 2) * 16 * 4; // numbers in one of a rule's two blocks: 16 vec4 for each hidden value
const SMALLEST = 128; // cells along a side, however slow the machine
const SLOW = 45; // milliseconds a frame
const TAP = 8; // pixels that a finger may move while it taps
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const QUAD = `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0); }`;

const HEAD = `#version 300 es
precision highp float; precision highp int; precision highp sampler2D;`;

/** The function of one rule: what it adds to the values of a cell that sees `p`.
    @param {number} rule */
const ruleSource = (rule) => `
layout(std140) uniform Rule${rule}a { vec4 a${rule}[${HALF / 4}]; };
layout(std140) uniform Rule${rule}b { vec4 b${rule}[${HALF / 4}]; };
void rule${rule}(vec4 p[12], inout vec4 x, inout vec4 y, inout vec4 z) {
  ${["a", "b"]
    .map(
      (part) => `for (int i = 0; i < ${HALF / 4}; i += 16) {
    float h = ${part}${rule}[i + 15].x;
    for (int k = 0; k < 12; k++) h += dot(${part}${rule}[i + k], p[k]);
    if (h > 0.0) {
      x += h * ${part}${rule}[i + 12]; y += h * ${part}${rule}[i + 13]; z += h * ${part}${rule}[i + 14];
    }
  }`,
    )
    .join("\n  ")}
}`;

/** All values of a cell of a shape are zero, if neither it nor a neighbour is there. */
const LIVES = `
  float most = 0.0;
  for (int i = 0; i < 9; i++)
    most = max(most, texelFetch(cells0, (at + ivec2(i % 3, i / 3) - 1 + side) % side, 0).a);
  if (most <= 0.1) { x = y = z = vec4(0); return; }`;

/** @param {number} rules
    @param {boolean} shape */
const stepSource = (rules, shape) => `${HEAD}
uniform sampler2D cells0, cells1, cells2, places;
uniform uint number;
uniform vec2 turn; // cosine and sine of the angle
layout(location = 0) out vec4 x; layout(location = 1) out vec4 y; layout(location = 2) out vec4 z;
${Array.from({ length: rules }, (_, rule) => ruleSource(rule)).join("")}
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy), side = textureSize(cells0, 0);
  x = texelFetch(cells0, at, 0); y = texelFetch(cells1, at, 0); z = texelFetch(cells2, at, 0);
  ${shape ? LIVES : ""}
  uint h = (uint(at.y) * 0x9E3779B1u + uint(at.x) * 0x85EBCA77u) ^ (number * 0xC2B2AE3Du);
  h = (h ^ (h >> 16)) * 0x7FEB352Du;
  h = (h ^ (h >> 15)) * 0x846CA68Bu;
  if ((h ^ (h >> 16)) >> 31 == 0u) return;
  vec4 p[12], across[3], down[3], around[3]; // itself, across, down, Laplace: of 12 values
  for (int g = 0; g < 3; g++) { across[g] = vec4(0); down[g] = vec4(0); around[g] = vec4(0); }
  for (int i = -1; i <= 1; i++) for (int j = -1; j <= 1; j++) {
    ivec2 from = (at + ivec2(j, i) + side) % side;
    vec4 v[3];
    v[0] = texelFetch(cells0, from, 0); v[1] = texelFetch(cells1, from, 0);
    v[2] = texelFetch(cells2, from, 0);
    float wide = float((2 - abs(i)) * j) / 8.0, high = float((2 - abs(j)) * i) / 8.0;
    float lap = i == 0 && j == 0 ? -1.0 : float((2 - abs(i)) * (2 - abs(j))) / 12.0;
    for (int g = 0; g < 3; g++) { across[g] += wide * v[g]; down[g] += high * v[g]; around[g] += lap * v[g]; }
  }
  p[0] = x; p[1] = y; p[2] = z;
  for (int g = 0; g < 3; g++) {
    p[3 + g] = turn.x * across[g] + turn.y * down[g];
    p[6 + g] = turn.x * down[g] - turn.y * across[g];
    p[9 + g] = around[g];
  }
  ${
    rules > 1
      ? "if (texelFetch(places, at, 0).r > 0.5) rule1(p, x, y, z); else rule0(p, x, y, z);"
      : "rule0(p, x, y, z);"
  }
}`;

const DAB = `${HEAD}
uniform vec3 dab; uniform vec4 value; uniform vec2 side;
layout(location = 0) out vec4 x; layout(location = 1) out vec4 y; layout(location = 2) out vec4 z;
void main() {
  vec2 away = abs(gl_FragCoord.xy - dab.xy);
  if (length(min(away, side - away)) > dab.z) discard;
  x = value; y = z = vec4(value.a);
}`;

/** @param {boolean} shape */
const showSource = (shape) => `${HEAD}
uniform sampler2D cells0; uniform vec2 view; uniform float scale;
out vec4 colour;
void main() {
  ivec2 side = textureSize(cells0, 0);
  vec2 at = vec2(gl_FragCoord.x, view.y - gl_FragCoord.y) / view * vec2(side) / scale - 0.5;
  ivec2 first = ivec2(floor(at)); vec2 part = at - vec2(first);
  vec4 v[4];
  for (int k = 0; k < 4; k++) v[k] = texelFetch(cells0, (first + ivec2(k & 1, k >> 1) + side) % side, 0);
  ${shape ? "part = step(0.5, part); // the cells of a shape are squares" : ""}
  vec4 c = mix(mix(v[0], v[1], part.x), mix(v[2], v[3], part.x), part.y);
  colour = vec4(c.rgb + ${shape ? "1.0 - clamp(c.a, 0.0, 1.0)" : "0.5"}, 1.0);
}`;

/** Read a rule whose weights have 8 bits: codes of `see` and `act`, then scales and biases.
    @param {string} text - in base64
    @returns {Rule} */
function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const codes = HIDDEN * CHANNELS * 4 + CHANNELS * HIDDEN;
  const floats = new Float32Array(bytes.slice(codes).buffer); // 96 scales, 12 scales, 96 biases
  const weight = (/** @type {number} */ at, /** @type {number} */ scale) =>
    Math.fround((bytes[at] - 128) * floats[scale]);
  return {
    see: Float32Array.from({ length: HIDDEN * 48 }, (_, i) => weight(i, Math.floor(i / 48))),
    act: Float32Array.from({ length: CHANNELS * HIDDEN }, (_, i) =>
      weight(HIDDEN * 48 + i, HIDDEN + Math.floor(i / HIDDEN)),
    ),
    bias: floats.slice(HIDDEN + CHANNELS),
  };
}

/** The blocks of a rule, as the shader reads them.
    @param {Rule} rule */
function blocks({ see, bias, act }) {
  const all = new Float32Array(2 * HALF);
  for (let hidden = 0; hidden < HIDDEN; hidden++) {
    const row = all.subarray(hidden * 64, (hidden + 1) * 64);
    for (let channel = 0; channel < CHANNELS; channel++) {
      for (let sense = 0; sense < 4; sense++)
        row[sense * 12 + channel] = see[hidden * 48 + channel * 4 + sense];
      row[48 + channel] = act[channel * HIDDEN + hidden];
    }
    row[60] = bias[hidden];
  }
  return [all.subarray(0, HALF), all.subarray(HALF)];
}

/** Cells that live on the graphics card. Errors: one if the browser cannot compute with WebGL2. */
class Texture {
  /** @param {HTMLCanvasElement} canvas
      @param {Rule[]} rules
      @param {number} side - cells along each side
      @param {number[] | null} first - of a shape: its plane's side, its first cell's row and column */
  constructor(canvas, rules, side, first) {
    const gl = canvas.getContext("webgl2", { antialias: false });
    if (!gl || !gl.getExtension("EXT_color_buffer_float")) throw new Error("no WebGL2 with floats");
    this.gl = gl;
    this.steps = program(gl, stepSource(rules.length, first !== null));
    this.dabs = program(gl, DAB);
    this.shows = program(gl, showSource(first !== null));
    rules.flatMap(blocks).forEach((numbers, index) => {
      gl.bindBufferBase(gl.UNIFORM_BUFFER, index, gl.createBuffer());
      gl.bufferData(gl.UNIFORM_BUFFER, numbers, gl.STATIC_DRAW);
      const name = `Rule${index >> 1}${"ab"[index % 2]}`;
      gl.uniformBlockBinding(this.steps, gl.getUniformBlockIndex(this.steps, name), index);
    });
    this.angle = 0;
    this.scale = 1;
    this.first = first;
    this.side = side;
    this.number = 0; // of the next step
    this.now = target(gl, side, 3, gl.RGBA32F);
    this.next = target(gl, side, 3, gl.RGBA32F);
    this.places = target(gl, side, 1, gl.R8); // of each texture
    this.start();
  }

  /** Start again with as many cells. @param {number} side */
  resize(side) {
    const { gl } = this;
    for (const { textures } of [this.now, this.next, this.places])
      for (const each of textures) gl.deleteTexture(each);
    this.side = side;
    this.now = target(gl, side, 3, gl.RGBA32F);
    this.next = target(gl, side, 3, gl.RGBA32F);
    this.places = target(gl, side, 1, gl.R8);
    this.start();
  }

  /** Have all cells be zero, but the one that a shape grows from. */
  start() {
    this.number = 0;
    this.dab(this.now, 0, 0, 2 * this.side, [0, 0, 0, 0]);
    if (this.first) this.plant(this.side / 2, this.side / 2);
  }

  /** Plant the first cell of a shape, so that the shape will be around a place.
      @param {number} x
      @param {number} y */
  plant(x, y) {
    const [side, row, column] = /** @type {number[]} */ (this.first);
    const [left, top] = [x + column - side / 2, y + row - side / 2].map(Math.floor);
    this.dab(this.now, left + 0.5, top + 0.5, 0.5, [0, 0, 0, 1]);
  }

  /** Take some steps of the rule. @param {number} count */
  step(count) {
    const { gl } = this;
    gl.useProgram(this.steps);
    gl.viewport(0, 0, this.side, this.side);
    const place = (/** @type {string} */ name) => gl.getUniformLocation(this.steps, name);
    gl.uniform2f(place("turn"), Math.cos(this.angle), Math.sin(this.angle));
    for (let done = 0; done < count; done++) {
      [...this.now.textures, this.places.textures[0]].forEach((texture, unit) => {
        gl.activeTexture(gl.TEXTURE0 + unit);
        gl.bindTexture(gl.TEXTURE_2D, texture);
        gl.uniform1i(place(unit < 3 ? `cells${unit}` : "places"), unit);
      });
      gl.uniform1ui(place("number"), this.number++);
      gl.bindFramebuffer(gl.FRAMEBUFFER, this.next.frame);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
      [this.now, this.next] = [this.next, this.now];
    }
  }

  /** Set everything within a radius, in cells, to a value.
      @param {ReturnType<typeof target>} where
      @param {number} x
      @param {number} y
      @param {number} radius
      @param {number[]} value - of the first four values; the others are like the fourth */
  dab(where, x, y, radius, value) {
    const { gl } = this;
    gl.useProgram(this.dabs);
    gl.viewport(0, 0, this.side, this.side);
    gl.bindFramebuffer(gl.FRAMEBUFFER, where.frame);
    gl.uniform3f(gl.getUniformLocation(this.dabs, "dab"), x, y, radius);
    gl.uniform4fv(gl.getUniformLocation(this.dabs, "value"), value);
    gl.uniform2f(gl.getUniformLocation(this.dabs, "side"), this.side, this.side);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** Show the cells on the canvas. */
  show() {
    const { gl } = this;
    const { width, height } = gl.canvas;
    gl.useProgram(this.shows);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, width, height);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.now.textures[0]);
    gl.uniform1i(gl.getUniformLocation(this.shows, "cells0"), 0);
    gl.uniform2f(gl.getUniformLocation(this.shows, "view"), width, height);
    gl.uniform1f(gl.getUniformLocation(this.shows, "scale"), this.scale);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** Return the first four values of all cells, row by row. */
  read() {
    const { gl } = this;
    const values = new Float32Array(this.side * this.side * 4);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.now.frame);
    gl.readPixels(0, 0, this.side, this.side, gl.RGBA, gl.FLOAT, values);
    return values;
  }
}

/** @param {WebGL2RenderingContext} gl
    @param {string} source - of the fragment shader */
function program(gl, source) {
  const made = gl.createProgram();
  for (const [kind, text] of /** @type {[number, string][]} */ ([
    [gl.VERTEX_SHADER, QUAD],
    [gl.FRAGMENT_SHADER, source],
  ])) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made) ?? "");
  return made;
}

/** Textures that a shader draws into, all zero.
    @param {WebGL2RenderingContext} gl
    @param {number} side
    @param {number} count
    @param {number} format */
function target(gl, side, count, format) {
  const frame = gl.createFramebuffer();
  gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
  const places = Array.from({ length: count }, (_, index) => gl.COLOR_ATTACHMENT0 + index);
  const textures = places.map((place) => {
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, format, side, side);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, place, gl.TEXTURE_2D, texture, 0);
    return texture;
  });
  gl.drawBuffers(places);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT);
  return { frame, textures };
}

/** How many cells along a side this machine can compute sixty times a second, up to `most`.
    @param {Texture} texture
    @param {number} most */
function affordable(texture, most) {
  texture.step(1); // compiles
  texture.read();
  const begun = performance.now();
  texture.step(4);
  texture.read();
  const each = (performance.now() - begun) / 4 / texture.side ** 2; // milliseconds for a cell
  let side = most;
  while (side > SMALLEST && each * side ** 2 > 10) side /= 2;
  return side;
}

/** @template {HTMLElement} T
    @param {string} id
    @returns {T} */
const by = (id) => /** @type {any} */ (document.getElementById(id));

function mount() {
  const canvas = /** @type {HTMLCanvasElement} */ (by("cells"));
  const { rules, side, first } = JSON.parse(by("data").textContent ?? "");
  /** @type {Texture} */
  let texture;
  try {
    texture = new Texture(canvas, rules.map(unpack), first ? side : SMALLEST / 2, first);
  } catch {
    return; // the picture and its line stay
  }
  if (!first) texture.resize(affordable(texture, side));
  document.body.classList.add("alive");
  Object.assign(canvas, { texture });
  const number = (/** @type {string} */ id) => Number(/** @type {HTMLInputElement} */ (by(id)).value);
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let paused = false;
  let times = /** @type {number[]} */ ([]);
  let held = ""; // a "stroke", or a "tap" on a shape that may become one
  const brush = { x: 0.5, y: 0.5 }; // in parts of the canvas

  function frame(/** @type {number} */ now) {
    if (!paused) texture.step(number("speed"));
    if (still && !paused && texture.number > 240) pause(true);
    texture.angle = (number("angle") * Math.PI) / 180;
    texture.scale = number("scale");
    texture.show();
    count(now);
    requestAnimationFrame(frame);
  }

  /** Measure the frames, and use fewer cells on a slow machine. @param {number} now */
  function count(now) {
    if (document.hidden || paused) times = [];
    times.push(now);
    if (times.length < 31) return;
    const each = (now - times[0]) / 30;
    times = [];
    if (each > SLOW && texture.side > SMALLEST && !first) texture.resize(texture.side / 2);
    const rate = Math.round(1000 / each);
    const frames = rate === 1 ? "1 frame" : `${rate} frames`;
    by("rate").textContent = `${frames} a second, ${texture.side} × ${texture.side} cells`;
  }

  const place = () => [brush.x, brush.y].map((part) => (part * texture.side) / texture.scale);

  /** Use the brush where it is. */
  function dab() {
    const radius = (number("radius") / 512) * texture.side;
    const [x, y] = place();
    const chosen = /** @type {HTMLInputElement | null} */ (document.querySelector("[name=brush]:checked"));
    if (!chosen || chosen.value === "wipe")
      texture.dab(texture.now, x, y, radius / texture.scale, [0, 0, 0, 0]);
    else texture.dab(texture.places, x, y, radius / texture.scale, [Number(chosen.value), 0, 0, 0]);
  }

  /** Have another shape grow where the brush is. */
  function plant() {
    const [x, y] = place();
    texture.plant(x, y);
  }

  /** @param {boolean} value */
  function pause(value) {
    paused = value;
    by("pause").textContent = paused ? "Go on" : "Pause";
  }

  /** @param {PointerEvent} event */
  function point(event) {
    if (!held) return;
    const box = canvas.getBoundingClientRect();
    const to = { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
    const from = { ...brush };
    const far = Math.hypot(to.x - from.x, to.y - from.y);
    if (held === "tap" && far * box.width < TAP) return;
    held = "stroke";
    const dabs = event.type === "pointerdown" ? 1 : Math.max(1, Math.ceil(far * 60));
    for (let k = 1; k <= dabs; k++) {
      brush.x = from.x + ((to.x - from.x) * k) / dabs;
      brush.y = from.y + ((to.y - from.y) * k) / dabs;
      dab();
    }
    ring(false);
  }

  /** Show where the brush is, for the keyboard. @param {boolean} shown */
  function ring(shown) {
    const mark = by("ring");
    mark.hidden = !shown;
    mark.style.setProperty("--x", `${brush.x * 100}%`);
    mark.style.setProperty("--y", `${brush.y * 100}%`);
    mark.style.setProperty("--r", `${(number("radius") / 256) * 100}%`);
  }

  canvas.addEventListener("pointerdown", (event) => {
    held = first ? "tap" : "stroke";
    canvas.setPointerCapture(event.pointerId);
    const box = canvas.getBoundingClientRect();
    brush.x = (event.clientX - box.left) / box.width;
    brush.y = (event.clientY - box.top) / box.height;
    point(event);
  });
  canvas.addEventListener("pointermove", point);
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, () => {
      if (held === "tap" && end === "pointerup") plant();
      held = "";
    });
  canvas.addEventListener("keydown", (event) => {
    const way = KEYS[/** @type {keyof typeof KEYS} */ (event.key)];
    const plants = first && event.key === "Enter";
    if (!way && event.key !== " " && !plants) return;
    event.preventDefault();
    if (way) {
      brush.x = Math.min(1, Math.max(0, brush.x + way[0] / 32));
      brush.y = Math.min(1, Math.max(0, brush.y + way[1] / 32));
    } else if (plants) plant();
    else dab();
    ring(true);
  });
  canvas.addEventListener("blur", () => ring(false));
  by("pause").addEventListener("click", () => pause(!paused));
  by("empty").addEventListener("click", () => {
    texture.start();
    pause(false);
  });
  for (const id of ["speed", "angle", "scale", "radius"]) {
    const label = () => {
      by(`${id}-now`).textContent = `${number(id)}${{ angle: "°", scale: "×" }[id] ?? ""}`;
    };
    by(id).addEventListener("input", label);
    label();
  }
  requestAnimationFrame(frame);
}

mount();
