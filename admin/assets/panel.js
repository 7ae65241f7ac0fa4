// The one script of the panel: the menu on narrow screens, copying of secrets, long searches, and the moving dashboard. All works
// without it.
"use strict";

const root = document.documentElement;
root.classList.add("js");

for (const b of document.querySelectorAll("[data-menu]")) {
  const nav = document.getElementById("nav");
  b.addEventListener("click", () => {
    const open = b.getAttribute("aria-expanded") !== "true";
    b.setAttribute("aria-expanded", String(open));
    nav.classList.toggle("open", open);
  });
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape" && b.getAttribute("aria-expanded") === "true") {
      b.setAttribute("aria-expanded", "false");
      nav.classList.remove("open");
      b.focus();
    }
  });
}

for (const b of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue; // only over TLS or on this machine
  b.hidden = false;
  b.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(b.dataset.copy).textContent);
    b.textContent = b.dataset.done;
  });
}

// A form is sent once, however often the button is pressed.
for (const f of document.querySelectorAll("form[method=post]")) {
  f.addEventListener("submit", (e) => {
    if (f.dataset.sent) e.preventDefault();
    f.dataset.sent = "1";
  });
}
addEventListener("pageshow", () => {
  for (const f of document.querySelectorAll("form[data-sent]")) delete f.dataset.sent;
});

// An import that runs is looked at again without the reader's help.
const poll = document.querySelector("[data-part=running]");
if (poll) setTimeout(() => location.reload(), 2000);

// A search that found nothing in its part of a large list goes on by itself until it finds something or ends.
async function searchOn() {
  for (;;) {
    const section = document.querySelector("[data-searching]")?.closest("section");
    const next = section?.querySelector("a[rel=next]");
    if (!next) return;
    const answer = await fetch(next.href, { redirect: "error" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.querySelector("main table, main .empty")?.closest("section");
    if (!found) return;
    history.replaceState(null, "", next.href);
    section.replaceWith(document.importNode(found, true));
  }
}
searchOn().catch(() => {}); // the button for the next page is still there

const live = document.querySelector("[data-live]");
if (live && window.EventSource) {
  const box = document.querySelector("[data-blocks]");
  const say = (text) => {
    if (live.textContent !== text) live.textContent = text;
  };
  const source = new EventSource(live.dataset.live);
  source.addEventListener("open", () => say(live.dataset.up));
  source.addEventListener("error", () => say(live.dataset.lost));
  source.addEventListener("end", () => {
    source.close();
    say(live.dataset.lost);
  });
  source.addEventListener("blocks", (e) => {
    const next = new DOMParser().parseFromString(e.data, "text/html");
    const parts = [...next.querySelectorAll("[data-part]")];
    const names = new Set(parts.map((p) => p.dataset.part));
    for (const old of box.querySelectorAll("[data-part]")) {
      if (!names.has(old.dataset.part)) old.remove();
    }
    parts.forEach((part, i) => {
      const old = box.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
      if (!old) {
        box.insertBefore(document.importNode(part, true), box.children[i] || null);
      } else if (!old.contains(document.activeElement) && old.innerHTML !== part.innerHTML) {
        // Only what changed is replaced, and never under the reader's focus.
        old.replaceWith(document.importNode(part, true));
      }
    });
  });
}
