// Starts Swagger UI on this service's own document. Nothing is loaded from, or sent to, another host.
"use strict";

const reference = document.getElementById("reference");
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function followSystem() {
  document.documentElement.classList.toggle("dark-mode", prefersDark.matches);
}

followSystem();
prefersDark.addEventListener("change", followSystem);

const { root } = reference.dataset;
const server = reference.dataset.server || location.origin;

// Calls go to the address under which this page was opened, whichever one the document names.
function sendHere(request) {
  if (!request.loadSpec && request.url.startsWith(server)) {
    request.url = location.origin + root + request.url.slice(server.length);
  }
  return request;
}

SwaggerUIBundle({
  url: `${root}/openapi.json`,
  requestInterceptor: sendHere,
  domNode: reference,
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  // Otherwise Swagger UI asks swagger.io about documents it finds.
  validatorUrl: null,
});
