// Records the microphone as a WAV file of one channel and 16 bits, and sends it. One recording at a time.

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

let now = null;

// Begins. `root` holds [data-level] and [data-time]; `page` hears by Ended when the longest time is over.
// Returns "" or the name of what is in the way.
export async function start(root, page, maxSeconds) {
  cancel();
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) return "insecure";
  let stream;
  try {
    // As it is: what a telephone call wants (echo and noise taken away, one loudness) spoils a voice.
    stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  } catch (error) {
    return { NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "missing", OverconstrainedError: "missing", NotReadableError: "busy", AbortError: "busy" }[error.name] ?? "busy";
  }
  document.getElementById("sound")?.pause();
  const context = new AudioContext(), pieces = [], mine = now = { stream, context, pieces, count: 0, begun: performance.now() };
  try {
    const url = URL.createObjectURL(new Blob([worklet], { type: "text/javascript" }));
    await context.audioWorklet.addModule(url);
    URL.revokeObjectURL(url);
    if (context.state === "suspended") await context.resume();
  } catch {
    cancel();
    return "busy";
  }
  const node = new AudioWorkletNode(context, "take"), level = root.querySelector("[data-level]"), time = root.querySelector("[data-time]");
  let peak = 0;
  node.port.onmessage = event => {
    if (mine !== now) return;
    pieces.push(event.data);
    mine.count += event.data.length;
    for (const sample of event.data) peak = Math.max(peak, Math.abs(sample));
    if (mine.count / context.sampleRate >= maxSeconds) page.invokeMethodAsync("Ended");
  };
  context.createMediaStreamSource(stream).connect(node);
  const show = () => {
    if (mine !== now) return;
    if (level) { level.style.inlineSize = `${Math.min(100, 100 * Math.sqrt(peak))}%`; level.dataset.loud = peak > .98 ? "yes" : "no"; }
    if (time) time.textContent = (mine.count / context.sampleRate).toFixed(1);
    root.dataset.recorded = (mine.count / context.sampleRate).toFixed(2);
    peak *= .8;
    requestAnimationFrame(show);
  };
  show();
  return "";
}

// Ends and sends it. Returns "" or why it was not kept.
export async function stop(url) {
  const done = now;
  if (!done) return "";
  const rate = done.context.sampleRate;
  cancel();
  const answer = await fetch(url, { method: "POST", body: wav(done.pieces, done.count, rate), headers: { "Content-Type": "audio/wav" } }).catch(() => null);
  return answer === null ? "lost" : answer.ok ? "" : `: ${await answer.text()}`;
}

export function cancel() {
  if (!now) return;
  for (const track of now.stream.getTracks()) track.stop();
  now.context.close();
  now = null;
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
