import { act, fireEvent, render, screen } from "@testing-library/preact";
import { describe, expect, test } from "vitest";
import { Search } from "../../src/views/search";
import { opened, TYPICAL } from "../fakes";

const input = () => screen.getByTestId<HTMLInputElement>("search");
const said = () => screen.getByTestId("search-found").textContent;

async function search(hash = "") {
  const { store } = await opened(TYPICAL, hash);
  render(<Search store={store} />);
  const type = (value: string) => act(() => void fireEvent.input(input(), { target: { value } }));
  const press = (key: string, shiftKey = false) => act(() => void fireEvent.keyDown(input(), { key, shiftKey }));
  return { store, type, press };
}

describe("search", () => {
  test("counts what it finds; Enter goes from one to the next, Shift+Enter back, and reveals", async () => {
    const { store, type, press } = await search();
    expect(said()).toBe("");
    type("conv");
    expect(store.query.value).toBe("conv");
    expect(said()).toBe("4"); // stem and head are of that class
    press("Enter");
    expect([store.layer.value, said()]).toEqual(["stem", "1 of 4"]);
    press("Enter");
    expect([store.layer.value, said()]).toEqual(["blocks.0.conv", "2 of 4"]);
    expect(store.expanded.value.has("blocks.0")).toBe(true);
    press("Enter", true);
    press("Enter", true);
    expect([store.layer.value, said()]).toEqual(["head", "4 of 4"]);
    fireEvent.click(screen.getByLabelText("Next match (Enter)"));
    expect(store.layer.value).toBe("stem");
  });

  test("says when there is no match, and offers no next one", async () => {
    const { type, press, store } = await search();
    type("nowhere");
    expect(said()).toBe("no match");
    expect(screen.queryByLabelText("Next match (Enter)")).toBeNull();
    press("Enter");
    expect(store.layer.value).toBeNull();
  });

  test("the toggle makes it an expression and back; a wrong one is said in words", async () => {
    const { store, type } = await search("#layerscope&p.layerscope.query=blocks..");
    expect(said()).toBe("no match");
    const toggle = screen.getByLabelText("Regular expression");
    fireEvent.click(toggle);
    expect(store.query.value).toBe("/blocks../");
    expect(toggle.getAttribute("aria-pressed")).toBe("true");
    await act(() => undefined);
    expect(said()).toBe("6");
    type("/blocks(/");
    expect(said()).toBe("missing closing )");
    expect(input().getAttribute("aria-invalid")).toBe("true");
    fireEvent.click(toggle);
    expect(store.query.value).toBe("blocks(");
  });

  test("Escape empties it, and then leaves", async () => {
    const { store, type, press } = await search();
    input().focus();
    type("conv");
    press("Escape");
    expect(store.query.value).toBe("");
    expect(document.activeElement).toBe(input());
    press("Escape");
    expect(document.activeElement).not.toBe(input());
  });
});
