// The timeline of a voice project: a canvas that draws what is in sight, a player of any stretch, keys and the pointer.
// The lines come from voice/timeline/ID, outlines and sound of what is in sight from below it.

const columnsPerSecond = 50, ruler = 20, overview = 14, originalHeight = 40, edgeGrip = 6, maxWaves = 400, minPps = .02, maxPps = 400;

export function attach(root, page, id, words) {
  const canvas = root.querySelector("canvas"), box = root.closest("section"), clock = box.querySelector("[data-clock]"), summary = box.querySelector("[data-summary]"),
    problem = box.querySelector("[data-problem]"), say = box.querySelector("[data-say]");
  const base = `voice/timeline/${id}`;
  let lines = [], cues = [], seconds = 0, original = null, view = { from: 0, pps: 0 }, position = 0, selected = null, drag = null, gone = false, asked = 0, drawing = 0, small = null;
  const waves = new Map(), wanted = [];
  let fetching = 0;

  const text = (key, ...values) => (words[key] ?? key).replace(/\{(\d)\}/g, (_, i) => values[i]);
  const time = s => { const m = Math.floor(s / 60), h = Math.floor(m / 60), rest = (s % 60).toFixed(1).padStart(4, "0"); return h ? `${h}:${String(m % 60).padStart(2, "0")}:${rest}` : `${m}:${rest}`; };
  const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
  const width = () => root.clientWidth;
  const height = () => root.clientHeight;
  const laneTop = () => ruler + (original ? originalHeight : 0);
  const laneHeight = () => height() - laneTop() - overview - 6;
  const xOf = s => (s - view.from) * view.pps;
  const atX = x => view.from + x / view.pps;
  const whole = () => Math.max(seconds, original?.seconds ?? 0, 1);
  // The first of a list in order that is not before a time.
  const firstAfter = (list, of, when) => { let low = 0, high = list.length; while (low < high) { const middle = (low + high) >> 1; if (of(list[middle]) < when) low = middle + 1; else high = middle; } return low; };
  const isBad = line => line.over > 0 || line.state === "fault";

  // ---- what there is

  async function update() {
    const mine = ++asked;
    let answer;
    try { answer = await (await fetch(base, { cache: "no-store" })).json(); } catch { return; }
    if (gone || mine !== asked) return;
    lines = answer.lines;
    seconds = answer.seconds;
    for (const [hash, wave] of waves) if (wave === "failed") waves.delete(hash);
    lines.forEach((line, i) => { line.index = i; });
    selected = selected && byId(selected.id);
    cues = lines.filter(line => line.start !== null && line.end !== null).sort((a, b) => a.start - b.start);
    small = null;
    if (!view.pps) zoom(Math.max(width() / whole(), width() / 45), 0, 0);
    const long = lines.filter(line => line.over > 0), waiting = lines.filter(line => line.state === "none" || line.state === "stale");
    summary.textContent = [text("lines", lines.length), time(seconds), long.length ? text("over", long.length) : null, waiting.length ? text("waiting", waiting.length) : null].filter(Boolean).join(" · ");
    root.dataset.lines = lines.length;
    root.dataset.over = long.length;
    root.setAttribute("aria-valuemax", whole().toFixed(1));
    tell();
    redraw();
  }

  async function listen(answer) {
    original = null;
    if (answer) {
      try {
        const got = await fetch(`voice/recording/${id}/peaks`);
        if (got.ok) original = { seconds: answer, levels: pyramid(new Int8Array(await got.arrayBuffer())) };
      } catch { /* the timeline does without */ }
    }
    root.dataset.original = original ? "yes" : "no";
    small = null;
    redraw();
  }

  // Each level has an eighth of the columns of the one before: the least and the greatest of eight.
  function pyramid(columns) {
    const levels = [columns];
    while (levels.at(-1).length > 4096) {
      const fine = levels.at(-1), coarse = new Int8Array(2 * Math.ceil(fine.length / 16));
      for (let i = 0; i < coarse.length / 2; i++) {
        let low = 127, high = -127;
        for (let j = 16 * i; j < Math.min(fine.length, 16 * i + 16); j += 2) { low = Math.min(low, fine[j]); high = Math.max(high, fine[j + 1]); }
        coarse[2 * i] = low;
        coarse[2 * i + 1] = high;
      }
      levels.push(coarse);
    }
    return levels;
  }

  // Outlines of lines in sight, a few at a time.
  function waveOf(line) {
    if (!line.sounds || !line.hash) return null;
    const known = waves.get(line.hash);
    if (known) return known === "asked" || known === "failed" ? null : known;
    if (waves.size > maxWaves) for (const key of [...waves.keys()].slice(0, maxWaves / 2)) if (waves.get(key) !== "asked") waves.delete(key);
    waves.set(line.hash, "asked");
    wanted.push(line);
    ask();
    return null;
  }
  async function ask() {
    if (fetching >= 3 || !wanted.length) return;
    const line = wanted.pop();
    fetching++;
    try {
      const got = await fetch(`${base}/peaks/${encodeURIComponent(line.id)}?hash=${line.hash}`);
      waves.set(line.hash, got.ok ? new Int8Array(await got.arrayBuffer()) : "failed");
    } catch { waves.set(line.hash, "failed"); } // it is asked for again when the project changes, not by each drawing
    fetching--;
    if (gone) return;
    redraw();
    ask();
  }

  // ---- drawing

  const redraw = () => { drawing ||= requestAnimationFrame(() => { drawing = 0; if (!gone) draw(); }); };
  const colours = () => {
    const style = getComputedStyle(root), of = name => style.getPropertyValue(name).trim();
    return { ink: of("--ink"), quiet: of("--quiet"), line: of("--line"), sheet: of("--sheet"), paper: of("--paper"), green: of("--green"), amber: of("--amber"), red: of("--red"), font: style.fontFamily };
  };

  function draw() {
    const w = width(), h = height(), scale = window.devicePixelRatio || 1;
    if (!w || !view.pps) return;
    if (canvas.width !== Math.round(w * scale) || canvas.height !== Math.round(h * scale)) { canvas.width = Math.round(w * scale); canvas.height = Math.round(h * scale); small = null; }
    const g = canvas.getContext("2d"), c = colours();
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, w, h);
    drawRuler(g, c, w, h);
    if (original) drawOriginal(g, c, w);
    drawLane(g, c, w);
    drawOverview(g, c, w, h, scale);
    const x = xOf(position);
    g.fillStyle = c.red;
    if (x >= 0 && x <= w) { g.fillRect(x - .75, 0, 1.5, h - overview - 3); g.beginPath(); g.moveTo(x - 5, 0); g.lineTo(x + 5, 0); g.lineTo(x, 7); g.fill(); }
  }

  function drawRuler(g, c, w, h) {
    const step = [.1, .2, .5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].find(s => s * view.pps >= 72) ?? 7200;
    g.font = `11px ${c.font}`;
    g.textBaseline = "middle";
    for (let i = Math.ceil(view.from / step); i * step <= atX(w); i++) {
      const s = i * step, x = Math.round(xOf(s)) + .5;
      g.fillStyle = c.line;
      g.fillRect(x - .5, ruler - 4, 1, h - ruler - overview);
      g.fillStyle = c.quiet;
      const label = step < 1 ? time(s) : time(s).replace(/\.0$/, "");
      if (x + 4 < w - 30) g.fillText(label, x + 4, 9);
    }
  }

  function drawOriginal(g, c, w) {
    const middle = ruler + originalHeight / 2, perPixel = columnsPerSecond / view.pps;
    let level = 0;
    while (level + 1 < original.levels.length && 8 ** (level + 1) <= perPixel) level++;
    const columns = original.levels[level], each = 8 ** level / columnsPerSecond, count = columns.length / 2;
    g.fillStyle = c.quiet;
    for (let x = 0; x < w; x++) {
      const from = Math.floor(atX(x) / each), to = Math.max(from + 1, Math.ceil(atX(x + 1) / each));
      let low = 0, high = 0;
      for (let i = Math.max(0, from); i < Math.min(count, to); i++) { low = Math.min(low, columns[2 * i]); high = Math.max(high, columns[2 * i + 1]); }
      if (from >= 0 && from < count) g.fillRect(x, middle - high / 127 * (originalHeight / 2 - 2), 1, Math.max(1, (high - low) / 127 * (originalHeight / 2 - 2)));
    }
  }

  function drawLane(g, c, w) {
    const top = laneTop() + 4, tall = laneHeight() - 4, from = view.from, to = atX(w);
    // The time that a line has, behind what it takes.
    for (let i = Math.max(0, firstAfter(cues, cue => cue.start, from) - 40), edge = -1; i < cues.length && cues[i].start < to; i++) {
      const shown = drag?.line === cues[i] && drag.kind !== "pan" ? drag : cues[i];
      const x = xOf(shown.start), right = xOf(shown.end);
      if (right < 0 || right <= edge + .5) continue;
      g.fillStyle = c.ink;
      g.globalAlpha = .07;
      g.fillRect(x, top, Math.max(1, right - x), tall);
      g.globalAlpha = 1;
      edge = right;
      if (right - x > 8) {
        g.fillStyle = cues[i] === selected ? c.ink : c.quiet;
        g.globalAlpha = cues[i] === selected ? .9 : .45;
        g.fillRect(x, top, cues[i] === selected ? 2 : 1, tall);
        g.fillRect(right - (cues[i] === selected ? 2 : 1), top, cues[i] === selected ? 2 : 1, tall);
        g.globalAlpha = 1;
      }
    }
    let drawn = 0, edge = -1;
    for (let i = firstAfter(lines, line => line.until, from); i < lines.length && lines[i].at < to; i++) {
      const line = lines[i], x = xOf(line.at), right = Math.max(x + 1, xOf(line.until));
      if (right <= edge + .75 && !isBad(line) && line !== selected) continue; // too narrow to see beside the one before
      drawn++;
      edge = right;
      drawBlock(g, c, line, x, right, top + 18, tall - 20);
    }
    root.dataset.drawn = drawn;
  }

  function drawBlock(g, c, line, x, right, top, tall) {
    const colour = line.state === "fault" ? c.red : line.state === "stale" ? c.amber : line.state === "none" ? c.quiet : c.green, wide = right - x;
    g.fillStyle = colour;
    g.globalAlpha = line === selected ? .3 : .16;
    rounded(g, x, top, wide, tall, Math.min(4, wide / 2));
    g.fill();
    // What is beyond its time.
    if (line.over > 0) {
      const beyond = Math.max(2, line.over * view.pps);
      g.fillStyle = c.red;
      g.globalAlpha = .38;
      g.fillRect(right - beyond, top, beyond, tall);
    }
    g.globalAlpha = 1;
    if (wide > 4) {
      const wave = wide > 10 ? waveOf(line) : null;
      if (wave) drawWave(g, wave, colour, x, wide, top, tall);
      else if (line.state === "none" || line.state === "stale") {
        g.strokeStyle = colour;
        g.setLineDash([3, 3]);
        g.lineWidth = 1;
        rounded(g, x + .5, top + .5, wide - 1, tall - 1, 4);
        g.stroke();
        g.setLineDash([]);
      }
      if (line === selected) {
        g.strokeStyle = c.ink;
        g.lineWidth = 1.5;
        rounded(g, x + .75, top + .75, wide - 1.5, tall - 1.5, 4);
        g.stroke();
      }
    }
    // What is too long says so first; a speed stands in the corner, where it is no news.
    let room = wide;
    if (line.over > 0 && wide > 44) {
      g.font = `600 11px ${c.font}`;
      const tag = `+${line.over.toFixed(1)} s`, needs = g.measureText(tag).width;
      g.fillStyle = c.red;
      g.fillText(tag, right - needs - 2, top - 9);
      room -= needs + 8;
    } else if (line.speed > 1.0005 && wide > 60) {
      const tag = `${line.speed.toFixed(2)}×`;
      g.font = `10px ${c.font}`;
      const needs = g.measureText(tag).width;
      g.fillStyle = c.sheet;
      g.globalAlpha = .8;
      rounded(g, right - needs - 8, top + tall - 16, needs + 6, 14, 4);
      g.fill();
      g.globalAlpha = 1;
      g.fillStyle = c.quiet;
      g.fillText(tag, right - needs - 5, top + tall - 9);
    }
    if (room > 26) {
      g.save();
      g.beginPath();
      g.rect(Math.max(0, x), top - 18, room - Math.max(0, -x), 18);
      g.clip();
      g.fillStyle = line === selected ? c.ink : c.quiet;
      g.font = `${line === selected ? "600 " : ""}11px ${c.font}`;
      g.fillText(`${line.index + 1} ${line.role && room > 170 ? `${line.role}: ` : ""}${line.text}`, Math.max(0, x) + 2, top - 9);
      g.restore();
    }
  }

  function drawWave(g, wave, colour, x, wide, top, tall) {
    const middle = top + tall / 2, half = tall / 2 - 2, count = wave.length / 2, gain = 1.15;
    g.fillStyle = colour;
    x = Math.round(x);
    for (let px = Math.max(0, -x); px < wide && x + px < width(); px++) {
      const from = Math.floor(px / wide * count), to = Math.max(from + 1, Math.ceil((px + 1) / wide * count));
      let low = 0, high = 0;
      for (let i = from; i < Math.min(count, to); i++) { low = Math.min(low, wave[2 * i]); high = Math.max(high, wave[2 * i + 1]); }
      const up = Math.min(half, gain * high / 127 * half), down = Math.min(half, -gain * low / 127 * half);
      g.fillRect(x + px, middle - up, 1, Math.max(1, up + down));
    }
  }

  function rounded(g, x, y, w, h, r) { g.beginPath(); g.roundRect(x, y, Math.max(.5, w), h, r); }

  // All of it in one strip, with what needs a look; it is drawn anew only when it changes.
  function drawOverview(g, c, w, h, scale) {
    const top = h - overview;
    if (!small || small.colour !== c.green + c.paper) {
      small = new OffscreenCanvas(Math.round(w * scale), Math.round(overview * scale));
      small.colour = c.green + c.paper;
      const o = small.getContext("2d");
      o.setTransform(scale, 0, 0, scale, 0, 0);
      const each = w / whole();
      let edge = -1;
      o.globalAlpha = .55;
      for (const line of lines) {
        const right = Math.max(line.at * each + 1, line.until * each);
        if (right <= edge + .5) continue;
        edge = right;
        o.fillStyle = line.state === "none" ? c.quiet : line.state === "stale" ? c.amber : c.green;
        o.fillRect(line.at * each, 4, right - line.at * each, overview - 8);
      }
      o.globalAlpha = 1;
      o.fillStyle = c.red;
      for (const line of lines) if (isBad(line)) o.fillRect(line.at * each, 1, Math.max(2, (line.until - line.at) * each), overview - 2);
    }
    g.fillStyle = c.ink;
    g.globalAlpha = .06;
    g.fillRect(0, top, w, overview);
    g.globalAlpha = 1;
    g.drawImage(small, 0, top, w, overview);
    const x = view.from / whole() * w, wide = Math.min(w, w / view.pps / whole() * w);
    g.strokeStyle = c.ink;
    g.lineWidth = 1.5;
    rounded(g, x + .75, top + .75, Math.max(6, wide) - 1.5, overview - 1.5, 3);
    g.stroke();
    g.fillStyle = c.red;
    g.fillRect(position / whole() * w - .75, top, 1.5, overview);
  }

  // ---- moving about

  function scroll(from) { view.from = clamp(from, 0, Math.max(0, whole() - width() / view.pps * .9)); redraw(); }
  function zoom(pps, keepX, keepAt) {
    view.pps = clamp(pps, Math.max(minPps, Math.min(width() / whole(), maxPps)), maxPps);
    root.dataset.pps = view.pps.toFixed(3);
    scroll(keepAt - keepX / view.pps);
  }
  const zoomBy = factor => { const x = clamp(xOf(position), 0, width()); zoom(view.pps * factor, x, atX(x)); };
  function inSight(from, to) { if (from < view.from || to > atX(width())) scroll(from - width() / view.pps * .15); }
  function move(to) {
    position = clamp(to, 0, whole());
    if (player) play(position);
    inSight(position, position);
    tell();
    redraw();
  }
  const lineAt = when => { const line = lines[firstAfter(lines, line => line.until, when)]; return line && line.at <= when ? line : null; };
  const describe = line => [text("line", line.index + 1), line.role, line.text, line.start !== null ? text("cue", time(line.start), time(line.end ?? line.until)) : time(line.at), text(line.state), line.over > 0 ? text("too-long", line.over.toFixed(1)) : null,
    line.speed > 1.0005 ? text("faster", line.speed.toFixed(2)) : null, line.late > .05 ? text("late", line.late.toFixed(1)) : null].filter(Boolean).join(", ");
  function tell() {
    clock.textContent = `${time(position)} / ${time(whole())}`;
    root.dataset.position = position.toFixed(3);
    root.setAttribute("aria-valuenow", position.toFixed(1));
    const line = selected ?? lineAt(position);
    root.setAttribute("aria-valuetext", line ? `${time(position)}. ${describe(line)}` : time(position));
  }

  function mark(scrollToRow) {
    document.querySelectorAll(".vline[aria-current]").forEach(row => row.removeAttribute("aria-current"));
    if (!selected) return;
    const row = document.querySelector(`.vline[data-line="${CSS.escape(selected.id)}"]`);
    row?.setAttribute("aria-current", "true");
    if (scrollToRow) row?.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    root.dataset.selected = selected.id;
  }
  async function select(line, { reveal = true, go = true } = {}) {
    if (!line) return;
    selected = line;
    if (go) { position = line.at; if (player) play(position); }
    inSight(line.at, line.until);
    tell();
    redraw();
    if (reveal && !document.querySelector(`.vline[data-line="${CSS.escape(line.id)}"]`)) await page.invokeMethodAsync("ShowLine", line.id);
    mark(reveal);
    if (document.activeElement === root) say.textContent = describe(line);
  }
  const byId = key => lines.find(line => line.id === key) ?? null;

  // A line's cue between its neighbours' beginnings: it never passes them.
  function bounds(line) {
    const i = cues.indexOf(line);
    return [i > 0 ? cues[i - 1].start : 0, i + 1 < cues.length ? cues[i + 1].start : 86400];
  }
  async function put(line, start, end) {
    const round = value => Math.round(value * 1000) / 1000;
    [start, end] = [round(start), round(end)];
    if (start === line.start && end === line.end) return;
    const was = [line.start, line.end];
    [line.start, line.end] = [start, end]; // as it will be: no jump back until the server has said so
    redraw();
    if (!await page.invokeMethodAsync("MoveAsync", line.id, start, end)) [line.start, line.end] = was;
  }

  // ---- the pointer

  function hit(x, y) {
    if (y >= height() - overview) return { kind: "overview" };
    if (y < laneTop()) return { kind: "scrub" };
    const when = atX(x);
    for (let i = Math.max(0, firstAfter(cues, cue => cue.start, view.from) - 40); i < cues.length && cues[i].start < atX(width()); i++) {
      const left = xOf(cues[i].start), right = xOf(cues[i].end);
      if (right - left < 4 * edgeGrip) continue;
      // Where two cues meet, the selected one is taken.
      const mine = cues[i] === selected || !selected;
      if (Math.abs(x - right) <= edgeGrip && (mine || x < right)) return { kind: "end", line: cues[i] };
      if (Math.abs(x - left) <= edgeGrip && (mine || x > left)) return { kind: "start", line: cues[i] };
    }
    const line = lineAt(when) ?? cues.find(cue => cue.start <= when && cue.end >= when);
    return line ? { kind: line === selected && line.start !== null && line.end !== null ? "both" : "line", line } : { kind: "pan" };
  }
  const place = event => { const at = canvas.getBoundingClientRect(); return [event.clientX - at.left, event.clientY - at.top]; };
  const down = event => {
    if (event.button !== 0) return;
    const [x, y] = place(event), what = hit(x, y);
    drag = { ...what, x, from: view.from, moved: false, start: what.line?.start, end: what.line?.end };
    canvas.setPointerCapture(event.pointerId);
    if (what.kind === "overview") scroll(x / width() * whole() - width() / view.pps / 2);
    if (what.kind === "scrub") { selected = null; move(atX(x)); }
    root.focus({ preventScroll: true });
  };
  const moved = event => {
    const [x, y] = place(event);
    if (!drag) {
      const what = hit(x, y).kind;
      canvas.style.cursor = what === "start" || what === "end" ? "ew-resize" : what === "both" ? "grab" : what === "line" ? "pointer" : "default";
      return;
    }
    const by = (x - drag.x) / view.pps;
    drag.moved ||= Math.abs(x - drag.x) > 3;
    if (drag.kind === "overview") scroll(x / width() * whole() - width() / view.pps / 2);
    else if (drag.kind === "scrub") move(atX(clamp(x, 0, width())));
    else if (drag.kind === "pan" || drag.kind === "line") scroll(drag.from - by);
    else if (drag.moved) {
      const line = drag.line, [least, most] = bounds(line), long = line.end - line.start;
      if (drag.kind === "start") drag.start = clamp(line.start + by, least, line.end - .1);
      else if (drag.kind === "end") drag.end = clamp(line.end + by, line.start + .1, 86400);
      else { drag.start = clamp(line.start + by, least, most); drag.end = drag.start + long; }
      say.textContent = "";
      clock.textContent = `${time(drag.start)} – ${time(drag.end)}`;
      redraw();
    }
  };
  const up = () => {
    const done = drag;
    drag = null;
    if (!done) return;
    if (["start", "end", "both"].includes(done.kind) && done.moved) put(done.line, done.start, done.end);
    else if (!done.moved && done.line) select(done.line);
    else if (!done.moved && done.kind === "pan") { selected = null; mark(false); move(atX(done.x)); }
    redraw();
  };
  const wheel = event => {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) { const [x] = place(event); zoom(view.pps * Math.exp(-event.deltaY / 200), x, atX(x)); }
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) scroll(view.from + (event.deltaX || event.deltaY) / view.pps);
    else window.scrollBy(0, event.deltaY);
  };

  // ---- keys

  const key = event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // The one at the cursor first; where there is none, the nearest in that direction.
    const step = by => {
      const after = firstAfter(lines, line => line.at, position), next = selected ? selected.index + by : lineAt(position)?.index ?? (by > 0 ? after : after - 1);
      select(lines[clamp(next, 0, lines.length - 1)]);
    };
    const done = {
      ArrowLeft: () => { selected = null; move(position - (event.shiftKey ? .1 : 1)); }, ArrowRight: () => { selected = null; move(position + (event.shiftKey ? .1 : 1)); },
      ArrowUp: () => step(-1), ArrowDown: () => step(1), Home: () => move(0), End: () => move(whole()),
      "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), 0: () => zoom(width() / whole(), 0, 0),
      Enter: () => document.querySelector(`.vline[data-line="${CSS.escape((selected ?? lineAt(position))?.id ?? "")}"] textarea`)?.focus(),
      "[": () => cueTo(line => put(line, clamp(position, bounds(line)[0], line.end - .1), line.end)), "]": () => cueTo(line => put(line, line.start, Math.max(line.start + .1, position))),
      x: () => document.querySelector(".vline[aria-current] [data-pick]")?.click(),
    }[event.key];
    if (!done) return;
    event.preventDefault();
    event.stopPropagation();
    done();
  };
  const cueTo = change => { if (selected?.start !== null && selected?.end != null) change(selected); };
  const space = event => {
    if (event.key !== " " || event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select, button, a, summary, [contenteditable=true]") || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    toggle();
  };

  // ---- sound

  let player = null, context = null, ofOriginal = false;
  const toggle = () => player ? stop() : play(position >= whole() - .05 ? 0 : position);
  function stop() {
    if (!player) return;
    for (const source of player.sources) try { source.stop(); } catch { /* it has ended */ }
    player = null;
    delete root.dataset.playing;
    box.querySelector("[data-toggle]")?.setAttribute("aria-pressed", "false");
    redraw();
  }
  async function play(from) {
    stop();
    document.getElementById("sound")?.pause();
    context ??= new AudioContext();
    if (context.state === "suspended") await context.resume();
    const mine = player = { sources: new Set(), from, until: from, begun: null };
    problem.hidden = true;
    root.dataset.playing = "yes";
    box.querySelector("[data-toggle]")?.setAttribute("aria-pressed", "true");
    for (let part = 3; mine === player && mine.until < whole(); part = 15) {
      const at = mine.until, long = Math.min(part, whole() - at + .2);
      let sound;
      try {
        const got = await fetch(ofOriginal ? `voice/recording/${id}/part?from=${at}&seconds=${long}` : `${base}/part?from=${at}&seconds=${long}`, { cache: "no-store" });
        if (!got.ok) throw new Error(await got.text());
        sound = await context.decodeAudioData(await got.arrayBuffer());
      } catch (error) {
        if (mine !== player) return;
        problem.textContent = error.message;
        problem.hidden = false;
        return stop();
      }
      if (mine !== player) return;
      // A stretch that came late begins when it is there: nothing is left out.
      const due = mine.begun === null ? context.currentTime + .05 : Math.max(context.currentTime + .02, mine.begun + at - from);
      mine.begun = due - (at - from);
      const source = context.createBufferSource();
      source.buffer = sound;
      source.connect(context.destination);
      source.start(due);
      mine.sources.add(source);
      source.onended = () => mine.sources.delete(source); // its sound with it
      mine.until = at + long;
      if (part === 3) follow(mine);
      while (mine === player && context.currentTime - mine.begun + from < mine.until - 8) await new Promise(next => setTimeout(next, 250));
    }
  }
  function follow(mine) {
    if (mine !== player || gone) return;
    position = clamp(mine.from + Math.max(0, context.currentTime - mine.begun), 0, whole());
    if (xOf(position) > width() * .92 || xOf(position) < 0) scroll(position - width() / view.pps * .1);
    if (selected && (position < selected.at || position > selected.until)) selected = null;
    tell();
    redraw();
    if (position >= whole() - .02) { stop(); return; }
    requestAnimationFrame(() => follow(mine));
  }

  // A line that is edited is the selected one.
  const focused = event => {
    const row = event.target.closest?.(".vline[data-line]");
    if (row && (selected?.id ?? "") !== row.dataset.line) select(byId(row.dataset.line), { reveal: false, go: !player });
  };

  const listeners = [[canvas, "pointerdown", down], [canvas, "pointermove", moved], [canvas, "pointerup", up], [canvas, "pointercancel", up], [root, "keydown", key], [document, "keydown", space], [document, "focusin", focused]];
  for (const [target, name, handler] of listeners) target.addEventListener(name, handler);
  canvas.addEventListener("wheel", wheel, { passive: false });
  const sizes = new ResizeObserver(() => { small = null; redraw(); });
  sizes.observe(root);
  const dark = matchMedia("(prefers-color-scheme: dark)"), theme = new MutationObserver(() => { small = null; setTimeout(redraw, 50); });
  dark.addEventListener("change", redraw);
  theme.observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
  document.fonts?.ready.then(redraw);

  return {
    update, listen, toggle, zoomBy,
    fit: () => zoom(width() / whole(), 0, 0),
    setOriginal(value) { ofOriginal = value; if (player) play(position); },
    dispose() {
      gone = true;
      stop();
      context?.close();
      for (const [target, name, handler] of listeners) target.removeEventListener(name, handler);
      sizes.disconnect();
      theme.disconnect();
      dark.removeEventListener("change", redraw);
    },
  };
}
