// Starts Swagger UI on this service's own document. Nothing is loaded from, or sent to, another host.
"use strict";

const reference = document.getElementById("reference");
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function followSystem() {
  document.documentElement.classList.toggle("dark-mode", prefersDark.matches);
}

followSystem();
prefersDark.addEventListener("change", followSystem);

SwaggerUIBundle({
  url: reference.dataset.openapi,
  domNode: reference,
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  // Otherwise Swagger UI asks swagger.io about documents it finds.
  validatorUrl: null,
});
