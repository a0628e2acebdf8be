// SPDX-License-Identifier: MIT
// The jobs beside any page: asked for only while the drawer is open. The dialog itself keeps Escape, the focus inside, and gives it back.
const EVERY_MS = 2000;
const drawer = document.getElementById("drawer");
const said = document.getElementById("drawer-said");
let ticking = 0;

const ask = () => { if (drawer.open && !document.hidden) document.getElementById("drawer-jobs").dispatchEvent(new CustomEvent("labvirt:drawer", { bubbles: true })); };

export function beside() {
  if (!drawer || drawer.open) return;
  said.textContent = "";
  drawer.showModal();
  ask();
  ticking = setInterval(ask, EVERY_MS);
}

document.getElementById("jobs-beside")?.addEventListener("click", beside);
drawer?.addEventListener("close", () => clearInterval(ticking));
drawer?.addEventListener("click", (event) => { if (event.target === drawer) drawer.close(); });
if (drawer) addEventListener("labvirt:change", ask);

// The button that was pressed is gone when its job ends: what was said has the focus then.
drawer?.addEventListener("htmx:afterSwap", (event) => { if (event.target === said) said.focus(); });
for (const failed of ["htmx:responseError", "htmx:sendError"]) {
  drawer?.addEventListener(failed, (event) => { if (event.target.closest("form")) { said.textContent = said.dataset.failed; said.focus(); } });
}
