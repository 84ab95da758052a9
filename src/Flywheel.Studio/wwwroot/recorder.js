// Records the microphone as a WAV file of one channel and 16 bits, and sends it. Each row has a recorder of its own; one of them has the microphone.

const worklet = `registerProcessor("take", class extends AudioWorkletProcessor {
  process([input]) {
    if (input.length) {
      const sum = new Float32Array(input[0].length);
      for (const channel of input) for (let i = 0; i < sum.length; i++) sum[i] += channel[i] / input.length;
      this.port.postMessage(sum, [sum.buffer]);
    }
    return true;
  }
});`;

// Ends what the recorder does that began last.
let end = () => {};

// What was recorded and no server has yet, by the address to which it goes: a row that is closed, or a page that is left and come back to, finds it again.
const unsent = new Map();

// Recorders that may hold something now. A tab that is closed or loaded anew takes it all with it, so the browser asks first.
const recorders = new Set();
addEventListener("beforeunload", event => {
  if (unsent.size || [...recorders].some(has => has())) event.preventDefault();
});

// `root` holds [data-level] and [data-time]; `page` hears by Ended that a recording ended by itself: it is as long as it may be, or another row records. It waits to be sent then.
// `url` is where takes go.
export function attach(root, page, maxSeconds, url) {
  let take = unsent.get(url) ?? null, asked = 0, gone = false;
  unsent.delete(url);
  const has = () => (take?.count ?? 0) > 0;
  recorders.add(has);

  const close = () => {
    asked++;
    for (const track of take?.stream?.getTracks() ?? []) track.stop();
    take?.context?.close();
    if (take) take.stream = take.context = null;
    delete root.dataset.recorded;
  };
  const ended = () => {
    const live = take?.stream;
    close();
    if (live && !gone) page.invokeMethodAsync("Ended").catch(() => {});
  };

  // Begins. Returns "", "ended" where something else ended it before it began, or the name of what is in the way.
  async function start() {
    cancel();
    if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) return "insecure";
    end();
    end = ended;
    const mine = ++asked;
    let stream, context;
    // The person may be asked for long: whoever is no longer meant leaves nothing open.
    const leave = answer => {
      for (const track of stream?.getTracks() ?? []) track.stop();
      context?.close();
      return mine === asked ? answer : "ended";
    };
    try {
      // As it is: what a telephone call wants (echo and noise taken away, one loudness) spoils a voice.
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    } catch (error) {
      return leave({ NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "missing", OverconstrainedError: "missing", NotReadableError: "busy", AbortError: "busy" }[error.name] ?? "busy");
    }
    if (mine !== asked) return leave();
    document.getElementById("sound")?.pause();
    try {
      context = new AudioContext();
      const url = URL.createObjectURL(new Blob([worklet], { type: "text/javascript" }));
      await context.audioWorklet.addModule(url);
      URL.revokeObjectURL(url);
      if (context.state === "suspended") await context.resume();
    } catch {
      return leave("busy");
    }
    if (mine !== asked) return leave();
    const now = take = { stream, context, pieces: [], count: 0, rate: context.sampleRate }, most = Math.floor(maxSeconds * now.rate);
    const node = new AudioWorkletNode(context, "take"), level = root.querySelector("[data-level]"), time = root.querySelector("[data-time]");
    let peak = 0;
    node.port.onmessage = event => {
      if (now !== take || !now.stream) return;
      const piece = event.data.subarray(0, most - now.count);
      now.pieces.push(piece);
      now.count += piece.length;
      for (const sample of piece) peak = Math.max(peak, Math.abs(sample));
      if (now.count >= most) ended();
    };
    context.createMediaStreamSource(stream).connect(node);
    const show = () => {
      if (now !== take || !now.stream) return;
      if (level) { level.style.inlineSize = `${Math.min(100, 100 * Math.sqrt(peak))}%`; level.dataset.loud = peak > .98 ? "yes" : "no"; }
      if (time) time.textContent = (now.count / now.rate).toFixed(1);
      root.dataset.recorded = (now.count / now.rate).toFixed(2);
      peak *= .8;
      requestAnimationFrame(show);
    };
    show();
    return "";
  }

  // Ends it and sends it; again where that failed: it is kept until the server has it. Returns "", "ended" where there is nothing, or why it was not kept.
  async function send() {
    close();
    const mine = take;
    if (!mine?.count) return "ended";
    const answer = await fetch(url, { method: "POST", body: wav(mine.pieces, mine.count, mine.rate), headers: { "Content-Type": "audio/wav" } }).catch(() => null);
    if (answer?.ok && mine === take) take = null;
    if (answer?.ok && unsent.get(url) === mine) unsent.delete(url); // the row was closed meanwhile
    return answer === null ? "lost" : answer.ok ? "" : `: ${await answer.text().catch(() => answer.statusText)}`;
  }

  function cancel() {
    close();
    take = null;
  }

  return {
    start, send, cancel, has,
    dispose() {
      gone = true;
      close();
      recorders.delete(has);
      if (has()) unsent.set(url, take);
    },
  };
}

function wav(pieces, count, rate) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * count));
  const name = (at, letters) => [...letters].forEach((letter, i) => bytes.setUint8(at + i, letter.charCodeAt(0)));
  name(0, "RIFF"); bytes.setUint32(4, 36 + 2 * count, true); name(8, "WAVEfmt "); bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true); bytes.setUint32(24, rate, true); bytes.setUint32(28, 2 * rate, true); bytes.setUint16(32, 2, true); bytes.setUint16(34, 16, true);
  name(36, "data"); bytes.setUint32(40, 2 * count, true);
  let at = 44;
  for (const piece of pieces) for (const sample of piece) { bytes.setInt16(at, Math.max(-1, Math.min(1, sample)) * 32767, true); at += 2; }
  return bytes.buffer;
}
