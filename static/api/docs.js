// Starts the browser of the API's schema. Nothing is loaded from, or sent to, anybody but this site.
const element = document.getElementById("swagger-ui");

window.SwaggerUIBundle({
  domNode: element,
  url: element.dataset.schema,
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: false,
});
