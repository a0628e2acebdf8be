// SPDX-License-Identifier: MIT
// Sends a disk file by docs/reference/uploads.md: in pieces, goes on after a broken connection, pauses, says how fast and how long.
const PIECE = 8 << 20, WAIT_MS = 2000;
const form = document.getElementById("upload");
const by = (id) => document.getElementById(`upload-${id}`);
const units = (count) => { for (const unit of ["B", "KiB", "MiB", "GiB"]) { if (count < 1024 || unit === "GiB") return `${count < 100 && unit !== "B" ? count.toFixed(1) : Math.round(count)} ${unit}`; count /= 1024; } return ""; };
const minutes = (seconds) => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`);
let paused = false, stopped = false;

async function told(answer) {
  if (answer.ok) return answer;
  let sentence = answer.statusText;
  try { const { error } = await answer.json(); sentence = `${error.sentence} ${error.hint}`; } catch { /* no words */ }
  throw Object.assign(new Error(sentence), { refused: answer.status < 500 && answer.status !== 409 });
}
const ask = (path, more = {}) => fetch(path, { ...more, headers: { Accept: "application/json", ...more.headers } }).then(told);
const json = (path, body) => ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }).then((answer) => answer.json());
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

function shown(offset, size, began, start, words) {
  by("bar").value = size ? (offset * 100) / size : 100;
  const seconds = (performance.now() - began) / 1000, rate = (offset - start) / seconds;
  const rest = rate > 0 && offset < size ? ` · ${units(rate)}/s · ${minutes((size - offset) / rate)} ${form.dataset.left}` : "";
  by("said").textContent = `${words}: ${units(offset)} / ${units(size)}${rest}`;
}

async function send(file) {
  const upload = await json(form.dataset.begin, { name: by("name").value, format: by("format").value, size: file.size, note: by("note").value });
  const path = `${form.dataset.begin}/${upload.id}`, began = performance.now(), digest = new Sha256();
  let offset = 0, read = 0;
  while (offset < file.size && !stopped) {
    if (paused) { shown(offset, file.size, began, 0, form.dataset.paused); await pause(300); continue; }
    const piece = new Uint8Array(await file.slice(offset, offset + PIECE).arrayBuffer());
    if (read === offset) { digest.update(piece); read += piece.length; }
    try {
      await ask(path, { method: "PATCH", headers: { "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" }, body: piece });
      offset += piece.length;
    } catch (error) {
      if (error.refused) throw error;
      by("said").textContent = form.dataset.again;
      await pause(WAIT_MS);
      try { offset = Number((await ask(path, { method: "HEAD" })).headers.get("Upload-Offset")); } catch { /* once more, from where we were */ }
      continue;
    }
    shown(offset, file.size, began, 0, form.dataset.read);
  }
  if (stopped) { await ask(path, { method: "DELETE" }); location.reload(); return; }
  if (read !== file.size) throw new Error("the file was not read whole");
  by("said").textContent = form.dataset.finish;
  const { job } = await json(`${path}/finish`, { sha256: digest.hex() });
  location.assign(form.dataset.after ?? `${form.dataset.jobs}/${job}`);
}

// Until this script is there, sending would only ask for the page again.
form?.querySelector(".btn-primary").removeAttribute("disabled");
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = by("file").files[0];
  if (!file) return;
  [paused, stopped] = [false, false];
  for (const id of ["shown", "pause", "stop"]) by(id).hidden = false;
  const button = form.querySelector(".btn-primary");
  button.disabled = true;
  try { await send(file); } catch (error) { by("said").textContent = error.message; for (const id of ["pause", "stop"]) by(id).hidden = true; }
  button.disabled = false;
});
by("pause")?.addEventListener("click", () => { paused = !paused; by("pause").setAttribute("aria-pressed", String(paused)); });
by("stop")?.addEventListener("click", () => { stopped = true; paused = false; });
