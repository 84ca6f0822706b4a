"use strict";
// What htmx does not do by itself: leave a reader alone, say what changed, and that nothing comes.
(() => {
  const shown = new WeakMap(); // region -> the text it was last filled with
  const live = document.getElementById("live");
  const stale = document.getElementById("stale");
  const polls = (element) => element.getAttribute("hx-trigger")?.startsWith("every");

  function selects(region) {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && region.contains(selection.anchorNode);
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    const region = event.detail.elt;
    if (polls(region) && (document.hidden || selects(region))) event.preventDefault();
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    const region = event.detail.target;
    if (!event.detail.shouldSwap) return;
    stale.hidden = true;
    if (shown.get(region) === event.detail.serverResponse || selects(region)) {
      event.detail.shouldSwap = false;
      return;
    }
    shown.set(region, event.detail.serverResponse);
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const summary = event.detail.target.querySelector("[data-summary]")?.dataset.summary;
    if (summary && live.textContent !== summary) live.textContent = summary;
  });

  for (const kind of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
    document.addEventListener(kind, () => {
      if (!stale.hidden) return;
      const at = new Date().toISOString().slice(11, 19);
      stale.textContent =
        `Not refreshed since ${at} UTC: the admin API does not answer. ` +
        "Is the port-forward still running? What is shown may be out of date.";
      stale.hidden = false;
    });
  }

  document.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });
})();
