// SPDX-License-Identifier: MIT
// A sign-in link carries its one-time code behind '#': it never reaches a log or a Referer header.
const code = decodeURIComponent(location.hash.slice(1));
if (code) {
  history.replaceState(null, "", location.pathname);
  document.getElementById("code").value = code;
  document.getElementById("door").requestSubmit();
}
