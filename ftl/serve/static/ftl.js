// The page follows the bucket: the server sends the fragments that have changed, and they are put in place node by node, so
// that neither the focus nor the scroll position moves. Without this script the page loads itself anew now and then.
"use strict";
(() => {
  const { events, self, ping } = document.body.dataset;
  const main = document.getElementById("main");
  const badge = document.getElementById("live");
  const note = document.getElementById("stale");
  const beat = Number(ping) * 1000;
  let snapshot = document.body.dataset.snapshot;
  let source = null;
  let heard = Date.now();
  let wait = 1000;
  let retry = 0;

  const show = (state, text) => {
    badge.hidden = false;
    badge.dataset.state = state;
    if (badge.textContent !== text) badge.textContent = text;
  };

  // What was heard keeps the page fresh: an object that says it is open may be dead.
  const fresh = () => {
    heard = Date.now();
    wait = 1000;
    show("live", "live");
    delete main.dataset.stale;
    note.hidden = true;
  };

  const age = () => {
    if (document.hidden || Date.now() - heard < 2.5 * beat) return;
    const since = new Date(heard).toISOString().slice(11, 19);
    show("stale", "stale");
    main.dataset.stale = "";
    note.hidden = false;
    const text = "The server was not heard from since " + since + " UTC. What you see is that old.";
    if (note.textContent !== text) note.textContent = text;
  };

  const put = (section, html) => {
    const active = document.activeElement;
    if (active && section.contains(active) && /^(INPUT|SELECT|TEXTAREA)$/.test(active.tagName)) return;
    const next = document.createElement("template");
    next.innerHTML = html;
    children(section, next.content);
    reveal(section);
  };

  const children = (old, next) => {
    const from = [...old.childNodes];
    const to = [...next.childNodes];
    to.forEach((node, i) => {
      if (i >= from.length) old.appendChild(node);
      else if (same(from[i], node)) morph(from[i], node);
      else old.replaceChild(node, from[i]);
    });
    from.slice(to.length).forEach((node) => node.remove());
  };

  const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName;

  const morph = (old, next) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!next.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
    }
    for (const { name, value } of next.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    children(old, next);
  };

  const patch = (event) => {
    const { title, status, fragments, ids } = JSON.parse(event.data);
    const here = [...main.children].map((section) => section.id.slice(2));
    if (ids.join() !== here.join()) {
      location.reload();
      return;
    }
    snapshot = event.lastEventId;
    if (document.title !== title) document.title = title;
    put(document.getElementById("f-status"), status);
    for (const [id, html] of Object.entries(fragments)) put(document.getElementById("f-" + id), html);
    fresh();
  };

  const open = () => {
    clearTimeout(retry);
    source?.close();
    source = new EventSource(events + "?since=" + encodeURIComponent(snapshot) + "&page=" + encodeURIComponent(self));
    source.onopen = fresh;
    source.addEventListener("ping", fresh);
    source.addEventListener("patch", patch);
    source.addEventListener("gone", () => location.reload());
    source.onerror = () => {
      if (badge.dataset.state !== "stale") show("wait", "reconnecting");
      if (source.readyState !== EventSource.CLOSED) return;
      retry = setTimeout(open, wait * (0.5 + Math.random()));
      wait = Math.min(2 * wait, 30000);
    };
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(retry);
      source?.close();
    } else {
      wait = 1000;
      open();
    }
  });
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  addEventListener("online", open);

  const reveal = (within) => {
    if (!navigator.clipboard) return;
    for (const button of within.querySelectorAll("button.copy")) button.hidden = false;
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    navigator.clipboard.writeText(button.dataset.copy).then(() => {
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  });

  reveal(document);
  setInterval(age, 1000);
  if (document.hidden) return;
  open();
})();
