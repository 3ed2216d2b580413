import { describe, expect, test } from "vitest";
import { csv, fileName, nameParts } from "../src/download";
import { curvesTable, heatTable, histogramsTable, scalarTable, structureTable, tensorTable } from "../src/tables";
import { opened, settled, TYPICAL } from "./fakes";

const OURS = "p.layerscope";

describe("CSV", () => {
  test("follows RFC 4180, keeps every digit of a float32 and what is not finite", () => {
    const table = {
      columns: ["layer", 'a "b"', "c,d"],
      rows: [
        ["x\ny", Math.fround(0.1), 1e-30],
        ["", Number.NaN, Number.NEGATIVE_INFINITY],
        ["z", null, -2],
      ],
    };
    expect(csv(table)).toBe('layer,"a ""b""","c,d"\r\n"x\ny",0.10000000149011612,1e-30\r\n,NaN,-Infinity\r\nz,,-2\r\n');
  });

  test.each(["=1+1", "+a", "-a", "@a", "\ta", "\ra"])("a name %j is no formula", (name) => {
    const [, line] = csv({ columns: ["layer"], rows: [[name]] }).split(/\r\n(?=')|\r\n(?=")/);
    expect(line).toMatch(/^"?'/);
  });
});

describe("names of files", () => {
  test.each<[string[], string]>([
    [["digits", "stage2.1.conv2", "step", "300", "gradients"], "digits-stage2.1.conv2-step-300-gradients.png"],
    [["../../etc/passwd", "a\0b:c|d"], "etc_passwd-a_b_c_d.png"],
    [["", "/", ".."], "layerscope.png"],
    [["層 重み"], "層_重み.png"],
    [["x".repeat(500), "fc", "step", "9"], `${"x".repeat(40)}-fc-step-9.png`],
  ])("%j is %s", (parts, name) => {
    expect(fileName(parts, "png")).toBe(name);
  });

  test("tell run, layer and step, and what is compared with", async () => {
    const { store } = await opened(TYPICAL, `#&${OURS}.layer=head&${OURS}.step=200&${OURS}.compareStep=50`);
    expect(nameParts(store)).toEqual(["baseline", "head", "step", "200", "against", "baseline", "step", "50"]);
  });
});

describe("tables", () => {
  test("layers × steps as it is shown", async () => {
    const { store } = await opened(TYPICAL, `#&${OURS}.measure=gradients.mean`);
    const series = store.measured.value;
    const table = heatTable(store);
    expect(table.columns).toEqual(["layer", ...Array.from({ length: 11 }, (_, step) => String(50 * step))]);
    const [first] = [...table.rows];
    expect(first?.[0]).toBe("stem");
    expect(first?.[4]).toBe(series?.value(3, series.row("stem") ?? -1, 1));
    store.choose({ compareStep: 150 });
    await settled();
    expect([...heatTable(store).rows][0]?.[4]).toBe(0);
  });

  test("statistics of a layer", async () => {
    const { store } = await opened(TYPICAL, `#&${OURS}.layer=head`);
    const series = store.measured.value;
    if (series === null) throw new Error("no series");
    const index = series.row("head.weight") ?? -1;
    const rows = [...curvesTable([{ series, index }]).rows];
    expect(rows).toHaveLength(11 * 5);
    expect(rows[6]).toEqual(["gradients", "head.weight", "mean", 50, series.value(1, index, 1)]);
  });

  test("distributions, without what is empty", () => {
    const counts = Float32Array.from([1, 0, 3, 0, 0, 2]);
    const rows = [...histogramsTable([{ name: "g", row: "r", steps: [0, 5], edges: [0, 1, 2, 4], counts }]).rows];
    expect(rows).toEqual([
      ["g", "r", 0, 0, 1, 0.25],
      ["g", "r", 0, 2, 4, 0.75],
      ["g", "r", 5, 2, 4, 1],
    ]);
  });

  test("an array, with where each number stands", () => {
    const { columns, rows } = tensorTable({ shape: [2, 1, 2], data: Float32Array.from([1, 2, 3, 4]) }, ["sample"]);
    expect(columns).toEqual(["sample", "index 1", "index 2", "value"]);
    expect([...rows]).toEqual([
      [0, 0, 0, 1],
      [0, 0, 1, 2],
      [1, 0, 0, 3],
      [1, 0, 1, 4],
    ]);
  });

  test("the structure and the curve", async () => {
    const { store } = await opened(TYPICAL, `#&${OURS}.step=100`);
    const { columns, rows } = structureTable(store);
    expect(columns.at(-1)).toBe("gradients.norm");
    const head = [...rows].find(([id]) => id === "head");
    expect(head?.at(-1)).toBe(store.measured.value?.value(2, store.measured.value.row("head") ?? -1, 0));
    const curve = [...scalarTable(store).rows];
    expect([curve.length, curve[3]]).toEqual([55, [30, store.scalarCurve.value.data?.values[3]]]);
  });
});
