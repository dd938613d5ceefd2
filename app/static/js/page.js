// Small helps of server-rendered pages; everything works without them, only less comfortably.

// A second press must not send a form twice.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  const question = button?.dataset.confirm;
  if (question && !confirm(question)) {
    event.preventDefault();
    return;
  }
  if (button && event.target.method === "post") setTimeout(() => (button.disabled = true));
});

// The browser keeps the page as it was left; what was pressed there can be pressed again.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("form button:disabled")) button.disabled = false;
});

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  });
}

// A new site most likely lies where it is made.
for (const field of document.querySelectorAll("[data-own-timezone]")) {
  field.value = Intl.DateTimeFormat().resolvedOptions().timeZone;
}

for (const select of document.querySelectorAll("select[data-submit]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

for (const button of document.querySelectorAll("[data-close]")) {
  button.hidden = false;
  button.addEventListener("click", () => button.closest(".toast").remove());
}

// What is wider than its box can be scrolled by keyboard, too.
const watch = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const { scrollWidth, clientWidth, scrollHeight, clientHeight } = target;
    if (scrollWidth > clientWidth || scrollHeight > clientHeight) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
for (const box of document.querySelectorAll(".table-wrap, pre")) watch.observe(box);

// On a phone the tabs are wider than the page: show where one is.
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
