import { defineConfig } from "vite";

// TensorBoard serves the bundle from data/plugin/layerscope/static/ behind any prefix, so every URL is relative.
// Its content policy forbids blob: workers and inlined scripts: the worker and the wasm are emitted as files.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../plugin/layerscope/viewing/static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "es2022",
    chunkSizeWarningLimit: 1000, // kB; Graphviz in WebAssembly is one chunk of 815
    license: { fileName: "licenses.md" }, // of the page's packages; NOTICE names the worker's
    rolldownOptions: {
      input: "src/index.ts",
      preserveEntrySignatures: "exports-only",
      output: {
        entryFileNames: "index.js",
        chunkFileNames: "[name]-[hash].js",
        assetFileNames: "[name]-[hash][extname]",
      },
    },
  },
  worker: { format: "es", rolldownOptions: { output: { entryFileNames: "[name]-[hash].js" } } },
});
