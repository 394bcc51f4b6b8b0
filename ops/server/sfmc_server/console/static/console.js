// Keeps an open page new: the server says that something happened, and the page is asked for again.
// Everything works without it; then a page is as old as its last reload.
"use strict";
(() => {
  const LEAST_MS = 1500, OLD_MS = 30000, SHARE = 20, DONE_MS = 10000;
  const main = document.getElementById("main");
  const live = document.getElementById("live");
  const away = document.getElementById("away");
  const said = document.getElementById("said");
  // What was done is said for a while, not at each renewal and not in a bookmark.
  const address = new URL(location.href);
  if (address.searchParams.has("done")) {
    address.searchParams.delete("done");
    history.replaceState(history.state, "", address);
  }
  // A reason is needed where Marketing Cloud is not asked.
  const unasked = ["not", "unchecked"].map((id) => document.getElementById(id)).filter(Boolean);
  if (unasked.length) {
    const reason = document.getElementById("reason");
    const mark = () => { reason.required = unasked.some((each) => each.checked); };
    reason.form.addEventListener("change", mark);
    mark();
  }
  // A page that costs much is not asked for again by itself.
  if (!document.body.dataset.changes) return;
  let asked = 0, took = 0, timer = 0, source = null, seen = Date.now();
  const opened = seen;

  const tell = (text) => { live.textContent = text; };
  const isBusy = () => {
    const at = document.activeElement;
    return main.querySelector("form.card") !== null || main.querySelector("details[open]") !== null ||
      (at !== null && main.contains(at) && /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName)) ||
      String(getSelection()).length > 0;
  };
  const placeOf = (node) => {
    if (!node || node === main || !main.contains(node)) return null;
    const all = Array.from(main.querySelectorAll("a, button, summary, input, select"));
    return { href: node.getAttribute("href"), at: all.indexOf(node) };
  };
  const focusAgain = (place) => {
    if (!place) return;
    const all = Array.from(main.querySelectorAll("a, button, summary, input, select"));
    const same = all.find((each) => place.href && each.getAttribute("href") === place.href) || all[place.at];
    if (same) same.focus({ preventScroll: true });
  };
  const tellLive = () => { tell(away.hidden ? "Live" : "Not live: Redis does not answer"); };
  const setAway = (is) => {
    if (away.hidden === is) {
      away.hidden = !is;
      said.textContent = is ? "" : "Redis answers again.";
    }
    tellLive();
  };

  async function renew() {
    timer = 0;
    if (document.hidden) return;
    if (isBusy()) { tell("Something is new: reload to see it"); return; }
    asked = Date.now();
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", headers: { accept: "text/html" } });
      if (answer.status === 401) { location.reload(); return; }
      if (answer.status === 503) { setAway(true); plan(5000); return; }
      const text = await answer.text();
      // A page that costs much is asked for less often.
      took = Date.now() - asked;
      const made = new DOMParser().parseFromString(text, "text/html");
      const fresh = made.getElementById("main");
      if (!fresh || isBusy()) return;
      const place = placeOf(document.activeElement);
      const done = Date.now() - opened < DONE_MS ? main.querySelectorAll("p.banner.good") : [];
      main.replaceChildren(...done, ...fresh.childNodes);
      focusAgain(place);
      setAway(false);
      seen = Date.now();
    } catch (error) {
      tell("The server does not answer; trying again");
      plan(5000);
    }
  }
  function plan(ms) {
    if (timer) return;
    timer = setTimeout(renew, Math.max(ms, asked + Math.max(LEAST_MS, SHARE * took) - Date.now(), 0));
  }
  function listen() {
    if (source || document.hidden) return;
    source = new EventSource(document.body.dataset.changes);
    source.onopen = tellLive;
    source.onerror = () => {
      tell("Not live: trying again");
      if (source && source.readyState === EventSource.CLOSED) { source = null; setTimeout(listen, 5000); }
    };
    source.addEventListener("change", () => plan(0));
    source.addEventListener("away", () => setAway(true));
    source.addEventListener("ended", () => location.reload());
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) { listen(); plan(0); return; }
    if (source) source.close();
    source = null;
  });
  // What a page says of times grows old although nothing happens.
  setInterval(() => { if (Date.now() - seen > OLD_MS) plan(0); }, 5000);
  listen();
})();
