// A p5.js sketch that uses Lanterna's studio: draw a digit and it is read as you draw; press D, and the
// drawing is dreamed, live. Paste it into editor.p5js.org, or put it beside p5.js in a page of your own, and
// let that page in:
//
//     lanterna studio --allow https://editor.p5js.org
//
// Then paste what it prints here:
let address = "http://127.0.0.1:8765/?token=TOKEN";

let said = "draw a digit; D dreams it, C clears";
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
  document.title = said;
}

async function mouseReleased() {
  if (dream || busy) return;
  const found = await ask("POST", "/api/read?surface=pad", await picture());
  if (found) said = found.text ? `it says ${found.text}` : "it sees no digit";
}

async function keyPressed() {
  if (key === "c") {
    dream = null;
    background(0);
  }
  if (key !== "d" || busy) return;
  busy = true;
  const { id } = await ask("POST", "/api/pictures", await picture());
  let job = await ask(
    "POST",
    "/api/jobs",
    JSON.stringify({ kind: "dream", settings: { size: 400 }, inputs: [{ role: "picture", picture: id }] }),
  );
  for (let seen = 0; ["queued", "running"].includes(job.state);) {
    await new Promise((later) => setTimeout(later, 200));
    job = await ask("GET", `/api/jobs/${job.id}`);
    said = `step ${job.step} of ${job.steps}`;
    if (job.state === "running" && job.preview > seen) {
      seen = job.preview;
      dream = (await load(`/api/jobs/${job.id}/preview?n=${seen}`)) ?? dream;
    }
  }
  if (job.picture) dream = await load(`/api/pictures/${job.picture}/file`);
  said = job.error ?? "dreamed; C clears";
  busy = false;
}

// The drawing as a PNG.
const picture = () => new Promise((done) => drawingContext.canvas.toBlob(done, "image/png"));

// What the studio answers. The token goes with each request: it is what lets this page in.
async function ask(method, path, body) {
  const [studio, token] = address.split("/?token=");
  const headers = {
    Authorization: `Bearer ${token}`,
    "Content-Type": body instanceof Blob ? body.type : "application/json",
  };
  const answer = await fetch(studio + path, { method, headers, body });
  const content =
    answer.headers.get("Content-Type") === "application/json" ? await answer.json() : await answer.blob();
  if (!answer.ok) said = content.error;
  return answer.ok ? content : null;
}

async function load(path) {
  const found = await ask("GET", path);
  if (!found) return null;
  return new Promise((done) => loadImage(URL.createObjectURL(found), done));
}
