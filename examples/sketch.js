// A p5.js sketch that uses Lanterna's studio: draw a digit, and the studio reads it; press D to dream on the
// drawing, live. Paste the sketch into editor.p5js.org, or add it to your own page with p5.js, and allow that
// page:
//
//     lanterna studio --allow https://editor.p5js.org
//
// Then paste the printed address here:
let address = "http://127.0.0.1:8765/?token=TOKEN";

let message = "draw a digit; D dreams, C clears";
let busy = false;
let dream = null; // the picture so far

function setup() {
  createCanvas(400, 400);
  address = new URLSearchParams(window.location.search).get("studio") ?? address;
  background(0);
}

function draw() {
  if (dream) image(dream, 0, 0, width, height);
  if (mouseIsPressed && !dream) {
    stroke(255);
    strokeWeight(28);
    line(pmouseX, pmouseY, mouseX, mouseY);
  }
  document.title = message;
}

async function mouseReleased() {
  if (dream || busy) return;
  const found = await request("POST", "/api/read?surface=pad", await picture());
  if (found) message = found.text ? `read as ${found.text}` : "no digit found";
}

async function keyPressed() {
  if (key === "c") {
    dream = null;
    background(0);
  }
  if (key !== "d" || busy) return;
  busy = true;
  const { id } = await request("POST", "/api/pictures", await picture());
  let job = await request(
    "POST",
    "/api/jobs",
    JSON.stringify({ kind: "dream", settings: { size: 400 }, inputs: [{ role: "picture", picture: id }] }),
  );
  for (let shown = 0; ["queued", "running"].includes(job.state);) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    job = await request("GET", `/api/jobs/${job.id}`);
    message = `step ${job.step} of ${job.steps}`;
    if (job.state === "running" && job.preview > shown) {
      shown = job.preview;
      dream = (await load(`/api/jobs/${job.id}/preview?n=${shown}`)) ?? dream;
    }
  }
  if (job.picture) dream = await load(`/api/pictures/${job.picture}/file`);
  message = job.error ?? "done; C clears";
  busy = false;
}

// The drawing as a PNG.
const picture = () => new Promise((resolve) => drawingContext.canvas.toBlob(resolve, "image/png"));

// Send a request, with the token that authorises this page, and return the response.
async function request(method, path, body) {
  const [studio, token] = address.split("/?token=");
  const headers = {
    Authorization: `Bearer ${token}`,
    "Content-Type": body instanceof Blob ? body.type : "application/json",
  };
  const response = await fetch(studio + path, { method, headers, body });
  const content =
    response.headers.get("Content-Type") === "application/json"
      ? await response.json()
      : await response.blob();
  if (!response.ok) message = content.error;
  return response.ok ? content : null;
}

async function load(path) {
  const found = await request("GET", path);
  if (!found) return null;
  return new Promise((resolve) => loadImage(URL.createObjectURL(found), resolve));
}
