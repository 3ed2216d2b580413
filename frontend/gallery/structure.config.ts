// Builds the structure page of the gallery as the bundle is built: worker and styles as files, nothing inlined.
import { defineConfig } from "vite";

export default defineConfig({
  root: "gallery",
  base: "./",
  build: {
    outDir: "dist/structure",
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "es2022",
    rolldownOptions: { input: "gallery/structure.html" },
  },
  worker: { format: "es" },
});
