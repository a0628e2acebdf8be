// SPDX-License-Identifier: MIT
// Keys that work on every page, the search palette, and a few manners of forms.
import { beside } from "./drawer.js";

const palette = document.getElementById("palette");
const sheet = document.getElementById("sheet");
const GO = { l: "/", t: "/inbox", p: "/profiles", i: "/images", j: "/jobs", h: "/hosts" };
let went = 0;

const typing = (event) => event.target.closest?.("input, textarea, select, [contenteditable]");
const open = (dialog) => { if (dialog && !dialog.open) dialog.showModal(); };

function find() {
  open(palette);
  const words = document.getElementById("palette-words");
  words?.focus();
  words?.select();
  if (words) htmx.trigger(words, "search");
}

document.getElementById("find")?.addEventListener("click", find);
document.getElementById("keys")?.addEventListener("click", () => open(sheet));
for (const dialog of [palette, sheet]) {
  dialog?.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && palette) { event.preventDefault(); find(); return; }
  if (typing(event) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "/" && palette) { event.preventDefault(); find(); }
  else if (event.key === "?" && sheet) { event.preventDefault(); open(sheet); }
  else if (event.key === "g") went = performance.now();
  else if (GO[event.key] && went && performance.now() - went < 1500) { went = 0; location.assign(GO[event.key]); }
  else if (event.key === "j") beside();
});

// In the palette, arrows go through what was found, Enter opens the first.
palette?.addEventListener("keydown", (event) => {
  const found = [...palette.querySelectorAll("#palette-found a")];
  const at = found.indexOf(document.activeElement);
  if (event.key === "ArrowDown" && found.length) { event.preventDefault(); found[Math.min(at + 1, found.length - 1)].focus(); }
  else if (event.key === "ArrowUp" && found.length) {
    event.preventDefault();
    if (at <= 0) document.getElementById("palette-words").focus(); else found[at - 1].focus();
  } else if (event.key === "Enter" && at < 0 && found.length) { event.preventDefault(); found[0].click(); }
});

// A form that is being sent is not sent twice; a filter answers as it is typed.
addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  if (event.target.dataset.sent) { event.preventDefault(); return; }
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => { for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent; });
addEventListener("change", (event) => { if (event.target.matches?.("[data-submit-on-change]")) event.target.form.requestSubmit(); });
addEventListener("click", (event) => {
  const text = event.target.closest?.("[data-copy]");
  if (text) navigator.clipboard?.writeText(text.dataset.copy);
  if (event.target.closest?.("[data-print]")) print();
});
addEventListener("change", async (event) => {
  const into = event.target.dataset?.into && document.getElementById(event.target.dataset.into);
  if (into && event.target.files?.[0]) into.value = await event.target.files[0].text();
});
