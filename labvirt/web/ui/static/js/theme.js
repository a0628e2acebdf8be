// SPDX-License-Identifier: MIT
// Before anything is painted: auto (the system's), light or dark, as this browser was told last.
(() => {
  const KEY = "labvirt-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const wish = () => { try { return localStorage.getItem(KEY) ?? "auto"; } catch { return "auto"; } };
  function show() {
    const now = wish();
    document.documentElement.dataset.bsTheme = now === "dark" || (now === "auto" && system.matches) ? "dark" : "light";
    document.documentElement.dataset.theme = now;
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === now));
    }
  }
  show();
  system.addEventListener("change", show);
  addEventListener("storage", show);
  addEventListener("DOMContentLoaded", show);
  addEventListener("click", (event) => {
    const choice = event.target.closest?.("[data-theme-choice]")?.dataset.themeChoice;
    if (!choice) return;
    try { localStorage.setItem(KEY, choice); } catch { /* it holds for this page then */ }
    document.documentElement.dataset.theme = choice;
    show();
  });
})();
