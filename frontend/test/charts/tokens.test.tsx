import { act, fireEvent, render, screen } from "@testing-library/preact";
import { describe, expect, test } from "vitest";
import { tint } from "../../src/attribution";
import { Tokens } from "../../src/charts/tokens";
import { ColourScale } from "../../src/colour";

const signed = new ColourScale("signed", -2, 2);

function tokens(words: string[], values: number[], scale = signed) {
  const { container } = render(<Tokens tokens={words} values={values} scale={scale} label="a text" />);
  return {
    container,
    options: screen.queryAllByRole("option"),
    readout: () => container.querySelector("p")?.textContent,
  };
}

describe("tokens", () => {
  test("flow as text, padding left out, each named with its number and what it does", () => {
    const { container, options } = tokens(["so", "un", "##wise", "", ""], [2, -1, 0, 9, 9]);
    expect(screen.getByRole("listbox").textContent).toBe("so unwise");
    expect(screen.getByRole("listbox").getAttribute("aria-label")).toBe("a text");
    expect(options.map((option) => option.getAttribute("aria-label"))).toEqual([
      "so: 2 supports",
      "un: -1 opposes",
      "wise: 0",
    ]);
    expect(container.querySelector("p")?.textContent).toBe("3 tokens");
  });

  test("have the colour of their share, and a line as thick, dashed where they oppose", () => {
    const { options } = tokens(["a", "b", "c", "d"], [2, -1, 0, 9]);
    const style = (at: number) => (options[at] as HTMLElement).style;
    expect(options.map((_, at) => style(at).borderBottomWidth)).toEqual(["4px", "2px", "0px", "4px"]);
    expect(options.map((_, at) => style(at).borderBottomStyle)).toEqual(["solid", "dashed", "solid", "solid"]);
    expect(style(1).background).toBe(tint(signed, -1));
  });

  test("that are not a number are marked as such, never coloured", () => {
    const { options } = tokens(["a"], [Number.NaN]);
    expect(options[0]?.getAttribute("aria-label")).toBe("a: NaN");
    expect(options[0]?.className).toContain("broken-token");
    expect(options[0]?.getAttribute("style")).toBeFalsy();
  });

  test("tell their number when pointed at", () => {
    const { options, readout } = tokens(["so", "dumb"], [0.5, -1.25]);
    fireEvent.mouseEnter(options[1] as Element);
    expect(readout()).toBe("dumb -1.25 opposes token 2 of 2");
    fireEvent.mouseLeave(screen.getByRole("listbox"));
    expect(readout()).toBe("2 tokens");
  });

  test("are one stop of the tab key, and walked with the arrows past padding", () => {
    const { options, readout } = tokens(["", "a", "", "b", "c"], [0, 1, 0, 2, -1]);
    expect(options.map((option) => option.getAttribute("tabindex"))).toEqual(["0", "-1", "-1"]);
    const press = (key: string) => {
      fireEvent.keyDown(document.activeElement as Element, { key });
      return readout();
    };
    act(() => (options[0] as HTMLElement).focus());
    expect(readout()).toBe("a 1 supports token 2 of 5");
    expect(press("ArrowRight")).toBe("b 2 supports token 4 of 5");
    expect(press("End")).toBe("c -1 opposes token 5 of 5");
    expect(press("ArrowRight")).toBe("c -1 opposes token 5 of 5");
    expect(press("ArrowLeft")).toBe("b 2 supports token 4 of 5");
    expect(press("Home")).toBe("a 1 supports token 2 of 5");
    expect(options[0]?.getAttribute("aria-selected")).toBe("true");
  });

  test("are text, whatever they say", () => {
    const { container } = tokens(["<img src=x onerror=alert(1)>", "\u202Egnp.exe"], [1, 1]);
    expect(container.querySelector("img")).toBeNull();
    expect(screen.getByRole("listbox").textContent).toBe("<img src=x onerror=alert(1)> \u2039U+202E\u203Agnp.exe");
  });

  test("of magnitudes neither support nor oppose", () => {
    const { options } = tokens(["a"], [1], new ColourScale("linear", 0, 2));
    expect(options[0]?.getAttribute("aria-label")).toBe("a: 1");
    expect((options[0] as HTMLElement).style.borderBottomStyle).toBe("solid");
  });
});
