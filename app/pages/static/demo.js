// Sends the demo's form without leaving the page, says what is wrong at the field, and shows the mail that arrives.
"use strict";

const place = document.getElementById("form");
const form = place.querySelector("form");
const button = form.querySelector("button");
const arrival = document.getElementById("arrival");
const state = document.getElementById("state");

const outcome = document.createElement("div");
outcome.className = "outcome";
outcome.setAttribute("role", "status");
outcome.tabIndex = -1;
place.append(outcome);

const POLLS = 40;
const PAUSE_MS = 400;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  clear();
  button.disabled = true;
  button.textContent = "Sending…";
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new FormData(form),
    });
    const said = await answer.json();
    if (answer.ok) received(said);
    else refused(said, answer.headers.has("Retry-After"));
  } catch {
    say("The service cannot be reached. Everything you wrote is still here.", true);
  } finally {
    button.disabled = false;
    button.textContent = "Send";
  }
});

function received(said) {
  form.reset();
  say(`${said.message} Its reference is ${said.reference}.`);
  waitForMail(said.reference);
}

function refused(said, mayTryLater) {
  const errors = Object.entries(said.errors ?? {});
  const others = [];
  for (const [name, sentences] of errors) {
    const field = form.elements.namedItem(name);
    if (field instanceof HTMLElement) mark(field, sentences.join(" "));
    else others.push(...sentences);
  }
  const advice = mayTryLater && !errors.length ? " In this demo you can also use another address." : "";
  say([said.message ?? said.detail ?? said.title, ...others].join(" ") + advice, true);
  (form.querySelector("[aria-invalid]") ?? outcome).focus();
}

function mark(field, text) {
  const error = document.createElement("span");
  error.className = "error";
  error.id = `error-${field.name}`;
  error.textContent = text;
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", error.id);
  field.after(error);
}

function clear() {
  say("");
  for (const error of form.querySelectorAll(".error")) error.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
}

function say(text, isError = false) {
  outcome.textContent = text;
  outcome.classList.toggle("failed", isError);
}

async function waitForMail(reference) {
  state.textContent = "The mail is on its way…";
  const address = place.dataset.mail.replace(/[^/]+$/, reference);
  for (let poll = 0; poll < POLLS; poll++) {
    try {
      const answer = await fetch(address, { cache: "no-store" });
      if (answer.status === 200) {
        show(await answer.text());
        return;
      }
    } catch {
      // The service restarts; a later round finds it.
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  state.textContent = "The mail has not arrived yet. It will be in the inbox.";
}

function show(html) {
  arrival.innerHTML = html; // Escaped by the server.
  const heading = document.getElementById("arrived");
  heading.textContent = "The mail";
  state.textContent = "It has arrived.";
  // On a phone it is below the form.
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (heading.getBoundingClientRect().top > innerHeight / 2) heading.scrollIntoView({ behavior: isCalm ? "auto" : "smooth" });
}
