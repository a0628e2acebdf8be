// SPDX-License-Identifier: MIT
// One console: buys a ticket, spends it in the first message of the WebSocket, says how it stands, and connects again by itself when
// only the line broke. Why it ended is told by the close code, in the page's language; for programs there is a sentence beside it.
const BROKEN = new Set([1001, 1005, 1006, 1011, 1012]);
const AGAIN_MS = [1000, 2000, 4000, 8000, 15000];

export const part = (id) => document.getElementById(id);
export const page = part("console");

export class Session {
  // `open(socket)` is called when the guest answers, synchronously: the next message is the guest's; `close()` when it is over.
  constructor({ open, close }) {
    this.open = open;
    this.close = close;
    this.tries = 0;
    this.viewOnly = page.dataset.viewOnly === "yes";
    part("again").addEventListener("click", () => { this.tries = 0; this.start(); });
    part("full").addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : page.requestFullscreen()));
  }

  async start() {
    clearTimeout(this.timer);
    this.stop();
    const mine = this.turn = Symbol("turn");
    this.say(page.dataset.opening);
    const body = new URLSearchParams({ guest: page.dataset.guest, kind: page.dataset.kind, view_only: this.viewOnly });
    try {
      const answer = await fetch(page.dataset.buy, { method: "POST", body, headers: { Accept: "application/json" } });
      const told = await answer.json();
      if (this.turn !== mine) return;
      if (answer.status === 401) { location.assign(page.dataset.door); return; }
      if (!answer.ok) { this.over(`${told.error.sentence} ${told.error.hint}`, answer.status === 503); return; }
      this.connect(told.ticket, mine);
    } catch {
      if (this.turn === mine) this.over(page.dataset.silent, true);
    }
  }

  connect(ticket, mine) {
    const address = new URL("/console", location);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = this.socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => socket.send(JSON.stringify({ ticket })));
    socket.addEventListener("message", (event) => {
      const told = JSON.parse(event.data);
      if (this.turn !== mine) return;
      this.tries = 0;
      part("ended").hidden = true;
      part("again").hidden = true;
      part("mark").hidden = !told.view_only;
      this.say(page.dataset.connected);
      this.open(socket, told);
    }, { once: true });
    socket.addEventListener("close", (event) => {
      if (this.turn !== mine) return;
      const broken = BROKEN.has(event.code);
      const why = page.dataset[`ended-${event.code}`] || event.reason || (event.code === 1012 ? page.dataset.restarted : page.dataset.broke);
      this.over(why, broken);
    });
  }

  stop() {
    this.turn = null;
    if (!this.socket) return;
    const socket = this.socket;
    this.socket = null;
    this.close();
    socket.close();
  }

  over(why, again) {
    this.stop();
    const wait = again ? AGAIN_MS[Math.min(this.tries++, AGAIN_MS.length - 1)] : 0;
    this.say(again ? page.dataset.trying : page.dataset.over);
    part("ended").querySelector("span").textContent = why;
    part("ended").hidden = false;
    part("again").hidden = false;
    if (again) this.timer = setTimeout(() => this.start(), wait);
  }

  say(words) { part("state").textContent = words; }
}

// A way out for the keyboard: the guest gets every key but this one.
export function wayOut(before) {
  window.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey && event.altKey && event.code === "KeyM")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    before();
    part("tools").querySelector("button:not([disabled]):not([hidden]), input")?.focus();
  }, true);
}
