import { expect, test } from "vitest";
import { chosen, tensorOf } from "../src/projector";

test("the tensor is the layer's at the nearest step", () => {
  const tensors = ["pool:00100", "pool:00000", "a:pool:00050", "pool#1:00050", "pool:x", "pool"];
  expect(tensorOf(tensors, "pool", 60)).toBe("pool:00100");
  expect(tensorOf(tensors, "pool", 20)).toBe("pool:00000");
  expect(tensorOf(tensors, "a:pool", 0)).toBe("a:pool:00050");
  expect(tensorOf(tensors, "fc", 0)).toBeNull();
});

test("run and tensor are chosen one after the other, as the page is ready for them", () => {
  const page = document.implementation.createHTMLDocument();
  expect(chosen(page, "b", "pool:00001")).toBe(false);
  const dashboard = page.createElement("vz-projector-dashboard");
  page.body.append(dashboard);
  const projector = page.createElement("vz-projector");
  dashboard.attachShadow({ mode: "open" }).append(projector);
  const panel = Object.assign(page.createElement("div"), {
    id: "data-panel",
    runNames: ["a", "b"],
    selectedRun: "a",
    tensorNames: [{ name: "pool:00001" }],
    selectedTensor: "pool:00000",
  });
  projector.attachShadow({ mode: "open" }).append(panel);
  expect(chosen(page, "c", "pool:00001")).toBe(false);
  expect(panel.selectedRun).toBe("a");
  expect(chosen(page, "b", "pool:00001")).toBe(false);
  expect([panel.selectedRun, panel.selectedTensor]).toEqual(["b", "pool:00000"]);
  panel.selectedTensor = "first:00000"; // as the page does when the run has come
  panel.tensorNames = [{ name: "first:00000" }];
  expect(chosen(page, "b", "pool:00001")).toBe(false);
  panel.tensorNames = [{ name: "first:00000" }, { name: "pool:00001" }];
  Object.assign(projector, { originalDataSet: null }); // the first tensor is still on its way
  expect(chosen(page, "b", "pool:00001")).toBe(false);
  expect(panel.selectedTensor).toBe("first:00000");
  Object.assign(projector, { originalDataSet: {} });
  expect(chosen(page, "b", "pool:00001")).toBe(false);
  expect(panel.selectedTensor).toBe("pool:00001");
  expect(chosen(page, "b", "pool:00001")).toBe(true);
});
