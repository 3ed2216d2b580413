import { render } from "@testing-library/preact";
import { beforeEach, describe, expect, test } from "vitest";
import { AttributionMap, alpha, contourOf, grey, type Picture, pictureOf, sampleOf } from "../../src/charts/map";
import { ColourScale } from "../../src/colour";
import type { Tensor } from "../../src/safetensors";
import { type Drawn, type Image, recordCanvases } from "../canvas";

const tensor = (shape: number[], values: number[]): Tensor => ({ shape, data: Float32Array.from(values) });
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

test("a sample is its slice of the batch", () => {
  const batch = tensor([2, 2, 3], numbers(12));
  expect(sampleOf(batch, 1)).toEqual({ shape: [2, 3], values: Float32Array.of(6, 7, 8, 9, 10, 11) });
  expect([sampleOf(batch, 2), sampleOf(batch, -1), sampleOf(tensor([], [1]), 0)]).toEqual([null, null, null]);
});

describe("pictures", () => {
  test("are stretched from their own least to their greatest", () => {
    expect(pictureOf(tensor([2, 1, 1, 3], [9, 9, 9, -2, 0, 2]), 1)).toEqual({
      height: 1,
      width: 3,
      colours: 1,
      values: Float32Array.of(0, 0.5, 1),
    });
  });

  test("may come without a colour axis, and with three colours", () => {
    expect(pictureOf(tensor([1, 2, 3], numbers(6)), 0)).toMatchObject({ height: 2, width: 3, colours: 1 });
    expect(pictureOf(tensor([1, 3, 2, 5], numbers(30)), 0)).toMatchObject({ height: 2, width: 5, colours: 3 });
  });

  test("of one brightness are not divided by zero, and NaN is black", () => {
    expect(pictureOf(tensor([1, 1, 1, 2], [4, 4]), 0)?.values).toEqual(Float32Array.of(0, 0));
    expect(pictureOf(tensor([1, 1, 1, 3], [1, Number.NaN, 3]), 0)?.values).toEqual(Float32Array.of(0, 0, 1));
  });

  test.each([[[1, 4]], [[1, 2, 2, 1]], [[1, 4, 1, 1]], [[1, 1, 0, 4]], [[1, 1, 1, 2, 2]]])(
    "inputs of shape %j are none",
    (shape) => {
      expect(pictureOf(tensor(shape, numbers(4)), 0)).toBeNull();
    },
  );

  test("brightness weighs the colours as Rec. 709", () => {
    const picture: Picture = { height: 1, width: 2, colours: 3, values: [1, 0, 0, 1, 0, 0] };
    expect([grey(picture, 0), grey(picture, 1)]).toEqual([0.2126, 0.7152]);
  });
});

test("opacity grows with the size of a value and never hides the photograph", () => {
  const signed = new ColourScale("signed", -2, 2);
  expect([alpha(signed, 0), alpha(signed, 2), alpha(signed, -2)]).toEqual([0, 0.85, 0.85]);
  expect(alpha(signed, -1)).toBeCloseTo(0.425, 12);
  expect(alpha(new ColourScale("linear", 0, 4), 1)).toBeCloseTo(0.2125, 12);
});

describe("a map", () => {
  let drawn: Drawn;
  const scale = new ColourScale("signed", -1, 1);
  const photo: Picture = { height: 4, width: 4, colours: 3, values: numbers(48).map((i) => (i < 15 ? 1 : 0)) };
  const grid = { shape: [2, 2], values: [1, -1, 0, Number.NaN] };
  const pixel = ({ data }: Image, index: number) => Array.from(data.subarray(index * 4, index * 4 + 4));

  beforeEach(() => {
    drawn = recordCanvases();
  });

  test("alone is opaque, in the colours of the scale, at the layer's own resolution; NaN is hatched", () => {
    render(<AttributionMap map={grid} scale={scale} picture={null} size={80} label="map" />);
    const [image] = drawn.images as [Image];
    expect([image.width, image.height, image.onto]).toEqual([2, 2, [80, 80]]);
    expect([0, 1, 2, 3].map((index) => pixel(image, index))).toEqual([
      [...scale.rgb(1), 255],
      [...scale.rgb(-1), 255],
      [...scale.rgb(0), 255],
      [0, 0, 0, 0],
    ]);
    expect(drawn.rects).toEqual([{ x: 40, y: 40, width: 40, height: 40, fill: "pattern" }]);
  });

  test("lies over the photograph in grey, clear where the value is 0", () => {
    render(<AttributionMap map={grid} scale={scale} picture={photo} size={80} label="map" />);
    const [beneath, over] = drawn.images as [Image, Image];
    expect([beneath.width, over.width]).toEqual([4, 2]);
    const [red, green, blue, opacity] = pixel(beneath, 0) as [number, number, number, number];
    expect([green, blue, opacity]).toEqual([red, red, 255]);
    expect(red).toBeGreaterThan(pixel(beneath, 15)[0] as number); // what was brighter still is
    expect([0, 1, 2, 3].map((index) => pixel(over, index)[3])).toEqual([217, 217, 0, 0]);
  });

  test("the photograph alone keeps its colours", () => {
    render(<AttributionMap map={null} scale={null} picture={photo} size={80} label="input" />);
    expect(drawn.images).toHaveLength(1);
    expect(pixel(drawn.images[0] as Image, 3)).toEqual([255, 0, 0, 255]);
  });

  test("keeps its proportions and says what it is", () => {
    const wide = { shape: [1, 4], values: [0, 0, 0, 0] };
    const { container } = render(<AttributionMap map={wide} scale={scale} picture={null} size={80} label="sample 3" />);
    const canvas = container.querySelector("canvas");
    expect([canvas?.style.width, canvas?.style.height]).toEqual(["80px", "20px"]);
    expect(canvas?.getAttribute("aria-label")).toBe("sample 3");
  });
});

describe("a contour", () => {
  test("is the border between the strongest tenth and the rest, along the cells", () => {
    const values = Float32Array.from({ length: 20 }, () => 0.1);
    values[6] = -5; // row 1, column 1 of 4 x 5
    values[7] = 4;
    expect(contourOf({ shape: [4, 5], values })).toEqual([
      [1, 1, 2, 1],
      [1, 1, 1, 2],
      [2, 1, 3, 1],
      [3, 1, 3, 2],
      [1, 2, 2, 2],
      [2, 2, 3, 2],
    ]);
  });

  test("reaches round the edges, and is nowhere on a map of zeros or without a number", () => {
    expect(contourOf({ shape: [1, 1], values: [3] })).toEqual([
      [0, 0, 1, 0],
      [0, 0, 0, 1],
      [1, 0, 1, 1],
      [0, 1, 1, 1],
    ]);
    expect(contourOf({ shape: [2, 2], values: [0, 0, 0, 0] })).toEqual([]);
    expect(contourOf({ shape: [1, 2], values: [Number.NaN, Number.NaN] })).toEqual([]);
  });
});
