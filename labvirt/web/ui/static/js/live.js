// SPDX-License-Identifier: MIT
// The server says 'change'; whatever has hx-trigger="labvirt:change from:body" is fetched again (ETag: nothing is sent when nothing changed).
// When the stream is blocked, the same happens every five seconds. Pictures that can be seen are renewed now and then.
const SLOW_MS = 5000, PICTURE_MS = 3000;
const live = document.getElementById("live");

function say(on) {
  if (!live) return;
  live.hidden = false;
  live.classList.toggle("off", !on);
  const shown = live.querySelector(".words");
  const words = on ? live.dataset.on : live.dataset.off;
  if (shown.textContent !== words) shown.textContent = words;
}

const change = () => document.body.dispatchEvent(new CustomEvent("labvirt:change"));

const screens = () => document.querySelectorAll("img[data-screen]");

const shown = new WeakMap(); // what each picture shows (its ETag), or that it is being asked for

async function picture(image) {
  const before = shown.get(image);
  if (before === "asking") return;
  shown.set(image, "asking");
  let now = before;
  try {
    const answer = await fetch(image.dataset.screen, { cache: "no-cache" });
    const etag = answer.headers.get("ETag");
    if (!answer.ok || before === etag) return;
    now = etag;
    const old = image.src;
    image.src = URL.createObjectURL(await answer.blob());
    if (old.startsWith("blob:")) image.addEventListener("load", () => URL.revokeObjectURL(old), { once: true });
  } catch { /* the next round tries again */ }
  finally { shown.set(image, now); }
}

function pictures() {
  if (document.hidden) return;
  for (const image of screens()) {
    const box = image.parentElement.getBoundingClientRect();
    if (box.width && box.bottom > 0 && box.top < innerHeight && image.complete) picture(image);
  }
}

// A picture that cannot be had leaves the sign behind it.
addEventListener("error", (event) => { if (event.target.matches?.("img[data-screen]")) event.target.classList.add("missing"); }, true);
addEventListener("load", (event) => { if (event.target.matches?.("img[data-screen]")) event.target.classList.remove("missing"); }, true);

// A picture that is on the screen stays, also when the words around it change: no flicker, no second request.
addEventListener("htmx:beforeSwap", (event) => { if (event.detail.xhr.status === 401) location.assign("/door"); });
const kept = (name, node) => name === "src" && node.matches?.("img[data-screen]") && node.src.startsWith("blob:");
if (window.Idiomorph) Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !kept(name, node) && !(name === "open" && node.tagName === "DETAILS");

if (live && window.EventSource) {
  const events = new EventSource("/events");
  events.addEventListener("hello", () => { say(true); change(); });
  events.addEventListener("change", change);
  events.onerror = () => { say(false); if (events.readyState === EventSource.CLOSED) change(); };
}
if (live) {
  setInterval(pictures, PICTURE_MS);
  setInterval(() => { if (!document.hidden) change(); }, SLOW_MS);
}
