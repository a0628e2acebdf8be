// SPDX-License-Identifier: MIT
// A guest's screen by noVNC. What a viewer may send is decided by the server; `viewOnly` here only keeps the page honest.
import RFB from "../vendor/novnc/core/rfb.js";
import { Session, page, part, wayOut } from "./session.js";
import { names, strokes } from "./layouts.js";

const PAUSE_MS = 12; // between the keys of a typed text: slow guests lose keys that come in one breath
const KEYSYMS = { Enter: 0xff0d, Tab: 0xff09, Space: 0x20 };
const SHIFT = [0xffe1, "ShiftLeft"], THIRD = [0xfe03, "AltRight"];

let rfb = null;
const buttons = () => ["attention", "paste", "picture"].map(part).filter(Boolean);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

const session = new Session({
  open(socket, told) {
    rfb = new RFB(part("stage"), socket, { shared: true });
    rfb.viewOnly = told.view_only;
    rfb.scaleViewport = part("fit").checked;
    rfb.clipViewport = !part("fit").checked;
    rfb.dragViewport = told.view_only && !part("fit").checked;
    rfb.background = "#070b0e";
    rfb.addEventListener("connect", () => {
      for (const each of buttons()) each.disabled = told.view_only && each.id !== "picture";
      page.classList.add("shown");
      if (!told.view_only) rfb.focus();
    });
  },
  close() {
    for (const each of buttons()) each.disabled = true;
    page.classList.remove("shown");
    rfb?.disconnect();
    rfb = null;
  },
});

part("fit").addEventListener("change", (event) => {
  if (!rfb) return;
  rfb.scaleViewport = event.target.checked;
  rfb.clipViewport = !event.target.checked;
  rfb.dragViewport = rfb.viewOnly && !event.target.checked;
});

part("look")?.addEventListener("change", (event) => {
  session.viewOnly = event.target.checked;
  session.start();
});

part("attention")?.addEventListener("click", () => { rfb?.sendCtrlAltDel(); rfb?.focus(); });

part("picture").addEventListener("click", () => {
  rfb?.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${page.dataset.guest}-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/png");
});

const keysym = (char) => { const point = char.codePointAt(0); return point < 0x100 ? point : 0x01000000 | point; };

async function type(text, layout) {
  for (const stroke of strokes(text, layout).strokes) {
    if (!rfb) return;
    const held = stroke.shift ? SHIFT : stroke.third ? THIRD : null;
    if (held) rfb.sendKey(...held, true);
    rfb.sendKey(KEYSYMS[stroke.code] ?? keysym(stroke.char), stroke.code);
    if (held) rfb.sendKey(...held, false);
    if (stroke.dead) rfb.sendKey(KEYSYMS.Space, "Space");
    await wait(PAUSE_MS);
  }
}

const dialog = part("text");
if (dialog) {
  const layout = part("layout"), words = part("words"), kept = "labvirt-layout";
  for (const [id, name] of names()) layout.add(new Option(name, id));
  const wanted = localStorage.getItem(kept) ?? { de: "de", fr: "fr", es: "es" }[navigator.language.slice(0, 2)] ?? "us";
  layout.value = names().some(([id]) => id === wanted) ? wanted : "us";
  const judge = () => {
    const { cannot } = strokes(words.value, layout.value);
    part("cannot").textContent = cannot.length ? `${page.dataset.cannot} ${cannot.join(" ")}` : "";
  };
  words.addEventListener("input", judge);
  layout.addEventListener("change", () => { localStorage.setItem(kept, layout.value); judge(); });
  part("paste").addEventListener("click", () => { dialog.returnValue = ""; dialog.showModal(); words.focus(); });
  dialog.addEventListener("close", async () => {
    const text = words.value;
    if (dialog.returnValue === "type") {
      words.value = ""; // it may be a password
      await type(text, layout.value);
    }
    rfb?.focus();
  });
}

// noVNC lets go of all keys when the window loses the focus; leaving for the buttons is the same to the guest.
wayOut(() => window.dispatchEvent(new Event("blur")));
session.start();
