// SPDX-License-Identifier: MIT
// A guest's serial line by xterm.js. It makes style elements while it runs; the page's policy lets those in that carry its nonce.
import { Terminal } from "../vendor/xterm/lib/xterm.mjs";
import { FitAddon } from "../vendor/xterm/addon-fit/lib/addon-fit.mjs";
import { Session, part, wayOut } from "./session.js";

const nonce = document.querySelector("script[nonce]").nonce;
const create = document.createElement.bind(document);
document.createElement = (name, ...more) => {
  const made = create(name, ...more);
  if (name === "style") made.nonce = nonce;
  return made;
};

const stage = part("stage");
stage.classList.add("terminal");
const terminal = new Terminal({ convertEol: false, cursorBlink: true, scrollback: 5000, screenReaderMode: true, theme: { background: "#070b0e" } });
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(stage);
fit.fit();
new ResizeObserver(() => fit.fit()).observe(stage);

const PIECE = 32 * 1024; // the server takes no larger messages
let line = null;
const send = (bytes) => {
  if (line?.readyState !== WebSocket.OPEN) return;
  for (let at = 0; at < bytes.length; at += PIECE) line.send(bytes.subarray(at, at + PIECE));
};
terminal.onData((text) => send(new TextEncoder().encode(text)));
terminal.onBinary((text) => send(Uint8Array.from(text, (char) => char.charCodeAt(0))));

const session = new Session({
  open(socket, told) {
    line = told.view_only ? null : socket;
    terminal.options.disableStdin = told.view_only;
    terminal.reset();
    socket.addEventListener("message", (event) => terminal.write(new Uint8Array(event.data)));
    if (!told.view_only) terminal.focus();
  },
  close() { line = null; },
});

wayOut(() => terminal.blur());
session.start();
