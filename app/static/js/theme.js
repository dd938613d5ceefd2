// Light or dark: the system's choice, until somebody takes the other one. The server reads the
// cookie and writes data-theme itself, so pages never flash in the wrong colours.

const system = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;

function current() {
  return root.dataset.theme || (system.matches ? "dark" : "light");
}

function label(button) {
  const text = current() === "dark" ? "Use light colours" : "Use dark colours";
  button.setAttribute("aria-label", text);
  button.title = text;
}

for (const button of document.querySelectorAll("[data-theme-switch]")) {
  button.hidden = false;
  label(button);
  button.addEventListener("click", () => {
    const wanted = current() === "dark" ? "light" : "dark";
    const isSystem = wanted === (system.matches ? "dark" : "light");
    if (isSystem) delete root.dataset.theme;
    else root.dataset.theme = wanted;
    const age = isSystem ? 0 : 31536000;
    document.cookie = `theme=${wanted}; path=/; max-age=${age}; samesite=lax`;
    label(button);
  });
}
