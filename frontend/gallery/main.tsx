/** `?case=<name>` shows the whole tab on made-up data; without it, every chart and what stands around the structure. `&dark` shows it dark. */

import { render } from "preact";
import { mount } from "../src/app";
import { dark } from "../src/theme";
import { CHART_CASES } from "./charts.cases";
import { APP_CASES, mockBackend } from "./mock";
import { comparedBackend, OTHER } from "./mock_compared";
import { NAVIGATION_CASES } from "./navigation.cases";
import { PICTURE_CASES } from "./pictures.cases";
import "../src/views/structure.css";

const query = new URLSearchParams(location.search);
const root = document.createElement("div");
root.id = "layerscope";
document.body.append(root);
const shape = APP_CASES[query.get("case") ?? ""];
const compared = query.has("compared");
if (shape) {
  if (compared && location.hash === "")
    location.hash = `#layerscope&p.layerscope.compareRun=${encodeURIComponent(OTHER)}`;
  mount(root, new AbortController().signal, compared ? comparedBackend(shape) : mockBackend(shape));
} else render(<Index />, root);
if (query.has("dark")) {
  dark.value = true;
  document.documentElement.classList.add("dark");
}

function Index() {
  return (
    <main style={{ padding: "16px", background: "var(--surface)" }}>
      <h1 style={{ fontSize: "18px", fontWeight: 600 }}>Layerscope gallery</h1>
      <p>
        {Object.keys(APP_CASES).map((name) => (
          <a key={name} href={`?case=${encodeURIComponent(name)}`} style={{ marginRight: "12px", color: "inherit" }}>
            {name}
          </a>
        ))}
        <a href="?case=typical&compared" style={{ marginRight: "12px", color: "inherit" }}>
          two runs compared
        </a>
        <a href="structure.html" style={{ color: "inherit" }}>
          structure
        </a>
      </p>
      <div style={{ display: "grid", gridTemplateColumns: "repeat(auto-fill, minmax(360px, 1fr))", gap: "24px" }}>
        {[...CHART_CASES, ...PICTURE_CASES, ...NAVIGATION_CASES].map(({ name, element }) => (
          <section key={name}>
            <h4>{name}</h4>
            {element()}
          </section>
        ))}
      </div>
    </main>
  );
}
