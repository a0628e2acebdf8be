// SPDX-License-Identifier: MIT
// The server says 'change'; we fetch the fragment again and swap it in. Pictures that can be seen are renewed now and then,
// and cost nothing while the screen stays the same (ETag). Without JavaScript the page is a picture of one moment.
const labs = document.getElementById("labs");
const live = document.getElementById("live");
const PICTURE_MS = 3000;
const SLOW_MS = 5000;
let fetching = false, again = false;

function say(on) {
  live.hidden = false;
  live.classList.toggle("off", !on);
  const words = on ? "live" : "connecting again …";
  const shown = live.querySelector(".words");
  if (shown.textContent !== words) shown.textContent = words;
}

const screens = (root) => root.querySelectorAll("img[data-screen]");
const failed = (image) => image.complete && image.naturalWidth === 0;

async function renew() {
  if (fetching) { again = true; return; }
  fetching = true;
  try {
    const answer = await fetch(labs.dataset.source, { headers: { Accept: "text/html" } });
    if (answer.status === 401) { location.assign(labs.dataset.door); return; }
    if (answer.ok) {
      const shown = new Map([...screens(labs)].map((image) => [image.alt, image]));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const image of screens(fresh)) {
        const old = shown.get(image.alt);
        if (old && !failed(old)) image.replaceWith(old); // keep the picture: no flicker, no second request
      }
      labs.replaceChildren(...fresh.body.childNodes);
    }
  } catch { say(false); }
  finally { fetching = false; }
  if (again) { again = false; renew(); }
}

async function picture(image) {
  if (image.dataset.asking) return;
  image.dataset.asking = "yes";
  try {
    const answer = await fetch(image.dataset.source ?? image.src, { cache: "no-cache" });
    const etag = answer.headers.get("ETag");
    image.dataset.source ??= image.src;
    if (!answer.ok || image.dataset.etag === etag) return;
    const old = image.src;
    image.src = URL.createObjectURL(await answer.blob());
    image.dataset.etag = etag;
    if (old.startsWith("blob:")) image.addEventListener("load", () => URL.revokeObjectURL(old), { once: true });
  } catch { /* the next round tries again */ }
  finally { delete image.dataset.asking; }
}

function pictures() {
  if (document.hidden) return;
  for (const image of screens(labs)) {
    const box = image.parentElement.getBoundingClientRect();
    if (box.bottom > 0 && box.top < innerHeight && image.complete) picture(image);
  }
}

// A picture that cannot be had leaves the sign behind it.
labs.addEventListener("error", (event) => event.target.classList?.add("missing"), true);
labs.addEventListener("load", (event) => event.target.classList?.remove("missing"), true);

const events = new EventSource("/events");
events.addEventListener("hello", () => { say(true); renew(); });
events.addEventListener("change", renew);
events.onerror = () => { say(false); if (events.readyState === EventSource.CLOSED) renew(); };
setInterval(pictures, PICTURE_MS);
setInterval(() => { if (!document.hidden) renew(); }, SLOW_MS);
