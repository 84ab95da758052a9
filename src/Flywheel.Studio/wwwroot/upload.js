// Sends a chosen file as it is, with its progress, and says why it was not taken.

// `root` holds an input[type=file], [data-progress] with a progress and a button inside, and [data-problem]. `page` is asked by Address(name) where the
// file goes (nothing: nowhere) and told by Sent() or Failed().
export function attach(root, page, maxBytes, words) {
  const field = root.querySelector("input[type=file]"), box = root.querySelector("[data-progress]"), bar = box.querySelector("progress"), said = box.querySelector("[data-said]"), problem = root.querySelector("[data-problem]");
  let request = null, gone = false;

  const chosen = async () => {
    const file = field.files[0];
    field.value = "";
    if (!file || request) return;
    problem.hidden = true;
    if (file.size > maxBytes) return fail(words["too-large"].replace("{0}", file.name).replace("{1}", maxBytes / 2 ** 30));
    const address = await page.invokeMethodAsync("Address", file.name);
    if (!address || gone) return;
    request = new XMLHttpRequest();
    request.open("POST", `${address}?name=${encodeURIComponent(file.name)}`);
    request.upload.onprogress = event => {
      bar.max = event.total;
      bar.value = event.loaded;
      said.textContent = event.loaded < event.total ? `${file.name} · ${Math.floor(100 * event.loaded / event.total)} %` : `${file.name} · ${words.reading}`;
    };
    request.upload.onload = () => { bar.removeAttribute("value"); said.textContent = `${file.name} · ${words.reading}`; };
    request.onload = () => done(request.status < 300 ? null : request.responseText.startsWith("{") ? JSON.parse(request.responseText).error?.message ?? request.statusText : request.responseText || request.statusText);
    request.onerror = () => done(words.lost);
    request.onabort = () => done("");
    box.hidden = false;
    bar.value = 0;
    said.textContent = file.name;
    request.send(file);
  };
  // null: sent; "": the person has stopped it.
  const done = wrong => {
    request = null;
    if (gone) return; // the page has seen to it
    box.hidden = true;
    if (wrong) fail(wrong);
    page.invokeMethodAsync(wrong === null ? "Sent" : "Failed");
  };
  const fail = text => { problem.textContent = text; problem.hidden = false; };
  const stop = () => request?.abort();
  field.addEventListener("change", chosen);
  box.querySelector("button").addEventListener("click", stop);
  return { dispose() { gone = true; request?.abort(); field.removeEventListener("change", chosen); } };
}
