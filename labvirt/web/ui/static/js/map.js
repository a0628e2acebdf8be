// SPDX-License-Identifier: MIT
// Choosing seats (click, Shift, frame, keys) and, in edit mode, moving them (drag, arrow keys). What is chosen outlives the words around it.
const map = document.getElementById("map");
const said = document.getElementById("map-said");
const edit = document.getElementById("edit");
const count = document.getElementById("chosen-count");
const chosen = new Set();
let last = null, at = null, editing = false;

const tiles = () => [...map.querySelectorAll(".tile")];
const numbers = () => tiles().map((tile) => Number(tile.dataset.seat)).sort((a, b) => a - b);
const tileOf = (seat) => document.getElementById(`seat-${seat}`);

function show() {
  const there = new Set(numbers());
  for (const seat of [...chosen]) if (!there.has(seat)) chosen.delete(seat);
  for (const tile of tiles()) {
    const seat = Number(tile.dataset.seat), on = chosen.has(seat);
    tile.classList.toggle("chosen", on);
    tile.tabIndex = seat === at ? 0 : -1;
    const box = tile.querySelector(".pick");
    if (box) { box.checked = on; box.tabIndex = -1; box.disabled = !document.getElementById("acts"); }
  }
  if (!tiles().some((tile) => tile.tabIndex === 0) && tiles().length) tiles()[0].tabIndex = 0;
  if (count) count.textContent = String(chosen.size);
}

function choose(seat, through) {
  const on = !chosen.has(seat);
  if (through && last !== null) {
    const [from, to] = [Math.min(last, seat), Math.max(last, seat)];
    for (const each of numbers()) if (each >= from && each <= to) chosen.add(each);
  } else if (on) chosen.add(seat); else chosen.delete(seat);
  last = seat;
  show();
}

const all = () => { for (const tile of tiles()) if (!tile.classList.contains("dim")) chosen.add(Number(tile.dataset.seat)); show(); };
const none = () => { chosen.clear(); show(); };
document.getElementById("choose-all")?.addEventListener("click", all);
document.getElementById("choose-none")?.addEventListener("click", none);

map.addEventListener("click", (event) => {
  const box = event.target.closest(".pick");
  if (box) { choose(Number(box.value), event.shiftKey); return; }
  if (editing && event.target.closest(".tile a")) event.preventDefault();
});

// From seat to seat: the nearest one in that direction.
function go(tile, dx, dy) {
  const from = tile.getBoundingClientRect();
  let best = null, least = Infinity;
  for (const other of tiles()) {
    if (other === tile) continue;
    const box = other.getBoundingClientRect();
    const along = dx ? (box.left - from.left) * dx : (box.top - from.top) * dy;
    const aside = dx ? Math.abs(box.top - from.top) : Math.abs(box.left - from.left);
    if (along > 4 && along + 3 * aside < least) { least = along + 3 * aside; best = other; }
  }
  if (best) focus(best);
}

function focus(tile) {
  at = Number(tile.dataset.seat);
  show();
  tile.focus();
}

async function move(tile, room, x, y) {
  if (x < 1 || y < 1) return;
  const seat = Number(tile.dataset.seat);
  const answer = await fetch(map.dataset.places, { method: "POST", headers: { Accept: "application/json" }, body: new URLSearchParams({ seat, room, x, y }) });
  const told = await answer.json();
  if (!answer.ok) { said.textContent = told.error?.sentence ?? ""; return; }
  for (const each of told.places) put(tileOf(each.seat), each);
  said.textContent = map.dataset.moved.replace("SEAT", seat).replace("XX", x).replace("YY", y);
  if (!document.activeElement || document.activeElement === document.body) tile.focus();
}

function put(tile, place) {
  if (!tile) return;
  tile.classList.remove(`x${tile.dataset.x}`, `y${tile.dataset.y}`);
  tile.classList.add(`x${place.x}`, `y${place.y}`);
  Object.assign(tile.dataset, { x: place.x, y: place.y });
  const room = [...map.querySelectorAll(".room")].find((each) => each.dataset.room === place.room);
  const list = room?.querySelector(".grid-map");
  if (list && tile.parentElement !== list) { const had = document.activeElement === tile; list.append(tile); if (had) tile.focus(); }
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
map.addEventListener("focusin", (event) => { const tile = event.target.closest(".tile"); if (tile) { at = Number(tile.dataset.seat); } });
map.addEventListener("keydown", (event) => {
  const tile = event.target.closest(".tile");
  if (!tile) return;
  const arrow = ARROWS[event.key];
  if (arrow) {
    event.preventDefault();
    if (editing) move(tile, tile.closest(".room").dataset.room, Number(tile.dataset.x) + arrow[0], Number(tile.dataset.y) + arrow[1]);
    else go(tile, ...arrow);
  } else if (event.key === " " && !editing && event.target === tile) { event.preventDefault(); choose(Number(tile.dataset.seat), event.shiftKey); }
  else if (event.key === "Enter" && event.target === tile) tile.querySelector("a")?.click();
});
addEventListener("keydown", (event) => {
  if (event.target.closest?.("input:not(.pick), textarea, select, dialog")) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") { event.preventDefault(); all(); }
  else if (event.key === "Escape") { if (editing) edit.click(); else none(); }
});

// A frame around seats; in edit mode, a seat to its place.
map.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || event.pointerType === "touch" && !editing) return;
  const tile = event.target.closest(".tile"), grid = event.target.closest(".grid-map");
  if (editing && tile) drag(event, tile);
  else if (!editing && grid && !tile && document.getElementById("acts")) frame(event, grid);
});

function drag(event, tile) {
  const from = [event.clientX, event.clientY];
  let moved = false;
  tile.setPointerCapture(event.pointerId);
  const follow = (now) => {
    const [dx, dy] = [now.clientX - from[0], now.clientY - from[1]];
    moved ||= Math.hypot(dx, dy) > 5;
    if (moved) { tile.classList.add("moving"); tile.style.transform = `translate(${dx}px, ${dy}px)`; }
  };
  const drop = (now) => {
    tile.removeEventListener("pointermove", follow);
    tile.classList.remove("moving");
    tile.style.transform = "";
    if (!moved) { focus(tile); return; }
    const over = document.elementsFromPoint(now.clientX, now.clientY);
    const grid = over.find((each) => each.classList?.contains("grid-map"));
    if (!grid) return;
    const [x, y] = cell(grid, now.clientX, now.clientY);
    move(tile, grid.closest(".room").dataset.room, x, y);
  };
  tile.addEventListener("pointermove", follow);
  tile.addEventListener("pointerup", drop, { once: true });
  tile.addEventListener("pointercancel", () => { moved = false; tile.removeEventListener("pointermove", follow); tile.style.transform = ""; }, { once: true });
}

/** Column and row at this point, by the tracks that the browser made; beyond them, by their usual size. */
function cell(grid, clientX, clientY) {
  const box = grid.getBoundingClientRect(), style = getComputedStyle(grid);
  const find = (tracks, gap, point) => {
    const sizes = tracks.split(" ").map(parseFloat).filter((size) => !Number.isNaN(size));
    let edge = 0;
    for (let number = 0; number < sizes.length; number += 1) { edge += sizes[number] + gap; if (point < edge) return number + 1; }
    return sizes.length + 1 + Math.floor((point - edge) / ((sizes.at(-1) ?? 100) + gap));
  };
  return [
    find(style.gridTemplateColumns, parseFloat(style.columnGap) || 0, clientX - box.left),
    find(style.gridTemplateRows, parseFloat(style.rowGap) || 0, clientY - box.top),
  ];
}

function frame(event, grid) {
  const lasso = document.createElement("div");
  lasso.className = "lasso";
  const add = event.shiftKey || event.ctrlKey, before = new Set(add ? chosen : []);
  const box = () => grid.getBoundingClientRect();
  const from = [event.clientX, event.clientY];
  grid.append(lasso);
  const follow = (now) => {
    const origin = box();
    const [left, right] = [Math.min(from[0], now.clientX), Math.max(from[0], now.clientX)];
    const [top, bottom] = [Math.min(from[1], now.clientY), Math.max(from[1], now.clientY)];
    Object.assign(lasso.style, { left: `${left - origin.left}px`, top: `${top - origin.top}px`, width: `${right - left}px`, height: `${bottom - top}px` });
    chosen.clear();
    for (const seat of before) chosen.add(seat);
    for (const tile of tiles()) {
      const each = tile.getBoundingClientRect();
      if (each.left < right && each.right > left && each.top < bottom && each.bottom > top) chosen.add(Number(tile.dataset.seat));
    }
    show();
  };
  const end = () => { removeEventListener("pointermove", follow); lasso.remove(); };
  addEventListener("pointermove", follow);
  addEventListener("pointerup", end, { once: true });
  event.preventDefault();
}

function setEdit(on) {
  editing = on;
  edit.setAttribute("aria-pressed", String(on));
  map.classList.toggle("editing", on);
  document.body.classList.toggle("edit-map", on);
  document.getElementById("edit-help").hidden = !on;
  document.getElementById("rooms").hidden = !on;
  if (on) none();
}
edit?.addEventListener("click", () => setEdit(!editing));

// While somebody drags or moves, the map is not fetched again under their hand.
map.addEventListener("htmx:beforeRequest", (event) => { if (event.target === map && map.querySelector(".moving")) event.preventDefault(); });
map.addEventListener("htmx:afterSwap", show);
show();
if (edit?.dataset.begin) setEdit(true);
