// SPDX-License-Identifier: MIT
// The server says 'change'; we fetch the fragment again and swap it in, and pictures that can be seen are renewed now and then.
const labs = document.getElementById("labs");
const live = document.getElementById("live");
const PICTURE_MS = 3000;
const SLOW_MS = 5000;
let fetching = false, again = false;

function say(on) {
  live.classList.toggle("off", !on);
  live.querySelector(".words").textContent = on ? "live" : "connecting again …";
}

async function renew() {
  if (fetching) { again = true; return; }
  fetching = true;
  try {
    const answer = await fetch(labs.dataset.source, { headers: { Accept: "text/html" } });
    if (answer.status === 401) { location.reload(); return; }
    if (answer.ok) {
      const shown = new Map([...labs.querySelectorAll("img[data-screen]")].map((i) => [i.getAttribute("alt"), i]));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const image of fresh.querySelectorAll("img[data-screen]")) {
        const old = shown.get(image.getAttribute("alt"));
        if (old) image.replaceWith(old); // keep the picture: no flicker, no second request
      }
      labs.replaceChildren(...fresh.body.childNodes);
    }
  } catch { say(false); }
  fetching = false;
  if (again) { again = false; renew(); }
}

function pictures() {
  if (document.hidden) return;
  for (const image of labs.querySelectorAll("img[data-screen]")) {
    const box = image.getBoundingClientRect();
    if (box.bottom > 0 && box.top < innerHeight && image.complete) {
      const next = new Image();
      next.onload = () => { image.src = next.src; };
      next.src = image.src.split("?")[0] + "?at=" + Date.now();
    }
  }
}

const events = new EventSource("/events");
events.addEventListener("hello", () => { say(true); renew(); });
events.addEventListener("change", renew);
events.onerror = () => say(false);
setInterval(pictures, PICTURE_MS);
setInterval(renew, SLOW_MS);
