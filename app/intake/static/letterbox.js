// For <form action=".../forms/KEY">: fetches a token at the first touch, with data-letterbox submits in place
// and says in [data-letterbox-status] what became of it.
(() => {
  const home = document.currentScript && new URL(document.currentScript.src).origin;
  const tokens = new WeakMap();
  const ready = new WeakSet();
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const tokenOf = (form) => form.querySelector("[name=letterbox-token]");

  function target(form) {
    const url = new URL(form?.getAttribute("action") || "", document.baseURI);
    const isOurs = /\/forms\/[a-z0-9]+$/.test(url.pathname) && (!home || url.origin === home);
    return isOurs && url.origin + url.pathname;
  }

  async function fetchToken(form) {
    try {
      const { token, minAgeSeconds } = await (await fetch(target(form) + "/token")).json();
      if (!token) return 0;
      const field = tokenOf(form) || document.createElement("input");
      form.append(Object.assign(field, { type: "hidden", name: "letterbox-token", value: token }));
      return Date.now() + minAgeSeconds * 1000;
    } catch {
      return 0;
    }
  }

  function touch(event) {
    const form = event.target.closest?.("form");
    if (form && target(form) && !tokens.has(form)) tokens.set(form, fetchToken(form));
  }

  function say(form, sentence, isError) {
    let place = form.querySelector("[data-letterbox-status]");
    if (!place) form.append((place = document.createElement("p")));
    place.dataset.letterboxStatus = "";
    place.role = isError ? "alert" : "status";
    place.textContent = sentence;
  }

  function mark(form, errors = {}) {
    form.querySelectorAll("small[id^=letterbox-]").forEach((note) => note.remove());
    form.querySelectorAll("[aria-invalid]").forEach((field) => field.removeAttribute("aria-invalid"));
    return Object.entries(errors).flatMap(([name, sentences]) => {
      const field = form.querySelector(`[name="${CSS.escape(name)}"]:not([type=hidden])`);
      if (!field) return sentences;
      const note = document.createElement("small");
      note.textContent = sentences.join(" ");
      note.id = "letterbox-" + name;
      field.after(note);
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", note.id);
      return [];
    });
  }

  async function send(form, data) {
    let answer, body;
    try {
      answer = await fetch(target(form), { method: "POST", body: data, headers: { Accept: "application/json" } });
      body = await answer.json();
    } catch {
      return say(form, form.dataset.letterboxFailed || "That did not work. Please try again.", true);
    }
    say(form, [body.message, ...mark(form, body.errors)].join(" "), !answer.ok);
    form.querySelector("[aria-invalid]")?.focus();
    // What was used up is not good for a second time.
    tokenOf(form)?.remove();
    tokens.delete(form);
    for (const widget of [form.querySelector("altcha-widget"), window.turnstile, window.hcaptcha]) widget?.reset?.();
    if (answer.ok) form.reset();
    if (body.next) location.assign(body.next);
  }

  async function submit(event) {
    const { target: form, submitter: button } = event;
    if (event.defaultPrevented || !target(form) || ready.delete(form)) return;
    event.preventDefault();
    const data = new FormData(form, button);
    if (button) button.disabled = true;
    try {
      touch(event);
      const from = await Promise.race([tokens.get(form), wait(5000)]);
      // Until it is old enough, and this event is over, within which no form can be submitted.
      await wait(Math.min(Math.max(from - Date.now() + 100, 0), 60000));
      const token = tokenOf(form);
      if (token) data.set(token.name, token.value);
      if ("letterbox" in form.dataset) return await send(form, data);
    } finally {
      if (button) button.disabled = false;
    }
    ready.add(form);
    form.requestSubmit(button);
  }

  for (const kind of ["focusin", "pointerdown", "input"]) document.addEventListener(kind, touch);
  document.addEventListener("submit", submit);
})();
