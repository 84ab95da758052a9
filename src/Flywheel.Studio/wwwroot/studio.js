// The little that only the browser can do.
(() => {
  const year = 31536000, journal = "flywheel.unsaved.";
  const remember = (name, value) => { document.cookie = `flywheel_${name}=${value}; path=/; max-age=${year}; samesite=lax`; };
  const isText = element => element?.matches?.("input:not([type=checkbox]):not([type=radio]):not([type=button]), textarea, select, [contenteditable=true]");

  // Letters belong to what has the focus: a text, a list that is searched by them, and a choice among several, which stands between texts: who
  // goes on typing there means the next field and no shortcut.
  const takesLetters = element => isText(element) || element?.matches?.("input[type=radio]");
  // A closed list chooses by letters at once. Of those that stand unseen behind a sentence, between two texts, nobody means that: they are
  // chosen from by arrows, or opened by Space.
  const isClosed = list => !(CSS.supports("selector(select:open)") && list.matches("select:open"));
  document.addEventListener("keydown", event => {
    if ([...event.key].length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey
      && event.target.matches?.(".said select") && isClosed(event.target)) event.preventDefault();
  });

  // The cursor goes to the end of a field's text: were it selected, the next letter would take its place.
  const enter = field => {
    field.focus();
    if (/^(text|search|url|tel|textarea)$/.test(field.type)) field.setSelectionRange(field.value.length, field.value.length);
  };

  // For the next drawing by the server, which cannot ask.
  remember("system_dark", matchMedia("(prefers-color-scheme: dark)").matches);
  remember("zone", -new Date().getTimezoneOffset());

  // What is typed into a field with data-keep="DOCUMENT:FIELD" stays in this browser until the server says that it is on disk. So neither
  // a slow start, a lost connection, a reload nor a restarted server loses a word. `base` is the text over which it was typed.
  const read = key => { try { return JSON.parse(localStorage.getItem(key)); } catch { return null; } };
  const write = (key, entry) => { try { localStorage.setItem(key, JSON.stringify(entry)); } catch { /* full or forbidden: the server still has it */ } };
  // What the page says about it: the attribute stands while any of its fields waits.
  const waiting = new Map();
  const mark = () => document.documentElement.toggleAttribute("data-unsaved",
    [...document.querySelectorAll("[data-keep]")].some(field => waiting.has(journal + field.dataset.keep)));
  const wait = (key, value) => { waiting.set(key, value); mark(); };
  const done = key => { waiting.delete(key); mark(); };
  const based = new WeakMap();
  document.addEventListener("focusin", event => { if (event.target.dataset?.keep) based.set(event.target, event.target.value); });
  document.addEventListener("input", event => {
    const field = event.target, name = field.dataset?.keep;
    if (name === undefined) return;
    const key = journal + name, known = read(key);
    write(key, { value: field.value, base: known?.base ?? based.get(field) ?? "", time: Date.now() });
    wait(key, field.value);
    if (field.tagName === "TEXTAREA") fit(field);
  }, true);

  const fit = area => { if (!CSS.supports("field-sizing", "content")) { area.style.height = "auto"; area.style.height = `${area.scrollHeight}px`; } };

  // Where the cursor stood when the server's drawing was replaced by the living page.
  let cursor = null;
  const isLive = () => document.querySelector(".studio")?.dataset.live === "yes";
  document.addEventListener("focusin", event => { if (!isLive() && event.target.id) cursor = event.target; });

  // A document that is begun here gets its id from the tab before it is first saved, so that a reload in the middle goes on with that one.
  const loadedAt = location.pathname, reloaded = performance.getEntriesByType("navigation")[0]?.type === "reload", begun = new Set();
  const begunAs = name => {
    try {
      return Object.keys(sessionStorage).filter(key => key.startsWith("flywheel.new.")).map(key => [key, JSON.parse(sessionStorage.getItem(key))])
        .filter(([, entry]) => entry.id.replaceAll("-", "") === name && !entry.named);
    } catch { return []; } // forbidden
  };

  // Keys. An element with data-key="k" is clicked by that key: the nearest to the focus first, then any on the page.
  // data-keys keeps those of a part of the page to the focus within it; those of data-keys="only", of which one is open at a time, also hear
  // what is typed while the focus is nowhere: its last place may just have been taken away.
  let first = null;
  const visible = element => element.getClientRects().length > 0 && !element.disabled;
  const isReached = element => {
    const scope = element.closest("[data-keys]");
    return !scope || scope.dataset.keys === "only" && document.activeElement === document.body;
  };
  const withKey = key => {
    const all = selector => [...document.querySelectorAll(selector)].filter(visible);
    const selector = `[data-key="${CSS.escape(key)}"]`;
    const scope = document.activeElement?.closest("[data-keys]");
    return (scope && [...scope.querySelectorAll(selector)].find(visible)) ?? all(selector).find(isReached);
  };
  document.addEventListener("keydown", event => {
    const chord = (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + event.key;
    if (event.altKey || event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.metaKey && event.target.dataset?.enter === "send") {
      event.preventDefault();
      // The server hears of the letters before it hears of the sending: both come by the same connection, in this order.
      const form = event.target.closest("form");
      if (form) form.requestSubmit(); else event.target.closest("[data-keys]")?.querySelector("[data-send]")?.click();
      return;
    }
    if (takesLetters(event.target)) {
      if (event.key === "Escape") (document.activeElement.closest("[data-keys]")?.querySelector('[data-key="Escape"]') ?? null)?.click();
      else if (chord.startsWith("Ctrl+")) press(chord, event);
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "?") { event.preventDefault(); window.flywheel.showShortcuts(); return; }
    const name = first ? `${first} ${event.key}` : chord;
    first = null;
    if (press(name, event)) return;
    if (event.key === "g" && chord === "g") first = "g";
  });
  const press = (name, event) => {
    const element = withKey(name);
    if (!element) return false;
    event.preventDefault();
    // A field with a key is where the cursor goes; everything else is done.
    if (isText(element)) enter(element); else element.click();
    return true;
  };

  document.addEventListener("click", event => {
    const button = event.target.closest?.(".copy-code");
    if (button) window.flywheel.copy(button.parentElement.querySelector("pre").innerText);
  });

  // A server that was restarted does not know this page any more: it is asked for anew, and what was typed is still here.
  const anew = async () => {
    for (;;) {
      try { if ((await fetch("health", { cache: "no-store" })).ok) return location.reload(); } catch { /* not yet */ }
      await new Promise(resolve => setTimeout(resolve, 1000));
    }
  };
  document.addEventListener("DOMContentLoaded", () => {
    const modal = document.getElementById("components-reconnect-modal");
    new MutationObserver(() => {
      if (/-(rejected|failed)$/.test(modal.className) && !modal.dataset.anew) { modal.dataset.anew = "yes"; anew(); }
    }).observe(modal, { attributes: true, attributeFilter: ["class"] });
  });

  window.flywheel = {
    remember,
    switchLanguage(tag) { remember("language", tag); location.reload(); },
    skip(event) {
      event.preventDefault();
      const main = document.querySelector("main");
      main.tabIndex = -1;
      main.focus();
    },
    showShortcuts() {
      const dialog = document.getElementById("shortcuts"), list = dialog.querySelector("dl"), seen = new Set();
      list.replaceChildren();
      const add = (key, meaning) => {
        if (!meaning || seen.has(key)) return;
        seen.add(key);
        const row = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd");
        for (const part of key.split(/[ +]/)) { const kbd = document.createElement("kbd"); kbd.textContent = part; dt.append(kbd, " "); }
        dd.textContent = meaning;
        row.append(dt, dd);
        list.append(row);
      };
      for (const element of document.querySelectorAll("[data-key]"))
        add(element.dataset.key, (element.dataset.means ?? element.getAttribute("aria-label") ?? element.textContent ?? "").trim().replace(/\s+/g, " "));
      for (const line of list.dataset.always.split("\n")) add(...line.split("\t"));
      dialog.showModal();
    },
    // Plays a sound of this server; once more on the same button stops it. What cannot be played says why.
    play(button, url) {
      const audio = document.getElementById("sound"), problem = document.getElementById("sound-problem");
      const clear = () => document.querySelectorAll(".playing").forEach(element => element.classList.remove("playing"));
      const same = audio.playedBy === button && !audio.paused;
      clear();
      problem.hidden = true;
      if (same) return audio.pause();
      audio.playedBy = button;
      (button.closest("[data-line]") ?? button).classList.add("playing");
      audio.onended = audio.onpause = clear;
      audio.hidden = false;
      audio.onerror = async () => {
        clear();
        const answer = await fetch(url).catch(() => null);
        if (answer?.ok !== false) return;
        problem.textContent = await answer.text();
        problem.hidden = false;
      };
      audio.src = url + (url.includes("?") ? "&" : "?") + "at=" + Date.now(); // as it is now
      audio.play().catch(() => { /* its error has said so, or the next sound came before */ });
    },
    // Another page is shown.
    arrive() {
      const heading = document.querySelector("h1");
      if (!heading || isText(document.activeElement)) return;
      if (!heading.hasAttribute("tabindex")) heading.tabIndex = -1;
      heading.focus();
    },
    // The page answers now: the cursor goes back to where a person was already typing.
    live() {
      const target = cursor && document.getElementById(cursor.id);
      if (target && target !== document.activeElement && (document.activeElement === document.body || document.activeElement?.tagName === "H1")) {
        target.focus();
        target.setSelectionRange?.(cursor.selectionStart, cursor.selectionEnd);
      }
      cursor = null;
    },
    newId(app, proposed) {
      const key = `flywheel.new.${app}`, at = location.pathname;
      const first = reloaded && loadedAt === at && !begun.has(app);
      begun.add(app);
      try {
        const known = first ? JSON.parse(sessionStorage.getItem(key)) : null;
        if (known?.at === at) return known.id;
        sessionStorage.setItem(key, JSON.stringify({ id: proposed, at }));
      } catch { /* forbidden: the id lasts as long as the page */ }
      return proposed;
    },
    // A document that was begun in this tab lies on the server under its name: what was typed into it, and what is typed before the next
    // drawing, is kept under that.
    named(name) {
      for (const { field } of window.flywheel.unsaved("new")) {
        const old = `${journal}new:${field}`, key = `${journal}${name}:${field}`, entry = read(old);
        localStorage.removeItem(old); // first: a full store has no room for both
        waiting.delete(old);
        waiting.set(key, entry.value);
        if (!(read(key)?.time > entry.time)) write(key, entry);
      }
      for (const field of document.querySelectorAll('[data-keep^="new:"]')) field.dataset.keep = field.dataset.keep.replace("new", name);
      mark();
      for (const [key, entry] of begunAs(name)) sessionStorage.setItem(key, JSON.stringify({ ...entry, named: true }));
    },
    // What this browser holds of a document and the server has not confirmed.
    unsaved(document_) {
      if (begunAs(document_).length > 0) window.flywheel.named(document_); // a server that ended could not say so
      const found = [];
      for (let i = 0; i < localStorage.length; i++) {
        const key = localStorage.key(i);
        if (!key.startsWith(`${journal}${document_}:`)) continue;
        const entry = read(key);
        if (!entry || typeof entry.value !== "string") continue;
        wait(key, entry.value);
        found.push({ field: key.slice(journal.length + document_.length + 1), value: entry.value, base: entry.base ?? "" });
      }
      return found;
    },
    // The server has it on disk; what was typed since stays.
    saved(document_, field, value) {
      const key = `${journal}${document_}:${field}`, entry = read(key);
      if (waiting.get(key) === value) done(key);
      if (entry?.value === value) localStorage.removeItem(key);
      else if (entry) write(key, { ...entry, base: value });
    },
    forget(document_, field) {
      localStorage.removeItem(`${journal}${document_}:${field}`);
      done(`${journal}${document_}:${field}`);
    },
    // An element's own text, which the server may not have had time to hear of.
    valueOf(element) { return element?.value ?? null; },
    // What of a field's own text is selected, or was when it was left.
    selectionOf(id) {
      const field = document.getElementById(id);
      return { text: field.value, start: field.selectionStart, end: field.selectionEnd };
    },
    async copy(text) {
      if (navigator.clipboard && window.isSecureContext) {
        try { return await navigator.clipboard.writeText(text); } catch { /* not allowed: the old way */ }
      }
      const area = document.createElement("textarea");
      area.value = text;
      area.style.position = "fixed";
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    },
    // Below the form, on a narrow screen, nobody would see the drafts come.
    reveal(element) {
      if (element && element.getBoundingClientRect().top > window.innerHeight * 0.6) element.scrollIntoView({ behavior: "smooth", block: "start" });
    },
    // The cursor goes to the next of these after where it is; after the last, to the first.
    next(selector) {
      const all = [...document.querySelectorAll(selector)], here = document.activeElement;
      const after = all.find(element => element !== here && here.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING && !here.contains(element));
      (here === document.body ? all[0] : after ?? all[0])?.focus();
    },
    focus(id) {
      const element = document.getElementById(id);
      if (element) enter(element);
    },
    // Puts the cursor at the end of an editor and lets it grow with its text.
    beginEdit(area) {
      if (!area) return;
      based.set(area, area.value);
      fit(area);
      enter(area);
    },
    toEnd(element) { if (element) element.scrollTop = element.scrollHeight; },
  };
})();
