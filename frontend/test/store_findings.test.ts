import { describe, expect, test } from "vitest";
import { APP_CASES, type Shape } from "../gallery/mock";
import { opened, settled, TYPICAL } from "./fakes";

const written = () => new Promise((resolve) => setTimeout(resolve, 200));

describe("findings", () => {
  const shape = APP_CASES.findings as Shape;

  test("stand with the errors first; looking at one shows its place, its step and what shows it", async () => {
    const { store, host } = await opened(shape);
    expect(store.found.value.map(({ detector }) => detector)).toEqual([
      ...["nan", "vanishing", "dead", "loss_spike", "<img src=x onerror=alert(1)>"],
    ]);
    expect([store.finding.value, store.findingsOpen.value]).toEqual([null, true]);
    store.lookAt(store.found.value[2] ?? null);
    await settled();
    expect([store.layer.value, store.row.value, store.step.value, store.measure.value?.id]).toEqual([
      ...["blocks.1.act", "blocks.1.act", 800, "training_activations.dead_fraction"],
    ]);
    expect(store.measured.value?.name).toBe("training_activations");
    expect(store.expanded.value.has("blocks.1")).toBe(true);
    expect(store.findingsOpen.value).toBe(true);
    await written();
    const again = await opened(shape, host.hash());
    expect([again.store.finding.value?.detector, again.store.findingsOpen.value]).toEqual(["dead", true]);
  });

  test("are gone through one after the other, round the end; scrubbing keeps the one that is looked at", async () => {
    const { store } = await opened(shape);
    const at = () => store.finding.value?.detector ?? null;
    const ways = [1, 1, 1, 1, 1, -1].map((by) => {
      store.nextFinding(by as 1 | -1);
      return at();
    });
    expect(ways).toEqual(["nan", "vanishing", "dead", "loss_spike", "<img src=x onerror=alert(1)>", "loss_spike"]);
    expect([store.layer.value, store.step.value]).toEqual([null, 1000]); // of the model as a whole
    store.goTo(50);
    store.select("stem");
    expect(at()).toBe("loss_spike");
    store.lookAt(null);
    expect([at(), store.step.value]).toEqual([null, 50]);
    store.nextFinding(-1);
    expect(at()).toBe("<img src=x onerror=alert(1)>");
  });

  test("of which there are none: examined, or not", async () => {
    const told = async (one: Shape) => (await opened(one)).store.findings.value.data?.examined;
    expect([await told(TYPICAL), await told(APP_CASES["not examined"] as Shape)]).toEqual([true, false]);
    const { store } = await opened();
    store.nextFinding(1);
    expect(store.finding.value).toBeNull();
  });
});
