// Keeps the list of the inbox fresh: asks every two seconds, and gets an empty 304 while nothing has changed.
"use strict";

const list = document.getElementById("messages");
const news = document.getElementById("news");
let etag = "";
let notBefore = 0;

async function refresh() {
  if (document.hidden || Date.now() < notBefore) return;
  let response;
  try {
    response = await fetch(list.dataset.source, { headers: etag ? { "If-None-Match": etag } : {}, cache: "no-store" });
  } catch {
    return; // The service restarts; the next round finds it.
  }
  if (response.status === 429) notBefore = Date.now() + 1000 * response.headers.get("Retry-After");
  if (response.status !== 200) return;
  const isFirst = etag === "";
  etag = response.headers.get("ETag") ?? "";
  const html = await response.text();
  if (!isFirst) replace(html);
}

function replace(html) {
  // Whoever is on a message or on a button with the keyboard stays on it.
  const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  list.innerHTML = html; // Escaped by the server.
  if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  news.textContent = list.querySelector("[data-count]")?.textContent ?? "";
  document.dispatchEvent(new Event("letterbox:replaced"));
}

setInterval(refresh, 2000);
document.addEventListener("visibilitychange", refresh);
refresh();
