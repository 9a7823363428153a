// Updates the live parts of a page while it is visible. Every page works without it.
"use strict";

(() => {
  const SECOND = 1000;
  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const LONGEST_PAUSE = 60;

  // As showing.py has it.
  function lasting(seconds) {
    for (const [unit, name] of UNITS) {
      if (seconds >= (unit === 86400 ? 2 * unit : unit)) return `${Math.floor(seconds / unit)} ${name}`;
    }
    return "now";
  }

  function showTimes(root, skew) {
    for (const time of root.querySelectorAll("time[datetime][title]")) {
      const at = Date.parse(time.dateTime);
      if (Number.isNaN(at)) continue;
      const apart = (Date.now() + skew - at) / SECOND;
      const text = lasting(Math.abs(apart));
      const said = text === "now" ? text : apart > 0 ? `${text} ago` : `in ${text}`;
      if (time.textContent !== said) time.textContent = said;
    }
  }

  // Nothing is replaced while the user types, marks text or has something open.
  function isInUse(section) {
    const at = document.activeElement;
    if (at && section.contains(at) && at.matches("input, select, textarea")) return true;
    const marked = document.getSelection();
    if (marked && !marked.isCollapsed && section.contains(marked.anchorNode)) return true;
    return section.querySelector("details[open]") !== null;
  }

  function replace(section, html) {
    const scrolled = [...section.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
    const links = [...section.querySelectorAll("a, button, [tabindex]")];
    const focused = links.indexOf(document.activeElement);
    const parsed = new DOMParser().parseFromString(html, "text/html");
    section.replaceChildren(...parsed.body.childNodes);
    section.querySelectorAll(".scroll").forEach((each, at) => { each.scrollLeft = scrolled[at] ?? 0; });
    if (focused >= 0) [...section.querySelectorAll("a, button, [tabindex]")][focused]?.focus({ preventScroll: true });
  }

  function keepCurrent(section) {
    const every = Math.max(1, Number(section.dataset.every) || 5);
    let etag = "";
    let pause = every;
    let timer = 0;

    async function ask() {
      timer = 0;
      if (document.hidden) return;
      if (!isInUse(section)) {
        try {
          const headers = etag ? { "If-None-Match": etag } : {};
          const answer = await fetch(section.dataset.live, { headers, cache: "no-store", redirect: "error" });
          if (answer.status === 401) { window.location.reload(); return; }
          if (answer.status === 200) {
            const html = await answer.text();
            // The first one too: what changed since the page was made is in it. An ETag says what is shown.
            if (!isInUse(section)) { replace(section, html); etag = answer.headers.get("ETag") ?? ""; }
          }
          const failed = answer.status !== 200 && answer.status !== 304;
          section.classList.toggle("stale", failed);
          pause = failed ? Math.min(2 * pause, LONGEST_PAUSE) : every;
        } catch {
          section.classList.add("stale");
          pause = Math.min(2 * pause, LONGEST_PAUSE);
        }
      }
      again();
    }

    function again() {
      if (!timer && !document.hidden) timer = window.setTimeout(ask, pause * SECOND);
    }

    document.addEventListener("visibilitychange", () => { if (!document.hidden && !timer) ask(); });
    again();
  }

  // The server's clock counts: the page has its "now".
  const now = Date.parse(document.documentElement.dataset.now ?? "");
  const skew = Number.isNaN(now) ? 0 : now - Date.now();
  window.setInterval(() => { if (!document.hidden) showTimes(document, skew); }, SECOND);
  document.querySelectorAll("section[data-live]").forEach(keepCurrent);

  // A form is sent once; its key makes a second time harmless anyway.
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button && event.target.method === "post") window.setTimeout(() => { button.disabled = true; }, 0);
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("button:disabled").forEach((each) => { each.disabled = false; });
  });
})();
