// Scrolling parts of the admin's pages get names of their own: those of their headings, or a number.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-simplebar]").forEach((part, turn) => {
    const heading = part.closest("fieldset, .inline-group, section")?.querySelector("h2, h3");
    const name = heading?.textContent.trim() || "Table";
    part.dataset.simplebarAriaLabel = turn ? `${name}, part ${turn + 1}` : name;
  });
});
