import { existsSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig } from "vite";

const root = import.meta.dirname;

/** One entry a page: every `src/<page>/main.ts`. */
function pages(): Record<string, string> {
  const names = readdirSync(resolve(root, "src")).filter((name) =>
    existsSync(resolve(root, "src", name, "main.ts")),
  );
  return Object.fromEntries(names.map((name) => [name, resolve(root, "src", name, "main.ts")]));
}

export default defineConfig({
  root,
  base: "/static/dist/",
  publicDir: false,
  worker: { format: "es" },
  build: {
    outDir: resolve(root, "../static/dist"),
    emptyOutDir: true,
    manifest: "manifest.json",
    target: "es2022",
    // An inlined picture or program would need data: addresses in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1200,
    rollupOptions: { input: pages() },
  },
});
