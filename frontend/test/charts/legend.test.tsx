import { render } from "@testing-library/preact";
import { describe, expect, test } from "vitest";
import { Legend } from "../../src/charts/legend";
import { ColourScale } from "../../src/colour";

describe("a legend", () => {
  const text = (scale: ColourScale | null, attribution = false) =>
    render(<Legend scale={scale} title="norm" attribution={attribution} />).container.textContent;

  test("prints both limits, and that the data reaches beyond", () => {
    expect(text(new ColourScale("log", 0.00012, 34.56))).toBe("norm1.2e-434.6log");
    expect(text(new ColourScale("log", 0.5, 2, true, true))).toBe("norm≤ 0.5≥ 2log");
    expect(text(new ColourScale("count", 0, 64))).toBe("norm064count");
  });

  test("says where zero is, and which colour supports and which opposes", () => {
    expect(text(new ColourScale("signed", -3, 3))).toBe("norm-33signed, 0 is white");
    expect(text(new ColourScale("signed", -3, 3), true)).toContain("red supports · blue opposes");
    expect(text(new ColourScale("linear", 0, 1), true)).toContain("brighter matters more");
  });

  test("of nothing says so", () => {
    expect(text(null)).toBe("normno values");
  });

  test("paints the very colours of the scale, named for those who do not see them", () => {
    const scale = new ColourScale("signed", -1, 1);
    const { container } = render(<Legend scale={scale} title="" help="Arithmetic mean." />);
    const ramp = container.querySelector(".legend-ramp") as HTMLElement;
    expect(ramp.getAttribute("aria-label")).toBe("colours from -1 to 1");
    expect(ramp.getAttribute("style")).toContain(scale.css(-1));
    expect(ramp.getAttribute("style")).toContain(scale.css(0));
    expect(ramp.getAttribute("style")).toContain(scale.css(1));
    expect(container.querySelector(".legend")?.getAttribute("title")).toBe("Arithmetic mean.");
  });
});
