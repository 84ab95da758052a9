// Passkeys on the pages before the pages (W3C Web Authentication). Without this script passwords work all the same.
(() => {
  const bytes = text => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), c => c.charCodeAt(0));
  const text = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const withIds = list => list?.map(one => ({ ...one, id: bytes(one.id) }));

  // As PublicKeyCredential.toJSON, which not every browser has.
  function json(credential) {
    const response = { clientDataJSON: text(credential.response.clientDataJSON) };
    for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"])
      if (credential.response[part]) response[part] = text(credential.response[part]);
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return JSON.stringify({
      id: credential.id, rawId: text(credential.rawId), type: credential.type, response,
      authenticatorAttachment: credential.authenticatorAttachment ?? undefined, clientExtensionResults: credential.getClientExtensionResults(),
    });
  }

  async function optionsOf(form) {
    const answer = await fetch(form.dataset.options, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (answer.ok) return answer.json();
    const said = answer.headers.get("content-type")?.startsWith("application/json") ? (await answer.json()).problem : null;
    throw { said: said ?? `${answer.status}` };
  }

  async function make(form) {
    const options = await optionsOf(form);
    return navigator.credentials.create({ publicKey: {
      ...options, challenge: bytes(options.challenge), user: { ...options.user, id: bytes(options.user.id) }, excludeCredentials: withIds(options.excludeCredentials),
    } });
  }

  async function show(form) {
    const options = await optionsOf(form);
    return navigator.credentials.get({ publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: withIds(options.allowCredentials) } });
  }

  function bind(id, ask) {
    const form = document.getElementById(id);
    if (!form) return;
    form.hidden = false;
    const problem = form.querySelector(".problem"), button = form.querySelector("button");
    form.addEventListener("submit", async event => {
      event.preventDefault();
      problem.hidden = button.disabled = true;
      try {
        form.elements.credential.value = json(await ask(form));
        if (form.elements.old) form.elements.old.value = ""; // it was judged already
        form.submit();
      } catch (error) {
        problem.textContent = error.said ?? (error.name === "InvalidStateError" && form.dataset.known ? form.dataset.known : form.dataset.failed);
        problem.hidden = button.disabled = false;
      }
    });
  }

  const why = document.querySelector("[data-passkeys]"), isNumber = /^(\d+\.){3}\d+$|^\[/.test(location.hostname);
  const lack = isNumber ? "name" : !window.isSecureContext ? "address" : !window.PublicKeyCredential ? "old" : null;
  if (lack) {
    if (why) why.textContent = why.dataset[lack];
    return;
  }
  if (why) why.hidden = true;
  bind("passkey-new", make);
  bind("passkey-sign-in", show);
})();
