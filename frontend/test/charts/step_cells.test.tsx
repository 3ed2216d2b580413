import { fireEvent, render, screen } from "@testing-library/preact";
import { expect, test, vi } from "vitest";
import { tint } from "../../src/attribution";
import { StepCells } from "../../src/charts/step_cells";
import { ColourScale } from "../../src/colour";

test("cells have their numbers on tints, and their steps are gone to", () => {
  const scale = new ColourScale("signed", -1, 1);
  const values = [
    [0.123456, -0.5],
    [null, Number.NaN],
  ];
  const go = vi.fn();
  const { container } = render(
    <StepCells
      names={["age", "<img src=x>"]}
      steps={[0, 12_000]}
      value={(row, step) => values[row]?.[step] ?? null}
      scale={scale}
      current={12_000}
      label="features"
      onStep={go}
    />,
  );
  const rows = [...container.querySelectorAll<HTMLTableRowElement>("tbody tr")];
  expect(rows.map((row) => [...row.cells].map((cell) => cell.textContent))).toEqual([
    ["age", "0.12", "-0.5"],
    ["<img src=x>", "–", "NaN"],
  ]);
  expect(container.querySelector("img")).toBeNull();
  expect(rows[0]?.cells[2]?.style.background).toBe(tint(scale, -0.5));
  expect(rows[0]?.cells[1]?.title).toBe("age at step 0: 0.123 supports");
  expect(screen.getByLabelText("Go to step 12000").getAttribute("aria-pressed")).toBe("true");
  fireEvent.click(screen.getByLabelText("Go to step 0"));
  expect(go).toHaveBeenCalledExactlyOnceWith(0);
});
