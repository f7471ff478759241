// Keeps a campaign's figures fresh while it is sent. Without it the page shows the same after a reload.
"use strict";
(() => {
  const box = document.getElementById("progress");
  if (!box) return;
  const every = 2000; // milliseconds; a server that takes long is asked less often

  const isStarting = !box.querySelector("#progress-now");

  const refresh = async () => {
    if (isStarting) return document.hidden ? setTimeout(refresh, every) : location.reload();
    const began = performance.now();
    // Nobody's place is taken from under the keyboard, and a hidden page asks for nothing.
    const isRead = !document.hidden && !box.contains(document.activeElement);
    if (isRead) {
      try {
        const answer = await fetch(box.dataset.source, { credentials: "same-origin", redirect: "error" });
        if (answer.ok) {
          const shown = await answer.text();
          if (shown !== box.innerHTML) box.innerHTML = shown;
        }
      } catch {
        // The next round tries again.
      }
    }
    if (box.querySelector("[data-live]")) setTimeout(refresh, Math.max(every, 4 * (performance.now() - began)));
    else location.reload();
  };

  setTimeout(refresh, every);
})();
