/** Charts of what is kept of layers as it is, with the data that is hard for them. */

import type { JSX } from "preact";
import { AttributionMap, type SampleMap } from "../src/charts/map";
import { Matrix } from "../src/charts/matrix";
import { Ridgeline } from "../src/charts/ridgeline";
import { boundsOf, type Point, Scatter } from "../src/charts/scatter";
import { Vector } from "../src/charts/vector";
import { ColourScale } from "../src/colour";
import type { ChartCase } from "./charts.cases";
import { seeded } from "./mock_numbers";

const signed = new ColourScale("signed", -1, 1, true, true);
const HOSTILE = "<img src=x onerror=alert(1)>";

function numbers(count: number, broken = -1): Float32Array {
  const number = seeded(count + 1);
  return Float32Array.from({ length: count }, (_, at) => (at === broken ? Number.NaN : 2 * number() - 1));
}

function matrix(name: string, rows: number, columns: number, broken = -1): ChartCase {
  const map: SampleMap = { shape: [rows, columns], values: numbers(rows * columns, broken) };
  const place = (row: number, column: number) => `${HOSTILE} ${row} → ${column}`;
  return named(`matrix: ${name}`, () => (
    <Matrix map={map} scale={signed} width={340} height={160} label={name} place={place} />
  ));
}

function scatter(name: string, count: number, groups: number, broken = -1): ChartCase {
  const values = numbers(2 * count, broken);
  const points: Point[] = Array.from({ length: count }, (_, index) => ({
    index,
    x: values[2 * index] as number,
    y: values[2 * index + 1] as number,
    group: groups > 0 ? index % groups : null,
  }));
  const pointName = ({ index }: Point) => `${HOSTILE} ${index}`;
  return named(`scatter: ${name}`, () => (
    <Scatter points={points} bounds={boundsOf(points)} size={220} name={pointName} label={name} selected={1} />
  ));
}

function vector(name: string, shape: readonly number[], broken = -1): ChartCase {
  const count = shape.reduce((product, length) => product * length, 1);
  const values = { shape, data: numbers(count, broken) };
  return named(`vector: ${name}`, () => <Vector values={values} size={60} width={340} label={name} />);
}

function ridgeline(name: string, steps: number, empty: boolean): ChartCase {
  const edges = [null, -1, -0.1, -0.01, 0, 0.01, 0.1, 1, null];
  const counts = Float32Array.from({ length: steps * 8 }, (_, at) => {
    const centre = 1 + (5 * Math.floor(at / 8)) / steps;
    return empty ? 0 : Math.max(0, 100 - 30 * Math.abs((at % 8) - centre));
  });
  const at = Array.from({ length: steps }, (_, index) => index * 50);
  const chart = { edges, counts, steps: at, span: [0, 50 * steps] as const, step: 100, width: 340, height: 200 };
  return named(`ridgeline: ${name}`, () => <Ridgeline {...chart} label={name} onStep={() => undefined} />);
}

function contour(name: string, shape: readonly [number, number]): ChartCase {
  const map: SampleMap = { shape, values: numbers(shape[0] * shape[1]) };
  const photo = { height: 4, width: 4, colours: 1 as const, values: numbers(16).map(Math.abs) };
  const overlay = { contour: true, opacity: 1 };
  return named(`contour: ${name}`, () => (
    <AttributionMap map={map} scale={signed} picture={photo} size={120} label={name} overlay={overlay} />
  ));
}

function named(name: string, element: () => JSX.Element): ChartCase {
  return { name, element };
}

export const PICTURE_CASES: readonly ChartCase[] = [
  matrix("a few rows, a hole, hostile names of places", 5, 9, 12),
  matrix("one number", 1, 1),
  matrix("a wide one", 3, 900),
  scatter("classes by colour and shape, a point without a place", 60, 9, 7),
  scatter("no classes", 12, 0),
  scatter("one point", 1, 0),
  scatter("none", 0, 0),
  vector("bars, one of them not a number", [24], 3),
  vector("curves of a signal", [90, 3], 40),
  vector("one bar", [1]),
  vector("nothing", [0]),
  ridgeline("a shape that moves", 12, false),
  ridgeline("many steps", 400, false),
  ridgeline("one step", 1, false),
  ridgeline("nothing counted", 4, true),
  contour("the cells of a coarse map", [7, 7]),
  contour("one cell", [1, 1]),
];
