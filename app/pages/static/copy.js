// A button that copies a command. Listens on the document, because the inbox replaces its content.
"use strict";

function offerCopying() {
  // Browsers have no clipboard for pages over plain http from another machine.
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

document.addEventListener("letterbox:replaced", offerCopying);
offerCopying();
